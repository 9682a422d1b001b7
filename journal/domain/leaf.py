"""What of an event is bound into the log: an envelope of names, times and digests, in place of the payload.

It names stream and version, so that events cannot be swapped; its place in the order of all is the leaf's index. The
digests are of the bytes as stored, so that no database's way with JSON can change them, and so that what was erased
or purged later still has its leaf.
"""

from __future__ import annotations

import json
import re
from typing import Final

import msgspec

from journal.domain.event import RecordedEvent, instant
from journal.domain.merkle import leaf_hash
from journal.domain.withdrawn import digest_of, mark_of

FORMAT: Final = 1
_SUBJECT_KEY: Final = re.compile(rb'"\$enc":\{"k":"([0-9A-Za-z._-]{1,64})"')


class Leaf(msgspec.Struct, frozen=True, kw_only=True):
    """What is bound into the tree of one event, in place of its payload: the digests of the bytes as stored."""

    project: str
    stream: str
    version: int
    type: str
    schema: int
    recorded_at: str
    event_id: str
    data_sha256: str
    meta_sha256: str
    subject_keys: tuple[str, ...] = ()

    @property
    def entry(self) -> bytes:
        """The leaf as RFC 8785 writes it: keys in order, nothing between them. All keys and numbers here are plain."""
        fields = {"v": FORMAT, **msgspec.structs.asdict(self)}
        return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @property
    def hash(self) -> bytes:
        """The leaf's hash in the tree."""
        return leaf_hash(self.entry)


def leaf_of(event: RecordedEvent) -> Leaf:
    """Return an event's leaf. It stands on the stored bytes, whatever encryption or order of keys these have.

    Where the payload was purged or erased, it stands on the digests that are left of it.
    """
    return Leaf(
        project=event.project,
        stream=event.stream,
        version=event.version,
        type=event.type,
        schema=event.schema,
        recorded_at=instant(event.recorded_at),
        event_id=event.id,
        data_sha256=digest_of(event.data),
        meta_sha256=digest_of(event.metadata),
        subject_keys=subject_keys(event.data, event.metadata),
    )


def occurred_leaf(event: RecordedEvent) -> bytes:
    """Return the hash of when an event occurred, for a second tree beside the log's: its leaf names no such time.

    Entry for entry it is that of the log; the event's id binds the two.
    """
    fields = {"v": FORMAT, "event_id": event.id, "occurred_at": instant(event.occurred_at)}
    return leaf_hash(json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())


def subject_keys(*payloads: bytes) -> tuple[str, ...]:
    """Return the ids of the keys that encrypted fields of these payloads name, each once, in order.

    Of a payload that was withdrawn, its mark says which it named.
    """
    return tuple(sorted({key for payload in payloads for key in _keys_in(payload)}))


def _keys_in(payload: bytes) -> tuple[str, ...]:
    mark = mark_of(payload)
    return mark.keys if mark is not None else tuple(key.decode() for key in _SUBJECT_KEY.findall(payload))

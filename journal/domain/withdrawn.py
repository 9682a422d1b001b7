"""What stands in an event's place once its payload is gone: who took it away, when, and the digest of what it was.

Purging and erasing replace data and metadata by a mark of this shape and nothing else. It holds the SHA-256 of the
bytes that stood there, which is what the event's leaf is made of, so that the log's tree, its proofs and reports that
were handed out before go on verifying. It names the event that ordered it. Nobody may append such a mark.
"""

from __future__ import annotations

import re
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, Literal

import msgspec

from journal.domain.event import RecordedEvent, instant

Kind = Literal["purged", "erased"]

BEGINNING: Final = b'{"$withdrawn":{"sha256":"'
"""How a mark begins. The databases' triggers compare it, and the digest behind it, byte by byte (migration
`withdrawn`): the order of the fields is part of the format."""

LONGEST: Final = 4_000
"""Bytes of a mark at most: what takes a payload's place holds none."""

_MARK: Final = re.compile(
    rb'\{"\$withdrawn":\{"sha256":"([0-9a-f]{64})","act":"([0-9a-f-]{36})","kind":"(purged|erased)","at":"([0-9T:.Z-]{27})"'
    rb'(?:,"keys":\[("[0-9A-Za-z._-]{1,64}"(?:,"[0-9A-Za-z._-]{1,64}")*)\])?\}(?:,"time":"unknown")?\}'
)
"""All of a mark: bytes beside it would stand behind a digest that is not theirs."""


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """A payload's mark: the digest of the bytes that are gone, the event that ordered it, and the keys they named."""

    sha256: str
    act: str
    kind: Kind
    at: str
    keys: tuple[str, ...] = ()

    @property
    def day(self) -> str:
        """The day it happened, as prose says it."""
        return self.at[:10]

    @property
    def request(self) -> str:
        """What people call the order by: the last part of its event's id."""
        return self.act.rpartition("-")[2]

    @property
    def words(self) -> str:
        """What is said in the payload's place."""
        by = "under request" if self.kind == "erased" else "under retention order"
        return f"{self.kind} on {self.day} {by} {self.request}"


def marked(payload: bytes, *, act: str, kind: Kind, at: datetime, keys: tuple[str, ...] = (), **more: Any) -> bytes:
    """Return what takes a payload's place. `more` are fields beside the mark, which name nobody."""
    fields: dict[str, Any] = {"sha256": sha256(payload).hexdigest(), "act": act, "kind": kind, "at": instant(at)}
    if keys:
        fields["keys"] = keys
    return msgspec.json.encode({"$withdrawn": fields, **more})


def is_withdrawn(payload: bytes) -> bool:
    """Return whether a payload is a mark. Asked of every event that is read: it looks at the first bytes alone."""
    return payload.startswith(BEGINNING)


def mark_of(payload: bytes) -> Mark | None:
    """Return a payload's mark, None where the payload is there, or anything else than a mark as it is written."""
    if not payload.startswith(BEGINNING):
        return None
    found = _MARK.fullmatch(payload)
    if found is None:
        return None
    digest, act, kind, at, keys = found.groups()
    named = tuple(msgspec.json.decode(b"[" + keys + b"]")) if keys else ()
    return Mark(
        sha256=digest.decode(),
        act=act.decode(),
        kind="erased" if kind == b"erased" else "purged",
        at=at.decode(),
        keys=named,
    )


def mark_on(event: RecordedEvent) -> Mark | None:
    """Return the mark that stands in an event's place, None where its payload is there."""
    return mark_of(event.data)


def digest_of(payload: bytes) -> str:
    """Return the SHA-256 of a payload as it was appended, in hex: of the bytes, or the one that their mark holds."""
    mark = mark_of(payload)
    return mark.sha256 if mark is not None else sha256(payload).hexdigest()

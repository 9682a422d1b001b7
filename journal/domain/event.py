"""What is appended and what is read back.

Payloads are bytes: the journal gives back exactly those it was given. `RecordedEvent.payload` decodes them once, on
demand, for whoever wants to look inside.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from journal.domain.lazy import lazy

CauseKind = Literal["triggered", "read", "quoted", "answers", "authorised", "spawned"]
Certainty = Literal["recorded", "inferred"]


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """A further cause of an event, beside the direct one in `causationId`."""

    id: str
    kind: CauseKind = "triggered"
    certainty: Certainty = "recorded"


class Metadata(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What is known about an event beside its data (contract §2).

    `time` is "unknown" where the source recorded no time: `occurred_at` is then only the moment of import.
    `dispatch_id` is set on the events with which a receiver answers a dispatch. `redacted` counts the placeholders that
    stand in the event for secrets, by kind.
    """

    correlation_id: str | None = None
    causation_id: str | None = None
    traceparent: str | None = None
    actor: str | None = None
    causes: tuple[Cause, ...] = ()
    subjects: tuple[str, ...] = ()
    dispatch_id: str | None = None
    time: Literal["recorded", "unknown"] = "recorded"
    redacted: dict[str, int] = {}


class EventData(msgspec.Struct, frozen=True, kw_only=True):
    """An event to append. `data` and `metadata` are UTF-8 JSON objects, kept as they are.

    `id` is a UUID as text; the store gives a UUIDv7 where it is None, and its own clock's time for `occurred_at`.
    """

    type: str
    data: bytes
    metadata: bytes = b"{}"
    id: str | None = None
    schema: int = 1
    occurred_at: datetime | None = None


class RecordedEvent(msgspec.Struct, frozen=True, dict=True):
    """An event as the journal holds it. Times are aware UTC, to the microsecond.

    Its fields may be given by place, in the order of a row: that takes half the time, and a reader makes many.
    """

    position: int
    project: str
    stream: str
    version: int
    id: str
    type: str
    schema: int
    data: bytes
    metadata: bytes
    occurred_at: datetime
    recorded_at: datetime

    @lazy
    def payload(self) -> dict[str, Any]:
        """The data decoded, as untyped JSON; duplicate keys and big integers as msgspec reads them."""
        decoded: dict[str, Any] = _decode(self.data)
        return decoded

    @lazy
    def meta(self) -> Metadata:
        """The metadata's known fields. A field of the wrong shape counts as absent; the bytes keep it."""
        try:
            return _decode_metadata(self.metadata)
        except msgspec.ValidationError:
            return _lenient(self.metadata)


_decode = msgspec.json.Decoder().decode
_decode_metadata = msgspec.json.Decoder(Metadata).decode


def _lenient(raw: bytes) -> Metadata:
    decoded = msgspec.json.decode(raw)
    fields = {}
    if isinstance(decoded, dict):
        for field in msgspec.structs.fields(Metadata):
            if field.encode_name in decoded:
                try:
                    fields[field.name] = msgspec.convert(decoded[field.encode_name], field.type)
                except msgspec.ValidationError:
                    continue
    return Metadata(**fields)


def instant(moment: datetime) -> str:
    """Return an aware time as on the wire: ISO 8601, UTC, microseconds, `Z`."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"

"""What every store asks of events before it takes them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from msgspec.structs import replace
from uuid_utils import uuid7

from journal.domain.codec import check_object, is_plain
from journal.domain.event import EventData, RecordedEvent
from journal.domain.stream import ANY_VERSION, ExpectedVersion, checked
from journal.domain.withdrawn import digest_of, is_withdrawn
from journal.errors import EventIdReused, PayloadRefused, WrongExpectedVersion
from journal.store.redacting import is_alike

_is_type = re.compile(r"[A-Za-z_][A-Za-z0-9_.:/-]{0,199}").fullmatch
_is_id = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch


def admitted(stream: str, events: Sequence[EventData], now: datetime) -> list[EventData]:
    """Return the events with id and time filled in, every one of them checked.

    Raises:
        PayloadRefused: the stream name, a type, an id, a time, data or metadata cannot be kept; says which event.
    """
    checked(stream)
    now = now.astimezone(UTC)
    ready = [
        _filled(event, now) if _is_as_usual(event) else _examined(event, at, now) for at, event in enumerate(events, 1)
    ]
    if len({event.id for event in ready}) != len(ready):
        raise PayloadRefused(
            what="append", reason="an event id stands twice in it", way_out="give each event its own id"
        )
    return ready


def _is_as_usual(event: EventData) -> bool:
    """Return whether an event is as nearly all are, so that there is nothing to refuse or to put in another form.

    An import asks this of every event it appends: no message is made, and nothing is read twice.
    """
    return bool(
        _is_type(event.type)
        and (event.id is None or _is_id(event.id))
        and (event.occurred_at is None or event.occurred_at.tzinfo is UTC)
        and is_plain(event.data)
        and is_plain(event.metadata)
        and not (is_withdrawn(event.data) or is_withdrawn(event.metadata))
    )


def _filled(event: EventData, now: datetime) -> EventData:
    return replace(event, id=event.id or str(uuid7()), occurred_at=event.occurred_at or now)


def _examined(event: EventData, at: int, now: datetime) -> EventData:
    what = f"event {at} of the append ({event.type[:80]})"
    if not _is_type(event.type):
        raise PayloadRefused(what=what, reason="its type is not a name", way_out="use letters, digits and . _ : / -")
    check_object(event.data, what=f"{what}: data")
    check_object(event.metadata, what=f"{what}: metadata")
    if is_withdrawn(event.data) or is_withdrawn(event.metadata):
        raise PayloadRefused(
            what=what,
            reason="it is the mark of a payload that was purged or erased, which only purging and erasing leave",
            way_out="leave the event out: there is nothing in it any more",
        )
    if event.occurred_at is not None and event.occurred_at.tzinfo is None:
        raise PayloadRefused(what=what, reason="occurred_at has no time zone", way_out="give it in UTC")
    event_id = None if event.id is None else _identity(event.id, what)
    occurred = event.occurred_at.astimezone(UTC) if event.occurred_at else None
    return _filled(replace(event, id=event_id, occurred_at=occurred), now)


def _identity(given: str, what: str) -> str:
    try:
        return str(UUID(given))
    except ValueError as error:
        raise PayloadRefused(
            what=what, reason=f"id {given[:80]!r} is not a UUID", way_out="send a UUID, or none"
        ) from error


def check_expected(stream: str, expected: ExpectedVersion, actual: int) -> None:
    """Raise `WrongExpectedVersion` unless the stream is where the writer thinks it is."""
    if expected not in (ANY_VERSION, actual):
        raise WrongExpectedVersion(stream=stream, expected=expected, actual=actual)


def is_repeat(stream: str, events: Sequence[EventData], known: dict[str, RecordedEvent]) -> bool:
    """Return whether the append was made before; `known` are the events already stored under its ids.

    Raises:
        EventIdReused: only a part of it is known, or an id is known with other content or in another stream.
    """
    for event in events:
        before = known.get(event.id or "")
        if before is not None and not _same(before, stream, event):
            raise EventIdReused(
                stream=stream,
                event_id=before.id,
                reason=f"it is version {before.version} of {before.stream!r} already, with other content",
            )
    if known and len(known) != len(events):
        first = next(iter(known.values()))
        raise EventIdReused(
            stream=stream,
            event_id=first.id,
            reason=f"it is stored already, and {len(events) - len(known)} of the {len(events)} events are new; "
            "send the new ones alone",
        )
    return bool(known)


def _same(before: RecordedEvent, stream: str, event: EventData) -> bool:
    """Return whether they say the same. A payload that was withdrawn is known by its digest: it does not come back."""
    if (before.stream, before.type, before.schema) != (stream, event.type, event.schema):
        return False
    if is_withdrawn(before.data):
        return digest_of(before.data) == digest_of(event.data)
    return is_alike(before.project, before.data, event.data)

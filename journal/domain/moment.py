"""A time as people write it, and as a place in a stream: the last event that had occurred by then."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from journal.domain.event import RecordedEvent


def in_utc(text: str) -> datetime:
    """Return an ISO 8601 moment in UTC, which one without a zone is in already.

    Raises:
        ValueError: it is none, or past the calendar.
    """
    at = datetime.fromisoformat(text)
    try:
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except OverflowError as error:
        raise ValueError(f"{text} is past the calendar") from error


class Occurred(msgspec.Struct, frozen=True, kw_only=True):
    """Where a time leads: `version` is 0 where nothing had occurred by then.

    Events stand in the order in which they were recorded, and the state after one holds all before it. `ahead` of those
    carry a later time, since clocks ran backwards; of `untimed` no time is recorded. `begins` is the earliest time.
    """

    version: int
    ahead: int = 0
    untimed: int = 0
    begins: datetime | None = None


def occurred_by(events: Iterable[RecordedEvent], moment: datetime) -> Occurred:
    """Return the last of a stream's events, given from its first on, that had occurred by `moment`."""
    version = ahead = untimed = later = unknown = 0
    begins: datetime | None = None
    for event in events:
        if event.meta.time != "recorded":
            unknown += 1
            continue
        begins = event.occurred_at if begins is None else min(begins, event.occurred_at)
        if event.occurred_at > moment:
            later += 1
        else:
            version, ahead, untimed = event.version, later, unknown
    return Occurred(version=version, ahead=ahead, untimed=untimed, begins=begins)

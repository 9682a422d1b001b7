"""Times that people give in forms and addresses: read in their own zone, and written back the way a form takes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

_DAY: Final = 10
_MINUTE: Final = 16


class MomentRefused(ValueError):
    """A text that is no time, with a sentence that says what is."""


def moment(text: str, zone: tzinfo, *, is_end: bool = False) -> datetime | None:
    """Return a time in UTC; None where nothing was said. One without a zone is in `zone`.

    A day or a minute is all of it: as an end it is the last microsecond.

    Raises:
        MomentRefused: it is no time.
    """
    said = text.strip().replace("\x00", "")
    if not said:
        return None
    try:
        found = datetime.fromisoformat(said.replace(" ", "T", 1) if said.count(" ") == 1 else said)
        at = (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
        return at + _rest(said) if is_end else at
    except (ValueError, OverflowError) as error:
        raise MomentRefused(f"{said[:40]!r} is no time; one looks like 2026-11-08 or 2026-11-08T02:14") from error


def _rest(said: str) -> timedelta:
    whole = {_DAY: timedelta(days=1), _MINUTE: timedelta(minutes=1)}.get(len(said))
    return whole - timedelta(microseconds=1) if whole is not None else timedelta()


def in_form(at: datetime | None, zone: tzinfo) -> str:
    """Return what a field of type `datetime-local` takes; empty where there is no time."""
    return at.astimezone(zone).strftime("%Y-%m-%dT%H:%M") if at is not None else ""

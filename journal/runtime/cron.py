"""The times of a line of cron, by Celery's own reading of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from celery.schedules import ParseException, crontab

from journal.runtime.schedule_kinds import ScheduleRefused

_PARTS: Final = {
    "minute": "minute",
    "hour": "hour",
    "day_of_month": "day of month",
    "month_of_year": "month",
    "day_of_week": "day of week",
}
"""The parts of a line in order: Celery's names, and the words for them."""
_A_MINUTE: Final = timedelta(minutes=1)


def upcoming(cron: str, *, timezone: str, after: datetime, count: int) -> list[datetime]:
    """Return the next `count` times after a moment, in UTC. The line is read in the time zone.

    Raises:
        ScheduleRefused: it is no line of cron, there is no such time zone, or such a time never comes.
    """
    zone, line = _zone(timezone), _parsed(cron)
    found: list[datetime] = []
    while len(found) < count:
        after = _following(line, zone, after, cron)
        found.append(after)
    return found


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ScheduleRefused(
            f"there is no time zone {name!r}; write UTC or one such as Europe/Berlin", field="timezone"
        ) from error


def _parsed(cron: str) -> Any:
    try:
        return crontab.from_string(cron.strip())
    except (ParseException, ValueError, TypeError) as error:
        raise ScheduleRefused(
            f"{_fault(cron)}: write minute, hour, day of month, month, day of week, as in 0 3 * * mon-fri", field="cron"
        ) from error


def _fault(cron: str) -> str:
    """Say which part of a line is none, as far as one can be told from the others."""
    parts = cron.split()
    if len(parts) != len(_PARTS):
        has = f"{len(parts)} part{'' if len(parts) == 1 else 's'}"
        return f"{cron[:80]!r} is no line of cron, it has {has} and not {len(_PARTS)}"
    for (name, words), part in zip(_PARTS.items(), parts, strict=True):
        try:
            crontab(**{name: part})
        except (ParseException, ValueError, TypeError):
            return f"the {words} {part[:40]!r} is none"
    return f"the parts of {cron[:80]!r} do not go together"


def _following(line: Any, zone: ZoneInfo, after: datetime, cron: str) -> datetime:
    at = after.astimezone(zone)
    line.nowfun = lambda: at
    try:
        last, delta, _ = line.remaining_delta(at, tz=zone)
    except (RuntimeError, ValueError, OverflowError) as error:
        raise ScheduleRefused(f"{cron[:80]!r} names a time that never comes", field="cron") from error
    found: datetime = (last + delta).astimezone(UTC)
    return found if found > after else _following(line, zone, after.replace(second=59) + _A_MINUTE, cron)

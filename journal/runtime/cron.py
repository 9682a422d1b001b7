"""The times of a line of cron, by Celery's own reading of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from celery.schedules import ParseException, crontab

from journal.runtime.schedule_kinds import ScheduleRefused

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
            f"{cron[:80]!r} is no line of cron: minute, hour, day of month, month, day of week: 0 3 * * mon-fri",
            field="cron",
        ) from error


def _following(line: Any, zone: ZoneInfo, after: datetime, cron: str) -> datetime:
    at = after.astimezone(zone)
    line.nowfun = lambda: at
    try:
        last, delta, _ = line.remaining_delta(at, tz=zone)
    except (RuntimeError, ValueError, OverflowError) as error:
        raise ScheduleRefused(f"{cron[:80]!r} names a time that never comes", field="cron") from error
    found: datetime = (last + delta).astimezone(UTC)
    return found if found > after else _following(line, zone, after.replace(second=59) + _A_MINUTE, cron)

"""Audits that are due again and again: the same question over the days before each time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from audits import jobs
from audits.selection import AuditRefused, Query
from journal.access import Permission
from journal.domain import schedule as events
from journal.domain.dispatch import NewDispatch
from journal.runtime.schedule_kinds import ScheduleRefused

TAKES: Final = ("subject", "correlation", "agent", "tool", "days", "purpose")
LONGEST_DAYS: Final = 3_660


class ScheduledAudit:
    """An audit of a subject or a correlation id over the `days` before, or over all that is recorded."""

    name = jobs.KIND
    needs = Permission.AUDIT

    def check(self, project: str, arguments: Mapping[str, Any]) -> None:
        """Refuse what no audit could be asked for with."""
        unknown = sorted(set(arguments) - set(TAKES))
        if unknown:
            raise ScheduleRefused(
                f"an audit takes {', '.join(TAKES)}; {', '.join(unknown)[:80]} was given", field="arguments"
            )
        if any(not isinstance(arguments[name], str) for name in arguments if name != "days"):
            raise ScheduleRefused("an audit's arguments are texts, and days a number", field="arguments")
        try:
            _query(project, arguments, now=datetime.now(UTC))
        except AuditRefused as refused:
            raise ScheduleRefused(str(refused), field="arguments") from refused

    def submit(self, project: str, arguments: Mapping[str, Any], schedule: str) -> Any:
        """Write the job."""
        query = _query(project, arguments, now=datetime.now(UTC))
        purpose = str(arguments.get("purpose") or "")[:200]
        return jobs.submit(query, user_id=None, by=f"schedule {schedule}", purpose=purpose)

    def ended(self, job: Any, known_fails: int | None) -> events.Ended:
        """Say how; the audit itself stands in the journal by an event of its own."""
        del known_fails
        return events.Ended(job=job.id, status=job.status, error=job.error or None)

    def alerts(self, job: Any, ended: events.Ended, schedule: str) -> Sequence[NewDispatch]:
        """Tell nobody: `nagare status` shows jobs that failed."""
        del job, ended, schedule
        return ()


def _query(project: str, arguments: Mapping[str, Any], *, now: datetime) -> Query:
    days = _days(arguments.get("days"))
    until = now.replace(microsecond=0)
    texts = {name: str(arguments.get(name) or "") or None for name in ("subject", "correlation", "agent", "tool")}
    since = until - timedelta(days=days) if days else None
    return Query(project=project, since=since, until=until if days else None, **texts)


def _days(given: Any) -> int:
    if given in (None, ""):
        return 0
    text = str(given) if isinstance(given, str) or (isinstance(given, int) and 0 < given <= LONGEST_DAYS) else ""
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(LONGEST_DAYS))
    if not is_number or not 0 < int(text) <= LONGEST_DAYS:
        raise ScheduleRefused(f"days is a whole number from 1 to {LONGEST_DAYS:,}", field="arguments")
    return int(text)

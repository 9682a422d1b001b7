"""Schedules: re-grades, rebuilds and other jobs that are due again and again, by a line of cron.

A schedule is a row with the time it is due next. Whoever finds it due moves that time on by conditional update, and the
one who did submits the job: however often and by however many it is asked, each time comes once. What was changed and
how each run ended are events, `schedule-<id>`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid5

import msgspec
import structlog
from django.db import transaction
from django.db.models import F
from uuid_utils.compat import uuid7

from journal.access.projects import ensure_project
from journal.domain import codec
from journal.domain import schedule as events
from journal.domain.catalog import catalog
from journal.domain.dispatch import NewDispatch
from journal.domain.event import EventData, Metadata
from journal.domain.stream import ANY_VERSION, stream_name
from journal.errors import JournalError
from journal.models import Job, Schedule
from journal.runtime import cron as crons
from journal.runtime.schedule_kinds import ScheduleRefused, kind_named, names
from journal.store import get_store

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

__all__ = ["ScheduleNotFound", "ScheduleRefused", "Scheduled"]

LONGEST_NAME: Final = 120
_ENDED: Final = ("done", "failed", "cancelled")
_CHANGEABLE: Final = ("name", "cron", "timezone", "arguments")


class Scheduled(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule as pages and programs show it. `outcome` is how its last run ended, None before there was one.

    `has_open_job` is whether the job of its last time was not seen to end yet.
    """

    id: str
    project: str
    name: str
    kind: str
    cron: str
    timezone: str
    arguments: dict[str, Any]
    is_paused: bool
    next_due_at: datetime | None
    last_due_at: datetime | None
    last_job: str | None
    outcome: dict[str, Any] | None
    created_by: str | None
    created_at: datetime
    has_open_job: bool = False


class ScheduleNotFound(JournalError):
    """No such schedule in this project."""

    def __init__(self, *, schedule: str, project: str) -> None:
        self.schedule = schedule
        self.project = project
        super().__init__(f"no schedule {schedule!r} in project {project!r}")


def kinds() -> tuple[str, ...]:
    """Return what can be scheduled: `regrade`, `rebuild`, and what other apps add."""
    return names()


def upcoming(cron: str, *, timezone: str = "UTC", after: datetime, count: int = 5) -> list[datetime]:
    """Return the next times of a line of cron, in UTC, for a form to show.

    Raises:
        ScheduleRefused: it is no line of cron, there is no such time zone, or such a time never comes.
    """
    return crons.upcoming(cron, timezone=timezone, after=after, count=count)


def add(  # noqa: PLR0913 - a schedule is what it is
    *,
    project: str,
    name: str,
    kind: str,
    cron: str,
    arguments: Mapping[str, Any],
    timezone: str = "UTC",
    by: str | None = None,
    now: datetime | None = None,
) -> Scheduled:
    """Add a schedule. `arguments` are the job's: `{"rule", "since", "until", "query"}` or `{"projection"}`.

    Raises:
        ScheduleRefused: something of it cannot be.
        ProjectRefused: there is no such project.
    """
    ensure_project(project)
    kind_named(kind).check(project, dict(arguments))
    row = Schedule(
        id=str(uuid7()),
        project_id=project,
        name=_named(name),
        kind=kind,
        cron=cron.strip(),
        timezone=timezone,
        arguments=dict(arguments),
        next_due_at=_next(cron, timezone, now),
        created_by=by or "",
    )
    row.save(force_insert=True)
    _record(row, _saved(row, by), by)
    return _as_scheduled(row)


def change(
    schedule: str, *, project: str, by: str | None = None, now: datetime | None = None, **fields: Any
) -> Scheduled:
    """Change `name`, `cron`, `timezone` or `arguments`; what was due and was not run yet is not made up for.

    Raises:
        ScheduleNotFound: the project has none of this id.
        ScheduleRefused: something of it cannot be.
    """
    row = _row(schedule, project)
    for name, value in fields.items():
        if name not in _CHANGEABLE:
            raise ScheduleRefused(f"{name} cannot be changed; {', '.join(_CHANGEABLE)} can", field=name)
        setattr(row, name, value)
    kind_named(row.kind).check(project, row.arguments)
    row.name, row.cron = _named(row.name), row.cron.strip()
    row.next_due_at = _next(row.cron, row.timezone, now)
    row.save(update_fields=[*_CHANGEABLE, "next_due_at"])
    _record(row, _saved(row, by), by)
    return _as_scheduled(row)


def pause(schedule: str, *, project: str, by: str | None = None) -> Scheduled:
    """Let a schedule rest; what would have been due meanwhile is not made up for.

    Raises:
        ScheduleNotFound: the project has none of this id.
    """
    row = _row(schedule, project)
    if not row.is_paused:
        row.is_paused = True
        row.save(update_fields=["is_paused"])
        _record(row, events.Paused(by=by), by)
    return _as_scheduled(row)


def go_on(schedule: str, *, project: str, by: str | None = None, now: datetime | None = None) -> Scheduled:
    """Let a paused schedule go on from now.

    Raises:
        ScheduleNotFound: the project has none of this id.
    """
    row = _row(schedule, project)
    if row.is_paused:
        row.is_paused, row.next_due_at = False, _next(row.cron, row.timezone, now)
        row.save(update_fields=["is_paused", "next_due_at"])
        _record(row, events.Continued(by=by), by)
    return _as_scheduled(row)


def delete(schedule: str, *, project: str, by: str | None = None) -> None:
    """Remove a schedule; what it set off stays.

    Raises:
        ScheduleNotFound: the project has none of this id.
    """
    row = _row(schedule, project)
    _record(row, events.Deleted(by=by), by)
    row.delete()


def find(schedule: str, *, project: str) -> Scheduled | None:
    """Return a schedule of a project."""
    row = Schedule.objects.filter(id=schedule, project_id=project).first()
    return _as_scheduled(row) if row else None


def listing(project: str) -> list[Scheduled]:
    """Return a project's schedules, the next due first, paused ones last."""
    rows = Schedule.objects.filter(project_id=project).order_by("is_paused", "next_due_at", "id")
    return list(map(_as_scheduled, rows))


# --- Running ----------------------------------------------------------------------------------------------------------


def run_due(*, now: datetime) -> list[Job]:
    """Submit the jobs of the schedules that are due, each once however many ask; the caller wakes workers.

    A time that passed while nobody asked is made up for once, however many have passed.
    """
    due = Schedule.objects.filter(is_paused=False, next_due_at__lte=now).order_by("next_due_at", "id")
    return [job for row in due if (job := _run(row, now)) is not None]


def _run(row: Schedule, now: datetime) -> Job | None:
    job, reason = None, ""
    _settle_last(row)
    with transaction.atomic():  # the job is there exactly where the time was claimed
        mine = Schedule.objects.filter(id=row.id, next_due_at=row.next_due_at, is_paused=False)
        if not mine.update(next_due_at=_next(row.cron, row.timezone, now), last_due_at=row.next_due_at):
            return None
        try:
            with transaction.atomic():
                job = kind_named(row.kind).submit(str(row.project_id), dict(row.arguments), row.id)
        except JournalError as refusal:
            reason = str(refusal)
            Schedule.objects.filter(id=row.id).update(outcome={"status": "refused", "error": reason, **_known(row)})
            log.warning("schedule_refused", schedule=row.id, kind=row.kind)
        else:
            Schedule.objects.filter(id=row.id).update(last_job=job.id)
    due = events.Due(due_at=row.next_due_at, job=job.id if job else None, reason=reason or None)
    _record(row, due, None, key=f"due {row.next_due_at}")
    return job


def run_now(schedule: str, *, project: str, by: str | None = None, now: datetime | None = None) -> Job:
    """Submit a schedule's job out of turn; its next time stays, and so does its pause. The caller wakes a worker.

    Raises:
        ScheduleNotFound: the project has none of this id.
        ScheduleRefused: the job of its last time has not ended.
        JournalError: what it would do cannot be done any more.
    """
    row, at = _row(schedule, project), now or datetime.now(UTC)
    if row.last_job and Job.objects.filter(id=row.last_job).exclude(status__in=_ENDED).exists():
        raise ScheduleRefused("the job of its last time has not ended", field="")
    _settle_last(row)
    with transaction.atomic():
        mine = Schedule.objects.filter(id=row.id, last_job=row.last_job)
        if not mine.update(last_due_at=at):
            raise ScheduleRefused("somebody else ran it at this moment", field="")
        job = kind_named(row.kind).submit(str(row.project_id), dict(row.arguments), row.id)
        Schedule.objects.filter(id=row.id).update(last_job=job.id)
    _record(row, events.Due(due_at=at, job=job.id, by=by), by, key=f"run {job.id}")
    return job


def settle() -> int:
    """Take in how the schedules' jobs ended, each once. Returns how many did.

    Where a re-grade finds another number of failing runs than the one before, somebody is told, once.
    """
    waiting = Schedule.objects.exclude(last_job="").exclude(last_job=F("settled_job")).order_by("id")
    return sum(_settle(row) for row in waiting)


def _settle_last(row: Schedule) -> None:
    """Take in how the last job ended where nobody did yet: the next one takes its place in the row."""
    if row.last_job and row.last_job != row.settled_job:
        _settle(row)


def _settle(row: Schedule) -> bool:
    job = Job.objects.filter(id=row.last_job, status__in=_ENDED).first()
    if job is None:
        return False
    kind = kind_named(row.kind)
    ended = kind.ended(job, _known(row).get("known_fails"))
    dispatches = kind.alerts(job, ended, row.name)
    _record(row, ended, None, key=f"ended {job.id}", dispatches=dispatches)
    known = ended.fails if ended.fails is not None else _known(row).get("known_fails")
    outcome = {**msgspec.structs.asdict(ended), "known_fails": known, "ended_at": _iso(job.finished_at)}
    changed = Schedule.objects.filter(id=row.id, last_job=job.id).exclude(settled_job=job.id)
    row.settled_job, row.outcome = job.id, outcome
    return bool(changed.update(settled_job=job.id, outcome=outcome))


def _known(row: Schedule) -> dict[str, Any]:
    return {"known_fails": (row.outcome or {}).get("known_fails")}


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


# --- Rows and events --------------------------------------------------------------------------------------------------


def _named(name: str) -> str:
    name = name.strip()
    if not name or len(name) > LONGEST_NAME:
        raise ScheduleRefused(f"a schedule needs a name, of {LONGEST_NAME} characters at most", field="name")
    return name


def _next(cron: str, timezone: str, now: datetime | None) -> datetime:
    return crons.upcoming(cron, timezone=timezone, after=now or datetime.now(UTC), count=1)[0]


def _row(schedule: str, project: str) -> Schedule:
    row = Schedule.objects.filter(id=schedule, project_id=project).first()
    if row is None:
        raise ScheduleNotFound(schedule=schedule, project=project)
    return row


def _saved(row: Schedule, by: str | None) -> events.Saved:
    return events.Saved(
        name=row.name, kind=row.kind, cron=row.cron, timezone=row.timezone, arguments=dict(row.arguments), by=by
    )


def _record(
    row: Schedule, event: msgspec.Struct, by: str | None, *, key: str = "", dispatches: Sequence[NewDispatch] = ()
) -> None:
    """Append an event of a schedule; under a `key`, once."""
    known_id = str(uuid5(UUID(row.id), key)) if key else None
    store, stream = get_store(str(row.project_id)), stream_name(events.CATEGORY, row.id)
    data = EventData(
        id=known_id,
        type=catalog.name_of(type(event)),
        data=codec.encode(event),
        metadata=codec.encode(Metadata(actor=by)),
    )
    store.append(stream, [data], expected_version=ANY_VERSION, dispatches=dispatches)


def _as_scheduled(row: Schedule) -> Scheduled:
    return Scheduled(
        id=row.id,
        project=str(row.project_id),
        name=row.name,
        kind=row.kind,
        cron=row.cron,
        timezone=row.timezone,
        arguments=dict(row.arguments),
        is_paused=row.is_paused,
        next_due_at=None if row.is_paused else row.next_due_at,
        last_due_at=row.last_due_at,
        last_job=row.last_job or None,
        outcome=row.outcome,
        created_by=row.created_by or None,
        created_at=row.created_at,
        has_open_job=bool(row.last_job) and row.last_job != row.settled_job,
    )

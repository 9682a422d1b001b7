"""What is to be done and by whom: the outbox, process managers, jobs; and the lists behind their counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Count, Max, Min, Q, QuerySet

from journal.domain.process import CATEGORY_PREFIX, TIMEOUT
from journal.domain.text import amount, clip
from journal.models import Dispatch, Job, ParkedEvent, StreamRow
from journal.runtime import outbox, process_manager
from journal.runtime.job import STALE_AFTER
from journal.runtime.status_lines import (
    EffectLine,
    JobLine,
    Level,
    OutboxLine,
    ProcessLine,
    Scope,
    span,
)
from journal.runtime.status_reading import Marks

SLOW_AFTER_S: Final = 30.0
"""What has been due for longer than this is slow: the outbox looks every second."""

FAILED_SHOWN_FOR: Final = timedelta(days=1)
_JOBS: Final = 50
_ERRORS: Final = 200
_LISTED: Final = 100
_MICRO: Final = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class DispatchLine:
    """A dispatch of one project, as its list shows it."""

    id: str
    effect: str
    target: str
    event_id: str
    state: str
    attempts: int
    last_error: str
    created_us: int
    next_try_us: int | None
    ended_us: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ParkedLine:
    """An event of one project that a subscription set aside."""

    id: int
    event_id: str
    position: int
    state: str
    attempts: int
    reason: str
    parked_at: datetime
    next_try_at: datetime | None


# --- Outbox -----------------------------------------------------------------------------------------------------------


def outbox_line(scope: Scope, *, now: datetime) -> OutboxLine:
    """Return what waits in the outbox, an effect and project a line, what needs a person first."""
    counted = {(row["project"], row["effect"]): row for row in _counted(scope, now)}
    errors = _errors(scope)
    found = [_effect(row, errors.get(key, ""), scope, now) for key, row in counted.items()]
    busy = {one.effect for one in found}
    found += [_quiet(name) for name in outbox.in_outbox() if name not in busy]
    found.sort(key=lambda one: (_ORDER[one.level], -one.pending, one.effect, one.project or ""))
    waits = [one.oldest_due_s for one in found if one.oldest_due_s is not None]
    return OutboxLine(
        pending=sum(one.pending for one in found),
        due=sum(one.due for one in found),
        dead=sum(one.dead for one in found),
        oldest_due_s=max(waits, default=None),
        effects=tuple(found),
    )


_ORDER: Final = {"fails": 0, "caution": 1, "active": 2, "ok": 3, "idle": 4}


def outbox_summary(line: OutboxLine) -> str:
    """Return how much waits and for how long, in a sentence."""
    if not line.pending:
        return "Nothing is pending."
    late = sum(one.late for one in line.effects)
    if line.oldest_due_s is not None:
        return f"{line.pending:,} pending, the oldest due for {span(line.oldest_due_s)}."
    return (
        f"{line.pending:,} pending, none is due: {late:,} wait for their time."
        if late
        else f"{line.pending:,} pending."
    )


def gave_up(line: OutboxLine) -> str:
    """Return how many dispatches were given up, in a sentence; nothing where none was."""
    return f"{line.dead:,} gave up." if line.dead else ""


def dispatches(project: str, *, state: str = "dead", effect: str = "") -> list[DispatchLine]:
    """Return a project's newest dispatches in a state."""
    rows = Dispatch.objects.filter(project=project, state=state)
    if effect:
        rows = rows.filter(effect=effect)
    return [_dispatch(row) for row in rows.order_by("-created_us", "id")[:_LISTED]]


def is_dispatch_of(project: str, dispatch: str) -> bool:
    """Return whether a project has a dispatch of this id."""
    return Dispatch.objects.filter(project=project, id=dispatch).exists()


def dispatches_of(project: str, ids: Iterable[str]) -> dict[str, DispatchLine]:
    """Return a project's dispatches by id."""
    found = Dispatch.objects.filter(project=project, id__in=list(ids))
    return {row.id: _dispatch(row) for row in found}


def _counted(scope: Scope, now: datetime) -> Iterable[dict[str, Any]]:
    pending, due = Q(state="pending"), Q(state="pending", next_try_us__lte=_us(now))
    rows: Iterable[dict[str, Any]] = (
        _seen(Dispatch.objects.filter(state__in=("pending", "dead")), scope)
        .values("project", "effect")
        .annotate(
            pending=Count("id", filter=pending),
            due=Count("id", filter=due),
            late=Count("id", filter=pending & Q(next_try_us__gt=_us(now), attempts=0)),
            dead=Count("id", filter=Q(state="dead")),
            most=Max("attempts"),
            oldest=Min("next_try_us", filter=due),
            next=Min("next_try_us", filter=pending),
        )
        .order_by()
    )
    return rows


def _errors(scope: Scope) -> dict[tuple[str, str], str]:
    """Return the newest error of each project and effect, of the projects that are shown."""
    rows = Dispatch.objects.filter(state__in=("pending", "dead")).exclude(last_error="")
    if scope.projects is not None:
        rows = rows.filter(project__in=scope.projects)
    found: dict[tuple[str, str], str] = {}
    for project, effect, error in rows.order_by("-created_us").values_list("project", "effect", "last_error")[:_ERRORS]:
        found.setdefault((project, effect), clip(error))
    return found


def _effect(row: dict[str, Any], error: str, scope: Scope, now: datetime) -> EffectLine:
    oldest = (_us(now) - row["oldest"]) / _MICRO if row["oldest"] is not None else None
    retrying = row["pending"] - row["due"] - row["late"]
    next_try = (row["next"] - _us(now)) / _MICRO if row["next"] is not None else None
    state, level, words = _delivering(row, oldest, retrying, next_try)
    return EffectLine(
        effect=row["effect"],
        project=row["project"],
        is_own=scope.has(row["project"]),
        pending=row["pending"],
        due=row["due"],
        retrying=retrying,
        late=row["late"],
        dead=row["dead"],
        attempts=row["most"] or 0,
        oldest_due_s=oldest,
        next_try_in_s=max(next_try, 0.0) if next_try is not None else None,
        last_error=error,
        state=state,
        level=level,
        words=words,
    )


def _delivering(
    row: dict[str, Any], oldest: float | None, retrying: int, next_try: float | None
) -> tuple[str, Level, str]:
    waiting = f"; {row['pending']:,} pending" if row["pending"] else ""
    if row["dead"]:
        return (
            "gave up",
            "fails",
            f"{row['dead']:,} parked after {amount(row['most'], 'attempt')}, others pass{waiting}",
        )
    if oldest is not None and oldest > SLOW_AFTER_S:
        return "slow", "caution", f"{row['due']:,} due, the oldest for {span(oldest)}"
    if retrying and next_try is not None:
        return "retrying", "caution", f"{retrying:,} refused once or more, next try in {span(next_try)}"
    if row["due"]:
        return "healthy", "ok", f"keeps up, {row['due']:,} due"
    return "waiting", "idle", f"{row['late']:,} for their time, the first in {span(next_try or 0.0)}"


def _quiet(name: str) -> EffectLine:
    return EffectLine(
        effect=name,
        project=None,
        is_own=True,
        pending=0,
        due=0,
        retrying=0,
        late=0,
        dead=0,
        attempts=0,
        oldest_due_s=None,
        next_try_in_s=None,
        last_error="",
        state="healthy",
        level="ok",
        words="nothing to deliver",
    )


def _dispatch(row: Dispatch) -> DispatchLine:
    return DispatchLine(
        id=row.id,
        effect=row.effect,
        target=row.target,
        event_id=row.event_id,
        state=row.state,
        attempts=row.attempts,
        last_error=row.last_error,
        created_us=row.created_us,
        next_try_us=row.next_try_us if row.state == "pending" else None,
        ended_us=row.ended_us,
    )


# --- Parked events ----------------------------------------------------------------------------------------------------


def parked_events(project: str, subscription: str) -> list[ParkedLine]:
    """Return the events of a project that a subscription has set aside, the oldest first."""
    rows = ParkedEvent.objects.filter(project=project, subscription=subscription).order_by("position")
    return [_parked(row) for row in rows[:_LISTED]]


def parked_event(project: str, parked_id: int) -> tuple[str, ParkedLine] | None:
    """Return one event of a project that is set aside, with its subscription."""
    row = ParkedEvent.objects.filter(project=project, id=parked_id).first()
    return (row.subscription, _parked(row)) if row else None


def _parked(row: ParkedEvent) -> ParkedLine:
    return ParkedLine(
        id=row.id,
        event_id=row.event_id,
        position=row.position,
        state=row.state,
        attempts=row.attempts,
        reason=row.reason,
        parked_at=row.parked_at,
        next_try_at=row.next_try_at if row.state == "waiting" else None,
    )


# --- Process managers and jobs ----------------------------------------------------------------------------------------


def process_lines(scope: Scope, marks: Marks) -> tuple[ProcessLine, ...]:
    """Return a line for each process manager."""
    known = process_manager.registered()
    if not known:
        return ()
    begun = _seen(StreamRow.objects.filter(category__startswith=CATEGORY_PREFIX), scope).values_list("category")
    counted = dict(begun.annotate(count=Count("id")).order_by())
    waits = {
        f"n{at}": Count("id", filter=Q(target__startswith=f"{CATEGORY_PREFIX}{one.name}-"))
        for at, one in enumerate(known)
    }
    waiting = _seen(Dispatch.objects.filter(effect=TIMEOUT, state="pending"), scope).aggregate(**waits)
    return tuple(
        _process(one.name, counted.get(f"{CATEGORY_PREFIX}{one.name}", 0), waiting[f"n{at}"] or 0, marks)
        for at, one in enumerate(known)
    )


def processes_summary(found: Iterable[ProcessLine]) -> str:
    """Return how many processes there were and how many wait."""
    lines = list(found)
    begun, waiting = sum(one.begun for one in lines), sum(one.waiting for one in lines)
    if not begun:
        return "None has begun."
    waits = {0: "none waits", 1: "1 waits"}.get(waiting, f"{waiting:,} wait")
    return f"{amount(begun, 'process', 'processes')} begun, {waits} for what comes next."


def _process(name: str, begun: int, waiting: int, marks: Marks) -> ProcessLine:
    parked, given_up = marks.parked(f"process-{name}")
    state: str = "waiting" if waiting else "idle"
    level: Level = "active" if waiting else "idle"
    words = f"{waiting:,} of {begun:,} wait, each with a timeout" if waiting else "nothing waits"
    if given_up:
        state, level, words = "set aside", "fails", f"{amount(given_up, 'event')} set aside for good; {words}"
    return ProcessLine(
        name=name,
        begun=begun,
        waiting=waiting,
        parked=parked,
        given_up=given_up,
        state=state,
        level=level,
        words=words,
    )


def recent_jobs(now: datetime) -> list[Job]:
    """Return the jobs that are open or failed lately, of all projects, newest first."""
    lately = Q(status="failed", finished_at__gt=now - FAILED_SHOWN_FOR)
    return list(Job.objects.filter(Q(status__in=("queued", "running")) | lately).order_by("-created_at", "-id")[:_JOBS])


def job_lines(jobs: Iterable[Job], scope: Scope, *, now: datetime) -> tuple[JobLine, ...]:
    """Return a line for each job that is shown."""
    return tuple(_job(job, scope, now) for job in jobs if scope.sees_others or scope.has(job.project_id))


def jobs_summary(found: Iterable[JobLine]) -> str:
    """Return how many run, wait and failed."""
    lines = list(found)
    counted = {state: sum(one.state == state for one in lines) for state in ("running", "queued", "lost", "failed")}
    said = [f"{count:,} {state}" for state, count in counted.items() if count]
    return ", ".join(said) + "." if said else "None is open, and none failed in the last day."


def _job(job: Job, scope: Scope, now: datetime) -> JobLine:
    beat = (now - job.heartbeat_at).total_seconds() if job.heartbeat_at and job.status == "running" else None
    state, level, words = _working(job, beat)
    is_own = scope.has(job.project_id)
    return JobLine(
        id=job.id,
        kind=job.kind,
        project=job.project_id,
        is_own=is_own,
        done=job.done,
        total=job.total,
        unit=job.unit,
        attempt=job.attempt,
        beat_s=beat,
        error=clip(job.error) if is_own else "",
        state=state,
        level=level,
        words=words,
    )


def _working(job: Job, beat: float | None) -> tuple[str, Level, str]:
    if job.status == "queued":
        return "queued", "active", "waits for a worker"
    if job.status == "failed":
        return "failed", "caution", f"stopped in attempt {job.attempt}"
    again = f", attempt {job.attempt}" if job.attempt > 1 else ""
    if beat is not None and beat > STALE_AFTER.total_seconds():
        return "lost", "caution", f"its worker is silent for {span(beat)}{again}; the next one takes it over"
    of = f" of {job.total:,}" if job.total else ""
    return "running", "active", f"{job.done:,}{of} {job.unit}{again}"


def _seen(rows: QuerySet[Any], scope: Scope) -> QuerySet[Any]:
    if scope.projects is None or scope.sees_others:
        return rows
    return rows.filter(project__in=scope.projects)


def _us(moment: datetime) -> int:
    return int(moment.timestamp() * _MICRO)

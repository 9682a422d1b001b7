"""What came out of a re-grade, read from the projection `grades` and the job's frozen runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, cast

from django.db.models import Count, F, Min, Q, QuerySet, Sum
from django.db.models.functions import Mod

from journal.access.projects import DEFAULT_PROJECT
from journal.models import GradeRow, Job, JobPart, JobRun
from journal.runtime import job_parts
from journal.runtime.read_model import live_generation
from journal.runtime.regrade_plan import PROJECTION, moment
from journal.runtime.regrade_types import Flips, Grade, Group, Page, Progress, Report, Side, Status
from journal.runtime.regrade_work import definition_of

Only = Literal["all", "holds", "fails", "error", "newly_failing", "newly_holding"]
NEWLY_FAILING: Final = Q(verdict="fails", previous="holds")
NEWLY_HOLDING: Final = Q(verdict="holds", previous="fails")
_ONLY: Final[dict[str, Q]] = {
    "all": Q(),
    "holds": Q(verdict="holds"),
    "fails": Q(verdict="fails"),
    "error": Q(verdict="error"),
    "newly_failing": NEWLY_FAILING,
    "newly_holding": NEWLY_HOLDING,
}
_SIDES: Final[tuple[Side, ...]] = ("holds", "fails", "error")
_DAY_US: Final = 86_400_000_000
_MOST_GROUPS: Final = 200
_CURSOR: Final = re.compile(r"(-?\d{1,19})\.(\d{1,19})", re.ASCII)
_UNTIMED: Final = 2**62
"""Where verdicts without a failing event stand: behind all others."""


def rows_of(job: Job) -> QuerySet[GradeRow]:
    """Return the verdicts on the runs of a job, also those that were there before it."""
    project = job.project_id or DEFAULT_PROJECT
    asked = JobRun.objects.filter(job=job.id).values("grade")
    return GradeRow.objects.filter(generation=live_generation(PROJECTION), project=project, grade__in=asked)


def progress(job: Job) -> Progress:
    """Return how far a job is. A part counts when its verdicts are stored."""
    told = job.result or {}
    names = ("runs", "events", "holds", "fails", "errors", "newly_failing", "newly_holding", "seconds")
    done = JobPart.objects.filter(job=job, state="done").aggregate(**{name: Sum(name) for name in names})
    sums = {name: done[name] or 0 for name in names}
    skipped = int(told.get("skipped", 0))
    rate = _rate(job, told, sums["events"])
    left = max(0, int(told.get("events_total", 0)) - sums["events"])
    return Progress(
        status=cast("Status", job.status),
        step=_step(job, told),
        runs=skipped + sums["runs"],
        total=job.total or 0,
        events=sums["events"],
        events_per_s=rate,
        eta_s=left / rate if rate and job.status == "running" else None,
        holds=sums["holds"],
        fails=sums["fails"],
        errors=sums["errors"],
        newly_failing=sums["newly_failing"],
        newly_holding=sums["newly_holding"],
        skipped=skipped,
        workers=job_parts.workers(job) if job.status == "running" else 0,
        error=job.error,
    )


def _step(job: Job, told: dict[str, Any]) -> Literal["plan", "grade", "report"]:
    if "events_total" not in told:
        return "plan"
    return "report" if job.status == "done" or told.get("is_graded") else "grade"


def _rate(job: Job, told: dict[str, Any], events: int) -> float | None:
    """Return the events a second of all workers together since the parts were there."""
    if not events or not told.get("began_at"):
        return None
    ended = job.finished_at or datetime.now(UTC)
    passed = (ended - datetime.fromisoformat(told["began_at"])).total_seconds()
    return events / passed if passed > 0 else None


def report(job: Job) -> Report:
    """Return what the verdicts of a job amount to so far; they are all there once it is done."""
    definition, rows = definition_of(job), rows_of(job)
    counts = rows.aggregate(
        **{side: Count("id", filter=Q(verdict=side)) for side in _SIDES},
        newly_failing=Count("id", filter=NEWLY_FAILING),
        newly_holding=Count("id", filter=NEWLY_HOLDING),
    )
    runs = JobRun.objects.filter(job=job.id)
    return Report(
        rule=definition.rule,
        rule_version=definition.rule_version,
        previous_version=definition.previous_version,
        runs=runs.count(),
        holds=counts["holds"],
        fails=counts["fails"],
        errors=counts["error"],
        skipped=runs.filter(is_kept=True).count(),
        newly_failing=counts["newly_failing"],
        newly_holding=counts["newly_holding"],
        first_failing=_first(rows),
        matrix=_matrix(rows),
        by_tool=_groups(rows.exclude(verdict="holds"), "tool"),
        by_model=_groups(rows, "model"),
        by_agent=_groups(rows, "agent"),
        by_day=_days(rows),
    )


def _first(rows: QuerySet[GradeRow]) -> Grade | None:
    """Return the failing event that comes first in the journal's order."""
    failing = rows.filter(verdict="fails")
    position = failing.aggregate(at=Min("at_position"))["at"]
    found = failing.filter(at_position=position).first() if position is not None else None
    return as_grade(found) if found else None


def _matrix(rows: QuerySet[GradeRow]) -> tuple[Flips, ...]:
    counted = rows.order_by().values_list("previous", "verdict").annotate(runs=Count("id"))
    found = [Flips(before=_side(before), now=now, runs=runs) for before, now, runs in counted]
    return tuple(sorted(found, key=lambda each: (each.before or "", each.now)))


def _groups(rows: QuerySet[GradeRow], column: str) -> tuple[Group, ...]:
    counted = (
        rows.order_by()
        .values_list(column)
        .annotate(
            runs=Count("id"),
            fails=Count("id", filter=Q(verdict="fails")),
            errors=Count("id", filter=Q(verdict="error")),
        )
        .order_by("-fails", "-runs", column)[:_MOST_GROUPS]
    )
    return tuple(Group(name=name, runs=runs, fails=fails, errors=errors) for name, runs, fails, errors in counted)


def _days(rows: QuerySet[GradeRow]) -> tuple[Group, ...]:
    """Return the verdicts by the day on which the runs began, UTC, the oldest first."""
    counted = (
        rows.exclude(started_us=None)
        .order_by()
        .annotate(day=F("started_us") - Mod(F("started_us"), _DAY_US))
        .values_list("day")
        .annotate(
            runs=Count("id"),
            fails=Count("id", filter=Q(verdict="fails")),
            errors=Count("id", filter=Q(verdict="error")),
        )
        .order_by("day")
    )
    return tuple(
        Group(name=f"{moment(int(day)):%Y-%m-%d}", runs=runs, fails=fails, errors=errors)
        for day, runs, fails, errors in counted
    )


def grades(  # noqa: PLR0913 - a page is what it is
    job: Job,
    *,
    only: Only = "fails",
    tool: str = "",
    model: str = "",
    agent: str = "",
    after: str = "",
    limit: int = 100,
) -> Page:
    """Return verdicts of a job by the time of the event that they are about, the earliest first.

    Those that are about no event come last.
    """
    named = {name: value for name, value in (("tool", tool), ("model", model), ("agent", agent)) if value}
    rows = rows_of(job).filter(_ONLY[only], **named).order_by(F("occurred_us").asc(nulls_last=True), "id")
    if cursor := _CURSOR.fullmatch(after):
        rows = rows.filter(_behind(int(cursor[1]), int(cursor[2])))
    found = list(rows[: limit + 1])
    shown = found[:limit]
    more = len(found) > limit
    return Page(grades=tuple(map(as_grade, shown)), next=_cursor(shown[-1]) if more else "")


def _behind(occurred_us: int, pk: int) -> Q:
    if occurred_us == _UNTIMED:
        return Q(occurred_us=None, id__gt=pk)
    return Q(occurred_us__gt=occurred_us) | Q(occurred_us=occurred_us, id__gt=pk) | Q(occurred_us=None)


def _cursor(row: GradeRow) -> str:
    return f"{_UNTIMED if row.occurred_us is None else row.occurred_us}.{row.pk}"


def verdicts_of(project: str, streams: Sequence[str]) -> dict[str, list[Grade]]:
    """Return the newest verdict of each rule on some runs, by stream; for chips beside a run."""
    rows = GradeRow.objects.filter(generation=live_generation(PROJECTION), project=project, run__in=list(streams))
    newest: dict[tuple[str, str], GradeRow] = {}
    for row in rows.order_by("rule", "position"):
        newest[row.run, row.rule] = row
    found: dict[str, list[Grade]] = {}
    for (stream, _), row in newest.items():
        found.setdefault(stream, []).append(as_grade(row))
    return found


def as_grade(row: GradeRow) -> Grade:
    """Return a verdict from its row."""
    return Grade(
        rule=row.rule,
        rule_version=row.rule_version,
        stream=row.run,
        run_version=row.run_version,
        verdict=cast("Side", row.verdict),
        version=row.at_version,
        position=row.at_position,
        event_id=row.event_id or None,
        event_type=row.event_type or None,
        message=row.message,
        tool=row.tool,
        model=row.model,
        agent=row.agent,
        started_at=moment(row.started_us),
        occurred_at=moment(row.occurred_us),
        flips=row.flips,
        previous=_side(row.previous),
    )


def _side(word: str) -> Side | None:
    return next((side for side in _SIDES if side == word), None)


def as_json(job: Job) -> dict[str, Any]:
    """Return the outcome as `nagare regrade --json` prints it (contract §1), with the job's own figures."""
    found, definition = report(job), definition_of(job)
    failing = rows_of(job).filter(verdict="fails").order_by("occurred_us", "id")
    return {
        "rule": found.rule,
        "rule_version": found.rule_version,
        "previous_version": found.previous_version,
        "scope": {"since": definition.since, "until": definition.until, "query": definition.query},
        "runs": found.runs,
        "holds": found.holds,
        "fails": found.fails,
        "errors": found.errors,
        "skipped": found.skipped,
        "first_failing": _place(found.first_failing) if found.first_failing else None,
        "failing": [
            {"stream": row.run, "version": row.at_version, "event_id": row.event_id, "message": row.message}
            for row in failing.iterator()
        ],
        "newly_failing": found.newly_failing,
        "newly_holding": found.newly_holding,
        "job": job.id,
        "status": job.status,
    }


def _place(grade: Grade) -> dict[str, Any]:
    return {
        "stream": grade.stream,
        "version": grade.version,
        "position": grade.position,
        "event_id": grade.event_id,
        "type": grade.event_type,
        "message": grade.message,
    }

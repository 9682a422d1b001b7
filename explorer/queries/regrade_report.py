"""One re-grade: how far it is, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any, Final, Literal
from urllib.parse import urlencode

from django.urls import reverse

from explorer import charts, figures
from explorer.plotly import style_ids
from explorer.queries.reach_page import address_of
from explorer.queries.regrade_scope import (
    Preview,
    Scope,
    day_of,
    href_of,
    preview,
    says_of,
    scope_words,
    titles_of,
    us_of,
)
from journal.runtime import regrade
from journal.runtime.regrade import Definition, Grade, Group, Progress, Report

ENDED: Final = ("done", "failed", "cancelled")
_JOBS: Final = 50
_PAGE: Final = 50
_GROUPS: Final = 12
_PERCENT: Final = 100
_STEP: Final = 10

Only = Literal["all", "holds", "fails", "error", "newly_failing", "newly_holding"]
_ONLY: Final[tuple[tuple[Only, str], ...]] = (
    ("newly_failing", "Newly failing"),
    ("newly_holding", "Newly holding"),
    ("fails", "All failing"),
    ("error", "Errors"),
    ("holds", "Holding"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class GradeLine:
    """A verdict as a row of the list: when its event occurred, and where it leads."""

    grade: Grade
    title: str
    href: str
    at_us: int | None
    says: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Tab:
    """A part of the list with how many runs are in it."""

    name: str
    words: str
    count: int
    href: str
    is_on: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """A field of the flip matrix."""

    runs: int
    words: str
    kind: str
    href: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """A group with the share of its runs that fail, in percent."""

    group: Group
    percent: float
    href: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Breakdown:
    """Failures by something that runs have in common."""

    name: str
    shares: tuple[Share, ...]
    left_out: int


@dataclass(frozen=True, kw_only=True, slots=True)
class RegradePage:
    """A re-grade, as far as it is."""

    id: str
    asked: Definition
    scope: str
    progress: Progress
    report: Report
    answer: str
    announcement: str
    matrix: tuple[tuple[Cell, Cell], ...]
    ungraded: int
    tabs: tuple[Tab, ...]
    only: Only
    lines: tuple[GradeLine, ...]
    next: str
    filters: tuple[tuple[str, str, str], ...]
    breakdowns: tuple[Breakdown, ...]
    days: tuple[charts.Day, ...]
    chart: dict[str, Any] | None
    empty: Preview | None
    begun_us: int
    ended_us: int | None
    error: str

    @property
    def state(self) -> str:
        """Return the job's status."""
        return self.progress.status

    @property
    def has_ended(self) -> bool:
        """Whether nothing will change by itself."""
        return self.state in ENDED

    @property
    def reach(self) -> str:
        """The page of what rests on the failing events of this part of the list, empty where there is one at most."""
        failing = [
            (line.grade.stream, line.grade.version)
            for line in self.lines
            if line.grade.verdict == "fails" and line.grade.version
        ]
        return address_of(failing) if len(failing) > 1 else ""

    @property
    def style_ids(self) -> tuple[str, ...]:
        """The names under which Plotly would add style sheets to the page."""
        return style_ids()

    @property
    def percent(self) -> int:
        """How much of it is done."""
        return _PERCENT * self.progress.runs // self.progress.total if self.progress.total else 0

    @property
    def took(self) -> str:
        """How long it took, in words."""
        return figures.duration((self.ended_us - self.begun_us) / 1000) if self.ended_us else ""

    @property
    def left(self) -> str:
        """What is known of the rest: time, rate, workers."""
        done = self.progress
        words = [f"about {figures.duration(done.eta_s * 1000)} left"] if done.eta_s is not None else []
        if done.events_per_s:
            words.append(f"{done.events_per_s:,.0f} events/s")
        if done.workers:
            words.append(figures.counted(done.workers, "worker"))
        return " · ".join(words)


def regrade_page(project: str, job_id: str, query: Mapping[str, str], zone: tzinfo) -> RegradePage | None:
    """Return a re-grade of a project; None where there is none of this id."""
    job = regrade.find(job_id.replace("\x00", ""), project=project)
    if job is None:
        return None
    asked, progress, report = regrade.definition(job), regrade.progress(job), regrade.report(job)
    only = _only(query.get("flip", ""), report)
    chosen = {name: query.get(name, "").replace("\x00", "")[:200] for name in ("tool", "model", "agent")}
    page = regrade.grades(job, only=only, after=query.get("after", "")[:200], limit=_PAGE, **chosen)
    path = reverse("explorer:regrade", args=[job.id])
    days = tuple(_days(project, job, asked, report))
    return RegradePage(
        id=job.id,
        asked=asked,
        scope=scope_words(asked, zone),
        progress=progress,
        report=report,
        answer=_answer(progress, report, asked),
        announcement=_announcement(progress, report, asked),
        matrix=_matrix(report, path),
        ungraded=sum(flip.runs for flip in report.matrix if flip.before is None and flip.now != "error"),
        tabs=_tabs(report, only, path),
        only=only,
        lines=tuple(_grade_lines(project, page.grades, asked)),
        next=f"{path}?{urlencode({'flip': only, **_said(chosen), 'after': page.next})}" if page.next else "",
        filters=tuple((name, value, f"{path}?{urlencode({'flip': only, **_said({**chosen, name: ''})})}")
                      for name, value in chosen.items() if value),
        breakdowns=_breakdowns(report, path),
        days=days,
        chart=_chart(days, report, asked, zone),
        empty=_empty(project, asked) if progress.status == "done" and not progress.total else None,
        begun_us=us_of(job.created_at),
        ended_us=us_of(job.finished_at) if job.finished_at is not None else None,
        error=job.error,
    )  # fmt: skip


def _said(chosen: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in chosen.items() if value}


def _only(asked: str, report: Report) -> Only:
    known = next((name for name, _ in _ONLY if name == asked), None)
    if known is not None:
        return known
    return "newly_failing" if report.previous_version is not None and report.newly_failing else "fails"


def _answer(progress: Progress, report: Report, asked: Definition) -> str:
    match progress.status:
        case "queued":
            return "Waiting for a worker"
        case "running":
            return f"Re-grading {figures.counted(progress.total, 'run')}" if progress.total else "Finding the runs"
        case "failed":
            return "The re-grade stopped before its end"
        case "cancelled":
            return f"Cancelled after {progress.runs:,} of {figures.counted(progress.total, 'run')}"
        case _:
            return _result(progress, report, asked)


def _result(progress: Progress, report: Report, asked: Definition) -> str:
    if not progress.total:
        return "No run was matched"
    if report.previous_version is not None and report.newly_failing:
        verb = "fails" if report.newly_failing == 1 else "fail"
        return f"{figures.counted(report.newly_failing, 'run')} newly {verb} under version {asked.rule_version}"
    if report.previous_version is not None and report.fails:
        still = f"{report.fails:,} still {'does' if report.fails == 1 else 'do'}"
        return f"No run newly fails under version {asked.rule_version}; {still}"
    if report.fails:
        return f"{report.fails:,} of {figures.counted(report.runs, 'run')} {'fails' if report.fails == 1 else 'fail'}"
    if report.errors and not report.holds:
        return "The rule could not be evaluated on any run"
    return f"All {figures.counted(report.holds, 'run')} hold" if report.holds != 1 else "The one run holds"


def _announcement(progress: Progress, report: Report, asked: Definition) -> str:
    """Return what a screen reader is told: at every tenth of the way, and when it is over."""
    if progress.status in ENDED or not progress.total:
        return _answer(progress, report, asked)
    percent = progress.runs * _STEP // progress.total * _STEP
    return f"{percent} percent of {figures.counted(progress.total, 'run')} graded"


def _matrix(report: Report, path: str) -> tuple[tuple[Cell, Cell], ...]:
    """Return the four fields, held and failed before by holds and fails now; nothing without a version before."""
    if report.previous_version is None:
        return ()
    runs = {(flip.before, flip.now): flip.runs for flip in report.matrix}

    def cell(before: Any, now: Any, kind: str, words: str, flip: str) -> Cell:
        return Cell(runs=runs.get((before, now), 0), words=words, kind=kind, href=f"{path}?flip={flip}#list")

    return (
        (
            cell("holds", "holds", "same", "unchanged", "holds"),
            cell("holds", "fails", "fails", "newly failing", "newly_failing"),
        ),
        (
            cell("fails", "holds", "holds", "newly holding", "newly_holding"),
            cell("fails", "fails", "same", "unchanged", "fails"),
        ),
    )


def _tabs(report: Report, only: Only, path: str) -> tuple[Tab, ...]:
    counts = {
        "newly_failing": report.newly_failing, "newly_holding": report.newly_holding, "fails": report.fails,
        "error": report.errors, "holds": report.holds,
    }  # fmt: skip
    shown = [(name, words) for name, words in _ONLY if report.previous_version is not None or "newly" not in name]
    return tuple(
        Tab(name=name, words=words, count=counts[name], href=f"{path}?flip={name}#list", is_on=name == only)
        for name, words in shown
    )


def _grade_lines(project: str, grades: Sequence[Grade], asked: Definition) -> Iterator[GradeLine]:
    titles = titles_of(project, grades)
    for grade in grades:
        at = grade.occurred_at or grade.started_at
        yield GradeLine(
            grade=grade,
            title=titles.get(grade.stream, grade.stream),
            href=href_of(grade),
            at_us=us_of(at) if at is not None else None,
            says=says_of(grade, asked),
        )


def _breakdowns(report: Report, path: str) -> tuple[Breakdown, ...]:
    found = (("tool", report.by_tool), ("model", report.by_model), ("agent", report.by_agent))
    return tuple(_breakdown(name, groups, path) for name, groups in found if any(group.fails for group in groups))


def _breakdown(name: str, groups: Sequence[Group], path: str) -> Breakdown:
    failing = sorted((group for group in groups if group.fails), key=lambda group: (-group.fails, group.name))
    return Breakdown(
        name=name,
        shares=tuple(
            Share(
                group=group,
                percent=round(_PERCENT * group.fails / group.runs, 1) if group.runs else 0,
                href=f"{path}?{urlencode({'flip': 'fails', name: group.name})}#list",
            )
            for group in failing[:_GROUPS]
        ),
        left_out=max(0, len(failing) - _GROUPS),
    )


# --- The trend --------------------------------------------------------------------------------------------------------


def _days(project: str, job: Any, asked: Definition, report: Report) -> Iterator[charts.Day]:
    """Yield each day of the runs with the share that fails, and that of the newest re-grade by the version before."""
    before = _day_shares(_earlier(project, job, asked))
    for group in sorted(report.by_day, key=lambda group: group.name):
        if group.name:
            yield charts.Day(
                name=group.name,
                runs=group.runs,
                fails=group.fails,
                share=_share(group),
                before=before.get(group.name),
            )


def _earlier(project: str, job: Any, asked: Definition) -> Any:
    if asked.previous_version is None:
        return None
    for other in regrade.newest(project, limit=_JOBS):
        known = regrade.definition(other)
        if other.id != job.id and other.status == "done" and (known.rule, known.rule_version) == (
            asked.rule, asked.previous_version,
        ):  # fmt: skip
            return other
    return None


def _day_shares(job: Any) -> dict[str, float]:
    groups = regrade.report(job).by_day if job is not None else ()
    return {group.name: share for group in groups if (share := _share(group)) is not None}


def _share(group: Group) -> float | None:
    judged = group.runs - group.errors
    return round(_PERCENT * group.fails / judged, 2) if judged > 0 else None


def _chart(days: Sequence[charts.Day], report: Report, asked: Definition, zone: tzinfo) -> dict[str, Any] | None:
    if len(days) < 2:  # noqa: PLR2004 - a line has two ends
        return None
    first = report.first_failing
    at = (first.started_at or first.occurred_at) if first is not None else None
    day = f"{at.astimezone(UTC):%Y-%m-%d}" if at is not None else ""
    return charts.trend(
        days,
        now=f"version {asked.rule_version}",
        before=f"version {asked.previous_version}",
        first=day,
        first_words=f"{day_of(at, zone)}, first failing run" if at is not None else "",
    )


def _empty(project: str, asked: Definition) -> Preview:
    """Say which clause left no run over."""
    scope = Scope(
        rule=asked.rule, version=asked.rule_version, query=asked.query, since=asked.since, until=asked.until,
        force=asked.force,
    )  # fmt: skip
    return preview(project, scope)

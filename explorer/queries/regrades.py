"""Re-grades: the form with what it would cost, and the list of those there were."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Final

from explorer import figures
from explorer.moments import in_form
from explorer.queries import rule_choice
from explorer.queries.regrade_scope import Preview, Scope, preview, scope_words, us_of
from journal.runtime import regrade

_JOBS: Final = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class JobLine:
    """A re-grade in a list."""

    id: str
    rule: str
    rule_version: int
    scope: str
    state: str
    outcome: str
    begun_us: int


@dataclass(frozen=True, kw_only=True, slots=True)
class RegradesPage:
    """The form, what it would cost, and the re-grades there were."""

    scope: Scope
    groups: tuple[rule_choice.Group, ...]
    preview: Preview
    jobs: tuple[JobLine, ...]
    since: str
    until: str


def regrades_page(project: str, scope: Scope, zone: tzinfo, *, with_sample: bool = False) -> RegradesPage:
    """Return the page."""
    return RegradesPage(
        scope=scope,
        groups=rule_choice.groups(project, scope.rule),
        preview=preview(project, scope, with_sample=with_sample),
        jobs=tuple(_job_line(job, zone) for job in regrade.newest(project, limit=_JOBS)),
        since=in_form(scope.since, zone),
        until=in_form(scope.until, zone),
    )


def uses(project: str, rule: str, zone: tzinfo, most: int = 10) -> tuple[JobLine, ...]:
    """Return a rule's newest re-grades."""
    found = (job for job in regrade.newest(project, limit=_JOBS) if regrade.definition(job).rule == rule)
    return tuple(_job_line(job, zone) for _, job in zip(range(most), found, strict=False))


def _job_line(job: Any, zone: tzinfo) -> JobLine:
    asked = regrade.definition(job)
    return JobLine(
        id=job.id,
        rule=asked.rule,
        rule_version=asked.rule_version,
        scope=scope_words(asked, zone),
        state=job.status,
        outcome=_outcome(job),
        begun_us=us_of(job.created_at),
    )


def _outcome(job: Any) -> str:
    if job.status == "failed":
        return "It stopped before its end."
    done = regrade.progress(job)
    if not done.total:
        return "No run was matched." if job.status == "done" else "Nothing graded yet."
    graded = f"{done.runs:,} of {figures.counted(done.total, 'run')}"
    parts = [f"{done.fails:,} {'fails' if done.fails == 1 else 'fail'}"]
    if done.newly_failing:
        parts.append(f"{done.newly_failing:,} newly")
    if done.errors:
        parts.append(f"{figures.counted(done.errors, 'error')}")
    return f"{graded}: {', '.join(parts)}."

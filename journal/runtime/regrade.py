"""A rule over many runs, as a job: in chunks, on any number of workers, and again only where something has changed.

    submit ──> plan: freeze which runs, up to which version ──> grade: workers take parts ──> report

What is frozen makes a part's outcome a function of the journal, so a part that was cut short comes to the same when
it is done again. Verdicts are events `agent_run.graded` in streams of their own, `grades-<job>.<part>`; their ids are
derived from what was judged, so nothing is told twice. What is shown comes from the projection `grades`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, Unpack

import msgspec
from django.db.models import Sum

from journal.access.projects import DEFAULT_PROJECT, ensure_project
from journal.domain.agent_run import CATEGORY
from journal.errors import Refused
from journal.models import Job, JobPart, JobRun, StreamRow
from journal.runtime import job as jobs
from journal.runtime import job_parts, job_process, regrade_plan
from journal.runtime import projection as projections
from journal.runtime.regrade_plan import KIND, PROJECTION
from journal.runtime.regrade_results import as_json, grades, progress, report, verdicts_of
from journal.runtime.regrade_types import (
    Definition,
    Estimate,
    Flips,
    Grade,
    Group,
    Page,
    Progress,
    Report,
    Sample,
    Scope,
    Side,
)
from journal.runtime.regrade_work import definition_of, do_part, evaluating, help_with, now, sampled
from journal.runtime.selecting import QueryRefused

__all__ = [
    "KIND", "Definition", "Estimate", "Flips", "Grade", "Group", "Page", "Progress", "QueryRefused", "RegradeFailed",
    "Report", "Sample", "Scope", "Side", "as_json", "cancel", "definition", "estimate", "find", "finish", "grades",
    "newest", "progress", "regrade", "report", "resume", "run", "sample", "submit", "verdicts_of", "wanting_help",
]  # fmt: skip

PLAN, REPORT = "plan", "report"
_POLL_S: Final = 0.2
_TELL_EVERY_S: Final = 0.5

definition = definition_of


class RegradeFailed(Refused):
    """A re-grade that somebody waited for did not come to its end."""


def estimate(*, project: str, rule: str, **scope: Unpack[Scope]) -> Estimate:
    """Return what a re-grade would look at and about how long it would take. Reads no payloads but for a short trial.

    Raises:
        RuleNotFound: there is no such rule or version.
        QueryRefused: the query cannot be asked.
    """
    return regrade_plan.estimated(project, regrade_plan.define(project=project, rule=rule, **scope))


def sample(*, project: str, rule: str, most: int = 20, **scope: Unpack[Scope]) -> Sample:
    """Evaluate the rule on up to `most` runs, spread over the scope, and store nothing.

    A rule that compares runs sees those of the sample alone.

    Raises:
        RuleNotFound: there is no such rule or version.
        QueryRefused: the query cannot be asked.
    """
    return sampled(project, regrade_plan.define(project=project, rule=rule, **scope), most)


def submit(
    *, project: str, rule: str, user_id: int | None = None, schedule: str | None = None, **scope: Unpack[Scope]
) -> Job:
    """Write the job with its definition frozen; the caller wakes workers (`journal.tasks.wake`).

    Raises:
        RuleNotFound: there is no such rule or version.
        QueryRefused: the query cannot be asked.
        ProjectRefused: there is no such project.
    """
    ensure_project(project)
    asked = regrade_plan.define(project=project, rule=rule, schedule=schedule, **scope)
    runs = StreamRow.objects.filter(project=project, category=CATEGORY).count()
    arguments = {**msgspec.to_builtins(asked), "steps": 1 + runs // regrade_plan.RUNS_A_STEP}
    return jobs.enqueue(kind=KIND, project=project, user_id=user_id, arguments=arguments, unit="runs")


def run(job_id: str) -> Job | None:
    """Work on a job until it ends, or help whoever drives it. Safe to call from many workers and to stop anywhere.

    Returns the job where this worker drove it to its end.
    """
    ended = job_process.run(job_id)
    if ended is None:
        help_with(job_id)
    return ended


def wanting_help() -> list[str]:
    """Return the running re-grades that have parts nobody works on."""
    running = Job.objects.filter(kind=KIND, status="running").order_by("created_at").values_list("id", flat=True)
    return [job_id for job_id in running[:20] if job_parts.waiting(job_id)]


def find(job_id: str, *, project: str) -> Job | None:
    """Return a re-grade of a project."""
    return jobs.find(job_id, kind=KIND, project=project)


def newest(project: str, *, limit: int = 50) -> list[Job]:
    """Return a project's re-grades, the newest first."""
    return jobs.newest(KIND, project=project, limit=limit)


def cancel(job: Job) -> bool:
    """Stop a job; its workers stop at the next run. What is graded stays. Returns whether it was open."""
    return jobs.cancel(job.id)


def resume(job: Job) -> bool:
    """Queue a job again that was cancelled or failed; it goes on with the parts that are left. Returns whether."""
    return jobs.resume(job.id)


def regrade(rule: str, *, project: str = DEFAULT_PROJECT, **scope: Unpack[Scope]) -> Report:
    """Evaluate a rule on every run in a range, here and now, and return the outcome. See `submit`.

    Raises:
        RuleNotFound: there is no such rule.
        QueryRefused: the query cannot be asked.
        RegradeFailed: the job was cancelled, or went wrong.
    """
    job = submit(project=project, rule=rule, **scope)
    return report(finish(job))


def finish(job: Job) -> Job:
    """Work on a job here until it has ended, together with whoever else does.

    Raises:
        RegradeFailed: it was cancelled, or went wrong.
    """
    while (job := Job.objects.get(id=job.id)).status not in jobs.ENDED:
        if run(job.id) is None:
            time.sleep(_POLL_S)
    if job.status != "done":
        raise RegradeFailed(f"the re-grade {job.id} is {job.status}: {job.error}")
    return job


# --- Driving it -------------------------------------------------------------------------------------------------------


class RegradeKind:
    """A re-grade: freeze what it looks at, let the parts be done, add up. Each step finds what an earlier try did."""

    name = KIND

    def steps(self, job: Job) -> Sequence[str]:
        """Return the steps. Large jobs are graded in several, so that no step takes longer than one may."""
        return [PLAN, *(f"grade-{number}" for number in range(int(job.arguments["steps"]))), REPORT]

    def run_step(self, job: Job, step: str, *, done: int) -> int:
        """Do one step and return how many runs have a verdict."""
        if step == PLAN:
            return self._plan(job)
        if step == REPORT:
            return self._report(job)
        return self._grade(job, _numbers(job, int(step.partition("-")[2])), done)

    def clean_up(self, job: Job) -> None:
        """Leave what was graded: a job that is resumed goes on with it."""

    def _plan(self, job: Job) -> int:
        asked = definition_of(job)
        regrade_plan.freeze(job, job.project_id or DEFAULT_PROJECT, asked)
        runs = JobRun.objects.filter(job=job.id)
        skipped = runs.filter(is_kept=True).count()
        events = runs.filter(is_kept=False).aggregate(events=Sum("run_version"))["events"] or 0
        told = {"began_at": now().isoformat(), "events_total": events, "skipped": skipped}
        job.result = {**told, **(job.result or {})}
        jobs.beat(job, done=max(job.done, skipped), total=runs.count(), result=job.result)
        return skipped

    def _grade(self, job: Job, numbers: range, done: int) -> int:
        asked = definition_of(job)
        told_at = 0.0
        with evaluating(job.project_id or DEFAULT_PROJECT, asked) as rules:
            while job_parts.open_parts(job.id, numbers=numbers).exists():
                if time.monotonic() - told_at > _TELL_EVERY_S:
                    done, told_at = _tell(job), time.monotonic()
                part = job_parts.claim(job.id, numbers=numbers)
                if part is None:
                    jobs.beat(job, done=job.done)
                    time.sleep(_POLL_S)  # others are at what is left
                    continue
                try:
                    do_part(job, asked, part, rules)
                except jobs.JobLost:
                    jobs.beat(job, done=job.done)  # raises where it is the job that was lost, and not the part alone
        return max(done, _tell(job))

    def _report(self, job: Job) -> int:
        projections.catch_up(projections.named(PROJECTION))
        parts = JobPart.objects.filter(job=job, state="done").aggregate(events=Sum("events"), seconds=Sum("seconds"))
        events, seconds = parts["events"] or 0, parts["seconds"] or 0.0
        found = msgspec.to_builtins(report(job))
        kept = {name: found[name] for name in _KEPT}
        rate = round(events / seconds) if events and seconds else None
        job.result = {**(job.result or {}), "is_graded": True, "events": events, "events_per_s": rate, **kept}
        jobs.beat(job, done=found["runs"], result=job.result)
        return int(found["runs"])


_KEPT: Final = (
    "rule", "rule_version", "previous_version", "runs", "holds", "fails", "errors", "newly_failing", "newly_holding",
    "first_failing",
)  # fmt: skip

job_process.runs(RegradeKind())


def _numbers(job: Job, step: int) -> range:
    """Return the parts that a step is for."""
    steps, parts = int(job.arguments["steps"]), JobPart.objects.filter(job=job).count()
    return range(step * parts // steps, (step + 1) * parts // steps)


def _tell(job: Job) -> int:
    """Write down how many runs have a verdict. Never fewer than were told before."""
    runs = JobPart.objects.filter(job=job, state="done").aggregate(runs=Sum("runs"))["runs"] or 0
    skipped = int((job.result or {}).get("skipped", 0))
    jobs.beat(job, done=max(job.done, skipped + runs))
    return job.done

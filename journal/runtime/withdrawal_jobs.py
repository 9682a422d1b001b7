"""Purges and erasures as jobs: asked for in the browser, over HTTP or by a schedule, done by a worker.

Each is safe to do again: an order that stands in the journal is finished first. The subject of an erasure stands in the
job's arguments while it runs and is taken out of them in the end, however that was, before the database gives up its
freed pages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from journal.domain import schedule as scheduled
from journal.domain.dispatch import NewDispatch
from journal.domain.event import instant
from journal.domain.retention import before_of
from journal.errors import JournalError
from journal.models import Job
from journal.runtime import erasing, purging, retention, schedule_kinds
from journal.runtime import job as jobs
from journal.runtime.schedule_kinds import ScheduleRefused
from journal.store import compacting

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

PURGE: Final = "purge"
ERASE: Final = "erase"


def submit_purge(project: str, *, before: datetime | None, by: str, user_id: int | None = None) -> Job:
    """Write the job of a purge; without a time, of what the policy's ceiling says. The caller wakes a worker.

    Raises:
        RetentionRefused: there is neither a time nor a ceiling, or the floor forbids it, which is journalled.
    """
    now = datetime.now(UTC)
    policy = retention.policy_of(project)
    if before is None and policy.ceiling is None:
        raise retention.RetentionRefused("no time is given, and the project's policy has no ceiling", field="before")
    if before is not None:
        purging.allow(project, before, by=by, now=now)
    arguments = {"before": instant(before) if before else None, "by": by}
    return jobs.enqueue(kind=PURGE, project=project, user_id=user_id, arguments=arguments, unit="events")


def submit_erasure(project: str, *, subject: str, ground: str, by: str, user_id: int | None = None) -> Job:
    """Write the job of an erasure. The caller wakes a worker.

    Raises:
        JournalError: it cannot be, as `erasing.erase` says; a hold's refusal is journalled.
    """
    erasing.allow(project, subject=subject, ground=ground, by=by)
    arguments = {"subject": subject, "ground": ground, "by": by}
    return jobs.enqueue(kind=ERASE, project=project, user_id=user_id, arguments=arguments, unit="events")


def run(job_id: str) -> None:
    """Do one job. A refusal ends it with its words; anything else with a reason for the operator."""
    job = jobs.claim(job_id)
    if job is None:
        return
    try:
        with jobs.beating(job):
            result = _DOES[job.kind](job, lambda done: jobs.beat(job, done=done))
        jobs.finish(job, result=result)
        if job.kind == ERASE:
            compacting.compact()
    except jobs.JobLost:
        log.info("withdrawal_stopped", job=job.id)
    except JournalError as refused:
        jobs.finish(job, error=str(refused))
    except Exception as error:
        log.exception("withdrawal_failed", job=job.id)
        jobs.finish(job, error=f"{type(error).__name__}: what was begun is finished when it is asked for again")
    forget(job.id)


def _purge(job: Job, beat: Callable[[int], None]) -> dict[str, Any]:
    now = datetime.now(UTC)
    project, arguments = str(job.project_id), job.arguments
    limit = retention.ceiling_limit(retention.policy_of(project), now)
    before = before_of(arguments["before"]) if arguments.get("before") else limit
    if before is None:
        raise retention.RetentionRefused("the project's policy has no ceiling any more", field="before")
    done = purging.purge(project, before=before, by=arguments.get("by", ""), now=now, beat=beat)
    return {
        "before": instant(before),
        "policy": done.policy.name,
        "runs": done.runs,
        "events": done.events,
        "held": len(done.held),
        "orders": list(done.orders),
        "database": done.compacted.words,
    }


def _erase(job: Job, beat: Callable[[int], None]) -> dict[str, Any]:
    project, arguments = str(job.project_id), job.arguments
    if "ground" not in arguments:
        raise retention.RetentionRefused("the job was done already", field="subject")
    done = erasing.erase(
        project,
        subject=arguments["subject"],
        ground=arguments["ground"],
        by=arguments["by"],
        beat=beat,
        compact=False,
    )
    Job.objects.filter(id=job.id).update(arguments={"subject": done.subject})
    return {"events": done.events, "orders": [outcome.order for outcome in done.outcomes]}


def forget(job_id: str) -> int:
    """Leave of whom a job to erase was about a pseudonym alone, once it has ended. Returns 1 where there was more."""
    ended = Job.objects.filter(id=job_id, kind=ERASE).exclude(status__in=("queued", "running"))
    job = ended.first()
    if job is None or "ground" not in job.arguments:
        return 0
    subject = job.arguments["subject"]
    stands_for = retention.pseudonym(str(job.project_id), subject)
    error = job.error.replace(repr(subject[:200]), f"{stands_for[:16]}…")
    return ended.update(arguments={"subject": stands_for}, error=error)


_DOES: Final[dict[str, Callable[[Job, Callable[[int], None]], dict[str, Any]]]] = {PURGE: _purge, ERASE: _erase}


class ScheduledPurge:
    """A purge of what the project's policy says: what is past its ceiling, and nothing else."""

    name = PURGE

    def check(self, project: str, arguments: Mapping[str, Any]) -> None:
        """Refuse arguments, of which there are none, and a project without a ceiling."""
        if arguments:
            raise ScheduleRefused("a purge takes no arguments: the policy says what goes", field="arguments")
        if retention.policy_of(project).ceiling is None:
            raise ScheduleRefused("the project's retention policy has no ceiling: nothing is ever due", field="kind")

    def submit(self, project: str, arguments: Mapping[str, Any], schedule: str) -> Job:
        """Write the job."""
        del arguments
        return submit_purge(project, before=None, by=f"schedule:{schedule}")

    def ended(self, job: Job, known_fails: int | None) -> scheduled.Ended:
        """Say how."""
        del known_fails
        runs = job.result.get("runs") if isinstance(job.result, dict) else None
        return scheduled.Ended(job=job.id, status=job.status, error=job.error or None, runs=runs)

    def alerts(self, job: Job, ended: scheduled.Ended, schedule: str) -> Sequence[NewDispatch]:
        """Tell nobody: `nagare status` shows jobs that failed."""
        del job, ended, schedule
        return ()


schedule_kinds.schedules(ScheduledPurge())

"""Long work as rows. The row is the truth: state, heartbeat, attempt, progress; Celery only wakes it.

A worker takes a job by conditional update. One that stops beating is taken over by the next that looks, so work must
be written so that doing it again changes nothing. The attempt is the fencing token: what an earlier attempt still
writes is refused. Times are the database's unless they are given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from uuid_utils.compat import uuid7

from journal.models import Job
from journal.runtime.pulse import pulse

STALE_AFTER: Final = timedelta(seconds=30)
"""A running job whose heartbeat is older than this has lost its worker."""

BEAT_EVERY: Final = timedelta(seconds=5)

ENDED: Final = ("done", "failed", "cancelled")


class JobLost(Exception):
    """The job was cancelled, or another worker took it over: stop."""


def enqueue(*, kind: str, project: str | None, user_id: int | None, arguments: Mapping[str, Any], unit: str) -> Job:
    """Write a queued job and return it. `project` None is for work on the whole journal."""
    return Job.objects.create(
        id=str(uuid7()), kind=kind, project_id=project, user_id=user_id, arguments=dict(arguments), unit=unit
    )


def claim(job_id: str, *, now: datetime | None = None) -> Job | None:
    """Take a queued job, or a running one whose worker is lost. None where there is nothing to take."""
    taken = Job.objects.filter(_free(now), id=job_id).update(
        status="running", heartbeat_at=now or Now(), attempt=F("attempt") + 1
    )
    return Job.objects.get(id=job_id) if taken else None


def waiting(kind: str, *, now: datetime | None = None) -> list[str]:
    """Return the ids of jobs of a kind that `claim` would give, oldest first."""
    found = Job.objects.filter(_free(now), kind=kind).order_by("created_at")
    return list(found.values_list("id", flat=True)[:100])


@contextmanager
def beating(job: Job) -> Iterator[None]:
    """Keep a claimed job's heartbeat going for a block of work, whatever that is busy with."""
    with pulse(lambda: bool(_mine(job).update(heartbeat_at=Now())), every=BEAT_EVERY):
        yield


def beat(job: Job, *, done: int, now: datetime | None = None, total: int | None = None, result: Any = None) -> None:
    """Write progress, only while the job is still this attempt's.

    Raises:
        JobLost: it was cancelled, or another worker has it.
    """
    job.done, job.total = done, total if total is not None else job.total
    fields = {"heartbeat_at": now or Now(), "done": job.done, "total": job.total}
    if result is not None:
        fields["result"] = result
    if not _mine(job).update(**fields):
        raise JobLost(job.id)


def finish(job: Job, *, now: datetime | None = None, result: Any = None, error: str = "") -> None:
    """End the job as done, or as failed with the reason."""
    at = now or Now()
    _mine(job).update(status="failed" if error else "done", error=error, result=result, finished_at=at, heartbeat_at=at)


def cancel(job_id: str, *, now: datetime | None = None) -> bool:
    """Stop a job that has not ended; its worker stops at the next file, chunk or page. Returns whether it was open."""
    return bool(
        Job.objects.filter(id=job_id, status__in=("queued", "running")).update(
            status="cancelled", finished_at=now or Now()
        )
    )


def find(job_id: str, *, kind: str, project: str) -> Job | None:
    """Return a job of a project, None where the project has none of that kind and id."""
    return Job.objects.filter(id=job_id, kind=kind, project_id=project).first()


def newest(kind: str, *, project: str, limit: int) -> list[Job]:
    """Return a project's jobs of a kind, the newest first."""
    return list(Job.objects.filter(kind=kind, project_id=project).order_by("-created_at", "-id")[:limit])


def withdraw(job: Job, *, arguments: Any, words: str) -> None:
    """Say in a job's row that what came of it was deleted, in place of the result."""
    Job.objects.filter(id=job.id).update(
        arguments=arguments, result={"withdrawn": words}, error="", status="cancelled", finished_at=Now()
    )


def resume(job_id: str) -> bool:
    """Queue a job again that was cancelled or failed; it goes on from what its row says. Returns whether it had."""
    return bool(
        Job.objects.filter(id=job_id, status__in=("cancelled", "failed")).update(
            status="queued", error="", finished_at=None
        )
    )


def _free(now: datetime | None) -> Q:
    return Q(status="queued") | Q(status="running", heartbeat_at__lt=(now or Now()) - STALE_AFTER)


def _mine(job: Job) -> QuerySet[Job]:
    return Job.objects.filter(id=job.id, status="running", attempt=job.attempt)

"""Long work as rows. The row is the truth: state, heartbeat, attempt, progress; Celery only wakes it.

A worker takes a job by conditional update. One that stops beating is taken over by the next that looks, so work must
be written so that doing it again changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import F, Q
from uuid_utils.compat import uuid7

from journal.models import Job

STALE_AFTER: Final = timedelta(seconds=30)
"""A running job whose heartbeat is older than this has lost its worker."""

ENDED: Final = ("done", "failed", "cancelled")


class JobLost(Exception):
    """The job was cancelled, or another worker took it over: stop."""


def enqueue(*, kind: str, project: str, user_id: int | None, arguments: Mapping[str, Any], unit: str) -> Job:
    """Write a queued job and return it."""
    return Job.objects.create(
        id=str(uuid7()), kind=kind, project_id=project, user_id=user_id, arguments=dict(arguments), unit=unit
    )


def claim(job_id: str, *, now: datetime) -> Job | None:
    """Take a queued job, or a running one whose worker is lost. None where there is nothing to take."""
    free = Q(status="queued") | Q(status="running", heartbeat_at__lt=now - STALE_AFTER)
    taken = Job.objects.filter(free, id=job_id).update(status="running", heartbeat_at=now, attempt=F("attempt") + 1)
    return Job.objects.get(id=job_id) if taken else None


def waiting(kind: str, *, now: datetime) -> list[str]:
    """Return the ids of jobs of a kind that `claim` would give, oldest first."""
    free = Q(status="queued") | Q(status="running", heartbeat_at__lt=now - STALE_AFTER)
    return list(Job.objects.filter(free, kind=kind).order_by("created_at").values_list("id", flat=True)[:100])


def beat(job: Job, *, now: datetime, done: int, total: int | None = None, result: Any = None) -> None:
    """Write progress, only while the job is still this attempt's.

    Raises:
        JobLost: it was cancelled, or another worker has it.
    """
    fields = {"heartbeat_at": now, "done": done, "total": total if total is not None else job.total}
    if result is not None:
        fields["result"] = result
    if not _mine(job).update(**fields):
        raise JobLost(job.id)


def finish(job: Job, *, now: datetime, result: Any = None, error: str = "") -> None:
    """End the job as done, or as failed with the reason."""
    _mine(job).update(
        status="failed" if error else "done", error=error, result=result, finished_at=now, heartbeat_at=now
    )


def cancel(job_id: str, *, now: datetime) -> bool:
    """Stop a job that has not ended; its worker stops at the next file, chunk or page. Returns whether it was open."""
    return bool(
        Job.objects.filter(id=job_id, status__in=("queued", "running")).update(status="cancelled", finished_at=now)
    )


def find(job_id: str, *, kind: str, project: str) -> Job | None:
    """Return a job of a project, None where the project has none of that kind and id."""
    return Job.objects.filter(id=job_id, kind=kind, project_id=project).first()


def newest(kind: str, *, project: str, limit: int) -> list[Job]:
    """Return a project's jobs of a kind, the newest first."""
    return list(Job.objects.filter(kind=kind, project_id=project).order_by("-created_at", "-id")[:limit])


def _mine(job: Job) -> Any:
    return Job.objects.filter(id=job.id, status="running", attempt=job.attempt)

"""Parts of a job that any number of workers take, each by conditional update; a lost worker's part is taken again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from journal.models import Job, JobPart
from journal.runtime import job as jobs
from journal.runtime.pulse import pulse


def claim(job_id: str, *, numbers: range | None = None) -> JobPart | None:
    """Take a part of a running job that waits or has lost its worker; None where there is none to take."""
    while True:
        part = _free(job_id, numbers).order_by("number").first()
        if part is None:
            return None
        # No condition on the job's row here: MySQL would look at it first and then update whatever has the key.
        taken = JobPart.objects.filter(_takeable(), id=part.id, attempt=part.attempt).update(
            state="running", attempt=F("attempt") + 1, heartbeat_at=Now()
        )
        if taken:
            return JobPart.objects.get(id=part.id)


@contextmanager
def beating(part: JobPart) -> Iterator[None]:
    """Keep a part's heartbeat going for a block of work."""
    with pulse(lambda: bool(_mine(part).update(heartbeat_at=Now())), every=jobs.BEAT_EVERY):
        yield


def finish(part: JobPart, counts: Mapping[str, float]) -> bool:
    """Write down that a part is done, unless another worker has taken it over. Returns whether it was still ours."""
    return bool(_mine(part).update(state="done", heartbeat_at=Now(), **counts))


def let_go(part: JobPart) -> None:
    """Give a part back that was not finished, so that the next worker need not wait for its heartbeat to age."""
    _mine(part).update(state="waiting", heartbeat_at=None)


def is_ours(part: JobPart) -> bool:
    """Whether the part is still this worker's and its job goes on."""
    return _mine(part).filter(job__status="running").exists()


def open_parts(job_id: str, *, numbers: range | None = None) -> QuerySet[JobPart]:
    """Return the parts that are not done."""
    return _of(job_id, numbers).exclude(state="done")


def waiting(job_id: str) -> bool:
    """Whether there is a part to take."""
    return _free(job_id, None).exists()


def _free(job_id: str, numbers: range | None) -> QuerySet[JobPart]:
    return _of(job_id, numbers).filter(_takeable(), job__status="running")


def _takeable() -> Q:
    return Q(state="waiting") | Q(state="running", heartbeat_at__lt=Now() - jobs.STALE_AFTER)


def _of(job_id: str, numbers: range | None) -> QuerySet[JobPart]:
    found = JobPart.objects.filter(job_id=job_id)
    return found if numbers is None else found.filter(number__gte=numbers.start, number__lt=numbers.stop)


def _mine(part: JobPart) -> QuerySet[JobPart]:
    return JobPart.objects.filter(id=part.id, state="running", attempt=part.attempt)


def workers(job: Job, *, within: timedelta | None = None) -> int:
    """Return how many parts are being worked on now."""
    since = Now() - (within or jobs.STALE_AFTER)
    return JobPart.objects.filter(job=job, state="running", heartbeat_at__gte=since).count()

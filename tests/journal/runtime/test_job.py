"""A job's row is the truth: who has it, how far it is, how it ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from journal.models import Job, Project
from journal.runtime import job as jobs

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LATER = NOW + jobs.STALE_AFTER + timedelta(seconds=1)


@pytest.fixture
def queued() -> Job:
    """A job nobody has taken."""
    project = Project.objects.create(slug="default", name="Default")
    return jobs.enqueue(kind="import", project=project.slug, user_id=None, arguments={}, unit="files")


def test_a_job_is_taken_once(queued: Job) -> None:
    """The second worker to come gets nothing."""
    assert jobs.claim(queued.id, now=NOW) is not None
    assert jobs.claim(queued.id, now=NOW) is None


def test_a_job_whose_worker_is_lost_is_taken_over_and_the_lost_one_cannot_write(queued: Job) -> None:
    """Each taking-over is a new attempt; the old one's heartbeat and end do nothing."""
    lost = jobs.claim(queued.id, now=NOW)
    assert jobs.waiting("import", now=NOW) == []
    assert jobs.waiting("import", now=LATER) == [queued.id]
    taken = jobs.claim(queued.id, now=LATER)
    assert lost is not None
    assert taken is not None
    assert (lost.attempt, taken.attempt) == (1, 2)
    with pytest.raises(jobs.JobLost):
        jobs.beat(lost, now=LATER, done=5)
    jobs.finish(lost, now=LATER, error="late")
    jobs.beat(taken, now=LATER, done=1, total=3)
    row = Job.objects.get()
    assert (row.status, row.done, row.total, row.error) == ("running", 1, 3, "")


def test_a_cancelled_job_stops_at_the_next_beat(queued: Job) -> None:
    """And is not taken again."""
    taken = jobs.claim(queued.id, now=NOW)
    assert taken is not None
    assert jobs.cancel(queued.id, now=NOW)
    with pytest.raises(jobs.JobLost):
        jobs.beat(taken, now=NOW, done=1)
    jobs.finish(taken, now=NOW)
    assert Job.objects.get().status == "cancelled"
    assert jobs.claim(queued.id, now=LATER) is None
    assert not jobs.cancel(queued.id, now=NOW)

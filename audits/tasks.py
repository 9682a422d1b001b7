"""Celery's way in: takes an id and hands it to a plain function."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from audits import child, jobs
from journal import tasks


@shared_task(name="audits.tasks.run_audit", bind=True)
def run_audit(self: Any, job_id: str) -> None:
    """Make one audit; a worker does it in a child, so that it keeps nothing of it."""
    if self.request.is_eager:
        jobs.run(job_id)
    else:
        child.run(job_id)


tasks.runs(jobs.KIND, run_audit)

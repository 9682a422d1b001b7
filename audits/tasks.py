"""Celery's way in: takes an id and hands it to a plain function."""

from __future__ import annotations

from celery import shared_task

from audits import jobs
from journal import tasks


@shared_task(name="audits.tasks.run_audit")
def run_audit(job_id: str) -> None:
    """Make one audit."""
    jobs.run(job_id)


tasks.runs(jobs.KIND, run_audit)

"""Celery's way in: tasks take ids and hand them to plain functions."""

from __future__ import annotations

from datetime import UTC, datetime

from celery import shared_task

from journal.ingest import jobs as imports
from journal.runtime import job as jobs
from journal.runtime.projection import catch_up_all


@shared_task(name="journal.tasks.run_projections")
def run_projections() -> None:
    """Catch every projection up. Runs on a schedule too, so a lost wake-up costs seconds only."""
    catch_up_all()


@shared_task(name="journal.tasks.run_import")
def run_import(job_id: str) -> None:
    """Run one import job."""
    imports.run(job_id)


@shared_task(name="journal.tasks.reap")
def reap() -> None:
    """Wake import jobs that are queued or whose worker is lost, and remove what ended ones have left."""
    imports.clear()
    for job_id in jobs.waiting(imports.KIND, now=datetime.now(UTC)):
        run_import.delay(job_id)

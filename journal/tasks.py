"""Celery's way in: tasks take ids and hand them to plain functions."""

from __future__ import annotations

from datetime import UTC, datetime

from celery import shared_task

from journal.ingest import jobs as imports
from journal.runtime import job as jobs
from journal.runtime import job_process, rebuilds
from journal.runtime.projection import catch_up_all


@shared_task(name="journal.tasks.run_projections")
def run_projections() -> None:
    """Catch up those projections that no process follows: what keeps pages current where `run-projections` is down."""
    catch_up_all(patience_s=0)


@shared_task(name="journal.tasks.run_import")
def run_import(job_id: str) -> None:
    """Run one import job."""
    imports.run(job_id)


@shared_task(name="journal.tasks.run_rebuild")
def run_rebuild(job_id: str) -> None:
    """Run one rebuild job."""
    job_process.run(job_id)


@shared_task(name="journal.tasks.reap")
def reap() -> None:
    """Wake jobs that wait or lost their worker, see to the end of cancelled ones, ask for rebuilds that are due."""
    for job_id in job_process.to_wind_up(now=datetime.now(UTC)):
        job_process.wind_up(job_id)
    for job_id in jobs.waiting(imports.KIND, now=datetime.now(UTC)):
        run_import.delay(job_id)
    rebuilds.submit_outdated()
    for job_id in jobs.waiting(rebuilds.KIND):
        run_rebuild.delay(job_id)

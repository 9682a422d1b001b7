"""Celery's way in: tasks take ids and hand them to plain functions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from celery import shared_task
from django.conf import settings
from django.db import transaction

from journal.ingest import jobs as imports
from journal.ingest import span_settler
from journal.runtime import bisects, job_process, rebuilds, regrade, schedules, withdrawal_jobs
from journal.runtime import job as jobs
from journal.runtime.aside import Aside
from journal.runtime.projection import catch_up_all

_aside: Final = Aside("wakes")


@shared_task(name="journal.tasks.run_projections")
def run_projections() -> None:
    """Catch up those projections that no process follows: what keeps pages current where `run-projections` is down."""
    catch_up_all(patience_s=0)


@shared_task(name="journal.tasks.settle_spans")
def settle_spans() -> None:
    """Make runs of the received traces that are quiet."""
    span_settler.settle_due(now=datetime.now(UTC), quiet=timedelta(seconds=settings.OTLP_SETTLE_S))


@shared_task(name="journal.tasks.run_import")
def run_import(job_id: str) -> None:
    """Run one import job."""
    imports.run(job_id)


@shared_task(name="journal.tasks.run_rebuild")
def run_rebuild(job_id: str) -> None:
    """Run one rebuild job."""
    job_process.run(job_id)


@shared_task(name="journal.tasks.run_bisect")
def run_bisect(job_id: str) -> None:
    """Run one bisect job."""
    job_process.run(job_id)


@shared_task(name="journal.tasks.run_regrade")
def run_regrade(job_id: str) -> None:
    """Drive a re-grade, or take parts of one that another worker drives."""
    regrade.run(job_id)


@shared_task(name="journal.tasks.run_schedules")
def run_schedules() -> None:
    """Submit what is due, and take in how what was due before ended."""
    for job in schedules.run_due(now=datetime.now(UTC)):
        wake(job.id, kind=job.kind)
    schedules.settle()


@shared_task(name="journal.tasks.reap")
def reap() -> None:
    """Wake jobs that wait or lost their worker, see to the end of cancelled ones, ask for rebuilds that are due."""
    for job_id in job_process.to_wind_up(now=datetime.now(UTC)):
        job_process.wind_up(job_id)
    rebuilds.submit_outdated()
    run_schedules()
    for kind, task in _TASKS.items():
        for job_id in jobs.waiting(kind):
            task.delay(job_id)
    for job_id in regrade.wanting_help():
        run_regrade.delay(job_id)


_TASKS: Final[dict[str, Any]] = {
    imports.KIND: run_import,
    rebuilds.KIND: run_rebuild,
    bisects.KIND: run_bisect,
    regrade.KIND: run_regrade,
}


def runs(kind: str, task: Any) -> None:
    """Let a task of another app run the jobs of a kind: it is woken when one is submitted, and again by `reap`."""
    _TASKS[kind] = task


@shared_task(name="journal.tasks.run_withdrawal")
def run_withdrawal(job_id: str) -> None:
    """Purge or erase."""
    withdrawal_jobs.run(job_id)


runs(withdrawal_jobs.PURGE, run_withdrawal)
runs(withdrawal_jobs.ERASE, run_withdrawal)


def wake(job_id: str, *, kind: str) -> None:
    """Tell a worker of a job, once it is committed. Nobody waits for the broker: `reap` says again what gets lost."""
    transaction.on_commit(partial(_wake, _TASKS[kind], job_id), robust=True)


def _wake(task: Any, job_id: str) -> None:
    if task.app.conf.task_always_eager:  # then this is no word about the work, it is the work
        task.delay(job_id)
    else:
        _aside.do(partial(task.apply_async, (job_id,), retry=False))

"""Rebuilds as jobs: the row says which generation is being built, so that a worker that dies loses no batch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from journal.models import Job
from journal.runtime import beside, job_process
from journal.runtime import job as jobs
from journal.runtime import projection as projections
from journal.runtime.projection import Projection

KIND: Final = "rebuild"
BUILD, SWAP, CLEAR = "build", "swap", "clear"


def submit(projection: str, *, user_id: int | None = None) -> Job:
    """Write the job that rebuilds a projection, or return the one that is open; the caller wakes a worker.

    Raises:
        KeyError: there is no such projection.
    """
    known = projections.named(projection)
    return open_job(known.name) or _enqueue(known, user_id)


def submit_outdated() -> list[Job]:
    """Write a job for each projection whose rows were made by other code. Pages show those rows until it is done.

    One whose rebuild was asked for under this code is left alone: where it failed, it would fail again.
    """
    outdated = filter(projections.is_outdated, projections.registered())
    return [_enqueue(known, None) for known in outdated if not _was_asked_for(known)]


def open_job(projection: str) -> Job | None:
    """Return the job that is rebuilding a projection or will."""
    found = Job.objects.filter(kind=KIND, status__in=("queued", "running")).order_by("created_at")
    return next((job for job in found if job.arguments["projection"] == projection), None)


class RebuildKind:
    """A rebuild: build beside, swap, clear the old rows away. Each step finds in the row what an earlier try did."""

    name = KIND

    def steps(self, job: Job) -> Sequence[str]:
        """Return the three steps."""
        del job
        return (BUILD, SWAP, CLEAR)

    def run_step(self, job: Job, step: str, *, done: int) -> int:
        """Do one step and return the position that is reached."""
        known = projections.named(job.arguments["projection"])
        if step == CLEAR:
            beside.discard_old(known)
        elif not _told(job).get("swapped"):
            self._build(job, known, swap=step == SWAP)
        return max(job.done, done)

    def clean_up(self, job: Job) -> None:
        """Leave what was built: a job that is resumed goes on with it, and another rebuild removes it."""

    def _build(self, job: Job, known: Projection, *, swap: bool) -> None:
        with beside.sole(known) as term:
            building = beside.begin(known, term=term, resume=_told(job).get("generation"), batch=projections.BATCH)
            _tell(job, generation=building.generation, swapped=False)
            beside.build(building, on_progress=partial(_progress, job))
            if swap:  # in the swap's transaction: a job that was cancelled or taken over meanwhile swaps nothing
                beside.swap(building, also=partial(_tell, job, generation=building.generation, swapped=True))


job_process.runs(RebuildKind())


def _enqueue(known: Projection, user_id: int | None) -> Job:
    arguments = {"projection": known.name, "code_version": known.code_version}
    return jobs.enqueue(kind=KIND, project=None, user_id=user_id, arguments=arguments, unit="positions")


def _was_asked_for(known: Projection) -> bool:
    asked = Job.objects.filter(kind=KIND).order_by("-created_at").values_list("arguments", flat=True)[:100]
    return {"projection": known.name, "code_version": known.code_version} in list(asked)


def _progress(job: Job, position: int, head: int) -> None:
    jobs.beat(job, done=max(job.done, position), total=max(position, head))


def _tell(job: Job, *, generation: int, swapped: bool) -> None:
    job.result = {"generation": generation, "swapped": swapped}
    jobs.beat(job, done=job.done, result=job.result)


def _told(job: Job) -> dict[str, Any]:
    return dict(job.result or {})

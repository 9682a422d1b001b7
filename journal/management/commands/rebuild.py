"""`nagare rebuild`: read models from the journal, again."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from django.core.management.base import CommandError, CommandParser

from journal.errors import JournalError
from journal.management.base import Command as Base
from journal.models import Job
from journal.runtime import beside, job_process, rebuilds
from journal.runtime import job as jobs
from journal.runtime.projection import Projection, catch_up, named, progress, registered

_POLL_S = 0.2


class NoSuchProjection(JournalError):
    """A projection nobody registered."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"no projection {name!r}; there is {', '.join(known.name for known in registered())}")


class Command(Base):
    """Rebuild a projection."""

    help = (
        "Fill a projection's read model again from the journal, beside the one that pages see, and swap the two. A"
        " worker does it; one that stops goes on where it was."
    )
    example = "nagare rebuild explorer --wait"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        parser.add_argument("projection", metavar="PROJECTION")
        parser.add_argument("--wait", action="store_true", help="do it here, and return when it is done")
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--cancel", action="store_true", help="stop the rebuild that is under way")
        what.add_argument("--resume", action="store_true", help="go on with the one that was cancelled or failed last")
        what.add_argument(
            "--verify",
            action="store_true",
            help="build it beside and compare; nothing is swapped; exit code 1: differs",
        )

    def run(self, **options: Any) -> None:
        """Do what is asked."""
        try:
            projection = named(options["projection"])
        except KeyError as error:
            raise NoSuchProjection(options["projection"]) from error
        if options["verify"]:
            self._verify(projection, as_json=options["json"])
        elif options["cancel"]:
            self._cancel(projection, as_json=options["json"])
        else:
            job = _last_ended(projection) if options["resume"] else None
            job = job if job and jobs.resume(job.id) else rebuilds.submit(projection.name)
            self._rebuild(projection, job, wait=options["wait"], as_json=options["json"])

    def _rebuild(self, projection: Projection, job: Job, *, wait: bool, as_json: bool) -> None:
        if wait:
            _do(job)
            job.refresh_from_db()
            if job.status != "done":
                raise CommandError(f"the rebuild of {projection.name} is {job.status}: {job.error}", returncode=1)
            catch_up(projection)  # the job's own events came after the swap
        done = progress(projection)
        if as_json:
            told = {
                "name": done.name,
                "position": done.position,
                "head": done.head,
                "job": job.id,
                "status": job.status,
            }
            self.print_json(told)
        elif wait:
            self.say(f"{done.name}: rebuilt, at position {done.position:,} of {done.head:,}")
        else:
            self.say(f"{done.name}: job {job.id} is {job.status}; `nagare projections` shows how far it is")

    def _cancel(self, projection: Projection, *, as_json: bool) -> None:
        job = rebuilds.open_job(projection.name)
        cancelled = job is not None and jobs.cancel(job.id)
        if as_json:
            self.print_json({"name": projection.name, "cancelled": cancelled})
        else:
            self.say(f"{projection.name}: {'cancelled' if cancelled else 'no rebuild is under way'}")

    def _verify(self, projection: Projection, *, as_json: bool) -> None:
        verdict = beside.verify(projection)
        if as_json:
            self.print_json({**msgspec.to_builtins(verdict), "agrees": verdict.agrees})
        else:
            says = "equals" if verdict.agrees else "DIFFERS FROM"
            self.say(f"{verdict.name} {says} its rebuild at position {verdict.position:,}: {verdict.live}")
        if not verdict.agrees:
            raise CommandError(f"`nagare rebuild {verdict.name}` puts it right", returncode=1)


def _do(job: Job) -> None:
    """Work on the job here, or wait for the worker that was quicker."""
    while Job.objects.get(id=job.id).status not in jobs.ENDED:
        if job_process.run(job.id) is None:
            time.sleep(_POLL_S)


def _last_ended(projection: Projection) -> Job | None:
    found = Job.objects.filter(kind=rebuilds.KIND, status__in=("cancelled", "failed")).order_by("-created_at")
    return next((job for job in found if job.arguments["projection"] == projection.name), None)

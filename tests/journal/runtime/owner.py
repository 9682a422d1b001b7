"""A process for the tests to stop, continue and kill. It says what it does on standard output, a line each.

owner.py hold NAME TTL_S      own a lease, and move its checkpoint on for each line that comes in
owner.py fill COUNT           append so many events
owner.py rebuild JOB          work on a rebuild job, in small batches and with short times
owner.py submit               write a rebuild job, say its id
owner.py done JOB             say how far a job is, for each line that comes in
owner.py verify               compare the read model with a rebuild
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import django

SHORT = timedelta(seconds=1)


def say(*words: object) -> None:
    """Print a line at once."""
    print(*words, flush=True)  # noqa: T201 - this is how it speaks


def hold(name: str, ttl_s: str) -> None:
    """Write under a lease without ever asking whether it is still ours: only the fence is to stop it."""
    from journal.runtime import checkpoint, lease  # noqa: PLC0415 - needs Django

    for term in lease.terms(name, stop=threading.Event(), ttl=timedelta(seconds=float(ttl_s))):
        mark = checkpoint.take(name, token=term.token)
        say("owned", term.token)
        for _ in sys.stdin:
            try:
                mark = checkpoint.advance(mark, to=mark.position + 1, token=term.token)
                say("wrote", mark.position, term.token)
            except (checkpoint.Fenced, checkpoint.Overtaken) as refused:
                say("refused", type(refused).__name__, term.holds())


def fill(count: str) -> None:
    """Append agent runs."""
    from journal.domain.stream import ANY_VERSION  # noqa: PLC0415
    from journal.store import get_store  # noqa: PLC0415
    from tests.builders import event, reasoned, returned, started  # noqa: PLC0415

    for at in range(int(count) // 3):
        made = [event(started()), event(reasoned()), event(returned())]
        get_store().append(f"agent_run-{at % 40}", made, expected_version=ANY_VERSION)
    say("filled", get_store().head())


def quicken() -> None:
    """Make batches small and times short, so that there is something to interrupt."""
    from journal.runtime import job as jobs  # noqa: PLC0415
    from journal.runtime import lease, projection  # noqa: PLC0415

    for where, name, short in (
        (projection, "BATCH", 20),
        (jobs, "STALE_AFTER", SHORT),
        (jobs, "BEAT_EVERY", SHORT / 5),
        (lease, "guard", partial(lease.guard, ttl=SHORT)),
    ):
        setattr(where, name, short)


def rebuild(job_id: str) -> None:
    """Work on a job, as a worker that is woken again and again until the job has ended does."""
    from journal.models import Job  # noqa: PLC0415
    from journal.runtime import job as jobs  # noqa: PLC0415
    from journal.runtime import job_process  # noqa: PLC0415

    quicken()
    while (job := Job.objects.get(id=job_id)).status not in jobs.ENDED:
        say("working", job.attempt, job.done)
        job_process.run(job_id)
        time.sleep(0.1)
    say("ended", job.status, job.attempt, job.error)


def submit() -> None:
    """Write a rebuild job."""
    from journal.runtime import rebuilds  # noqa: PLC0415

    say(rebuilds.submit("explorer").id)


def done(job_id: str) -> None:
    """Say how far a job is, for each line that comes in."""
    from journal.models import Job  # noqa: PLC0415

    for _ in sys.stdin:
        say(Job.objects.get(id=job_id).done)


def verify() -> None:
    """Catch up and compare."""
    from journal.runtime import beside, projection  # noqa: PLC0415

    projection.catch_up_all()
    verdict = beside.verify(projection.named("explorer"))
    say("agrees" if verdict.agrees else "differs", verdict.live)


COMMANDS: dict[str, Callable[..., None]] = {
    "hold": hold,
    "fill": fill,
    "rebuild": rebuild,
    "submit": submit,
    "done": done,
    "verify": verify,
}


def main() -> None:
    """Do what the command line says."""
    django.setup()
    what, *arguments = sys.argv[1:]
    COMMANDS[what](*arguments)


main()

"""A process for the tests that grades, to be killed at any time. It says what it does on standard output, a line each.

grader.py fill RUNS       make a journal with so many runs and a saved rule, and say what a re-grade comes to
grader.py submit          ask for a re-grade in spite of any there is, say its id
grader.py work JOB        work on it until it has ended, in small parts and with short times; say when a part is told,
                          and in the end what came out
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from typing import Any

import django
from django.core.management import call_command

SHORT = timedelta(seconds=1)


def say(*words: object) -> None:
    """Print a line at once."""
    print(*words, flush=True)  # noqa: T201 - this is how it speaks


def fill(runs: str) -> None:
    """Write runs, of which every third fails once and every fifth twice."""
    from journal.access import add_project  # noqa: PLC0415 - needs Django
    from journal.runtime import saved_rules  # noqa: PLC0415
    from journal.store import get_store  # noqa: PLC0415
    from tests.builders import event, failed, reasoned, returned, started  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    add_project("graded")
    for number in range(int(runs)):
        made = [started(agent="coder"), reasoned(call_id="a"), returned(call_id="a")]
        for at in range((number % 3 == 0) + (number % 5 == 0)):
            made += [reasoned(call_id=f"b{at}"), failed(call_id=f"b{at}")]
        get_store("graded").append(f"agent_run-{number:04}", [event(each) for each in made], expected_version=0)
    rule = {"name": "few-errors", "description": "", "expression": "state.totals.tool_errors < 2", "monotone": True}
    saved_rules.save(project="graded", by=None, **rule)  # type: ignore[arg-type]
    work(submit())


def submit() -> str:
    """Write the job."""
    from journal.runtime import regrade  # noqa: PLC0415

    job_id = regrade.submit(project="graded", rule="few-errors", force=True).id
    say(job_id)
    return job_id


def work(job_id: str) -> None:
    """Work as a worker that is woken again and again does."""
    from journal.models import Job  # noqa: PLC0415
    from journal.runtime import job as jobs  # noqa: PLC0415
    from journal.runtime import regrade, regrade_plan, regrade_work  # noqa: PLC0415

    for where, name, value in (
        (jobs, "STALE_AFTER", SHORT),
        (jobs, "BEAT_EVERY", SHORT / 5),
        (regrade_plan, "RUNS_A_PART", 4),
    ):
        setattr(where, name, value)
    tell = regrade_work.tell

    def told(*arguments: Any) -> None:
        tell(*arguments)
        say("told", arguments[2])

    setattr(regrade_work, "tell", told)  # noqa: B010 - it takes the place of a function
    while (job := Job.objects.get(id=job_id)).status not in jobs.ENDED:
        say("working", job.attempt, job.done)
        regrade.run(job_id)
        time.sleep(0.05)
    say("attempts", job.attempt)
    outcome(job_id)


def outcome(job_id: str) -> None:
    """Say what came out, without what is another job's own: its id, and where its verdicts stand in the journal."""
    from journal.models import GradeRow, Job, JobRun  # noqa: PLC0415
    from journal.runtime import regrade  # noqa: PLC0415

    job = Job.objects.get(id=job_id)
    found = regrade.report(job)
    rows = GradeRow.objects.filter(grade__in=JobRun.objects.filter(job=job_id).values("grade"))
    columns = ("run", "run_version", "verdict", "previous", "at_version", "at_position", "event_id", "message", "flips")
    listed = list(rows.order_by("run").values_list(*columns))
    told = GradeRow.objects.filter(job=job_id).count()
    digest = sha256(repr(listed).encode()).hexdigest()
    say(job.status, found.runs, found.holds, found.fails, found.errors, told, digest)


def main() -> None:
    """Do what the command line says."""
    django.setup()
    what, *arguments = sys.argv[1:]
    commands: dict[str, Callable[..., object]] = {"fill": fill, "submit": submit, "work": work}
    commands[what](*arguments)


main()

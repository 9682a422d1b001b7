"""Jobs driven by a process manager: no step is lost or repeated, whoever dies, stops or comes twice."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections
from django.db.models.functions import Now

from journal.access import add_project
from journal.domain import codec
from journal.ingest import jobs as imports
from journal.models import Dispatch, Job
from journal.runtime import job as jobs
from journal.runtime import job_process, outbox
from journal.runtime.process_manager import follow, load
from journal.store import get_store
from journal.tasks import reap
from tests.zips import zipped

pytestmark = pytest.mark.django_db
FULL = bool(os.environ.get("FULL"))
KILLS = 50 if FULL else 8
FILES = 10 if FULL else 3
"""In each archive of an import whose workers are killed."""

_FILES_TO_DIE_AT = range(1, FILES + 2 - FULL)
NAMES = tuple(f"s{number}" for number in range(KILLS + 2))


def nothing(job: Job, step: str) -> None:
    """Do nothing in between."""


class Counting:
    """A kind whose steps note in a file that they were done, and do what a test wants in between."""

    name = "counting"

    def __init__(self, notes: Path) -> None:
        self.notes = notes
        self.before: Any = nothing
        self.cleaned = 0

    def steps(self, job: Job) -> Sequence[str]:
        """Return the steps."""
        return NAMES[: job.arguments["steps"]]

    def run_step(self, job: Job, step: str, *, done: int) -> int:
        """Note the step."""
        self.before(job, step)
        jobs.beat(job, done=done + 1)
        with self.notes.open("a") as file:
            file.write(f"{step}\n")
        return done + 1

    def clean_up(self, job: Job) -> None:
        """Count."""
        self.cleaned += 1

    def done(self) -> list[str]:
        """Return the steps that were done, in order."""
        return self.notes.read_text().split() if self.notes.exists() else []


@pytest.fixture
def kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counting:
    """The kind `counting`."""
    found = Counting(tmp_path / "notes")
    monkeypatch.setitem(job_process._kinds, found.name, found)
    return found


def queued(steps: int = 3, **fields: Any) -> Job:
    """Queue a job."""
    add_project("mine")
    job = jobs.enqueue(kind="counting", project="mine", user_id=None, arguments={"steps": steps}, unit="steps")
    Job.objects.filter(id=job.id).update(**fields)
    return job


def told(job: Job) -> list[str]:
    """Return what the job's stream says happened."""
    return [event.type.removeprefix("job.") for event in get_store("mine").read_stream(f"job-{job.id}")]


def abandoned(job: Job) -> None:
    """Let the job's worker have been silent for long."""
    Job.objects.filter(id=job.id).update(heartbeat_at=Now() - timedelta(minutes=5))


def test_a_job_goes_through_its_steps(kind: Counting) -> None:
    """Its stream tells them, its process ends with it, and coming twice changes nothing."""
    job = queued()
    ended = job_process.run(job.id)
    assert ended is not None
    assert (ended.status, ended.done) == ("done", 3)
    assert told(job) == ["submitted", "step_done", "step_done", "step_done", "ended"]
    process = load(get_store("mine"), f"process_job-{job.id}.1")
    assert (process.has_ended, process.open) == (True, {})
    assert job_process.run(job.id) is None
    assert kind.done() == ["s0", "s1", "s2"]


def test_a_duplicate_delivery_of_the_task_does_nothing(kind: Counting) -> None:
    """A broker that hands a task out again while the first one works on it: one result."""
    job = queued()
    kind.before = lambda job, _step: job_process.run(job.id)
    job_process.run(job.id)
    assert kind.done() == ["s0", "s1", "s2"]
    assert Job.objects.get().attempt == 1


def test_a_step_that_fails_ends_the_job_with_the_reason(kind: Counting) -> None:
    """What it left is cleared away."""
    job = queued()

    def fail(job: Job, step: str) -> None:
        if step == "s1":
            raise RuntimeError("the disk is gone")

    kind.before = fail
    ended = job_process.run(job.id)
    assert ended is not None
    assert (ended.status, ended.error) == ("failed", "RuntimeError: the disk is gone")
    assert told(job) == ["submitted", "step_done", "failed", "ended"]
    assert kind.cleaned == 1


def test_a_cancelled_job_stops_and_is_cleared_away(kind: Counting) -> None:
    """At its next sign of life; no further step is begun."""
    job = queued()
    kind.before = lambda job, step: jobs.cancel(job.id) if step == "s1" else None
    assert job_process.run(job.id) is None
    assert kind.done() == ["s0"]
    assert told(job) == ["submitted", "step_done", "cancelled", "ended"]
    assert kind.cleaned == 1


def test_a_job_that_was_cancelled_before_any_worker_saw_it_is_cleared_away(kind: Counting) -> None:
    """By the reaper, which finds it."""
    job = queued()
    jobs.cancel(job.id)
    assert job_process.to_wind_up(now=datetime.now(UTC)) == [job.id]
    reap()
    assert kind.cleaned == 1
    assert told(job) == []


def test_a_job_that_was_resumed_begins_a_new_round(kind: Counting) -> None:
    """Its process has ended; the next one has an id of its own."""
    job = queued()
    kind.before = lambda job, step: jobs.cancel(job.id) if step == "s1" else None
    job_process.run(job.id)
    kind.before = nothing
    assert jobs.resume(job.id)
    ended = job_process.run(job.id)
    assert ended is not None
    assert ended.status == "done"
    assert load(get_store("mine"), f"process_job-{job.id}.2").has_ended


class Stopped(BaseException):
    """The process ended here."""


@pytest.mark.parametrize("at", range(40))
def test_a_stop_at_any_write_gives_the_same_outcome(at: int, kind: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker ends at its n-th step of any sort; the next one goes on, and every step is done once in the record."""
    job = queued()
    with monkeypatch.context() as patched:
        _stop_at(patched, at)
        try:
            job_process.run(job.id)
        except Stopped:
            abandoned(job)
    job_process.run(job.id)
    _look_after_what_is_left()
    assert Job.objects.get().status == "done"
    assert told(job) == ["submitted", "step_done", "step_done", "step_done", "ended"]
    assert sorted(set(kind.done())) == ["s0", "s1", "s2"]
    assert (
        len(kind.done()) <= 4
    )  # the step in hand may have been done before it could be recorded, no other is repeated
    assert load(get_store("mine"), f"process_job-{job.id}.1").has_ended
    assert not Dispatch.objects.filter(state="pending", effect__in=("job.step", "job.end")).exists()


def _look_after_what_is_left() -> None:
    """Do what the reaper and the outbox's loop do some seconds later."""
    Dispatch.objects.filter(state="pending", effect="job.end").update(next_try_us=0)
    for left in job_process.to_wind_up(now=datetime.now(UTC)):
        job_process.wind_up(left)
    while follow(job_process.JobManager()):
        pass


def _stop_at(patched: pytest.MonkeyPatch, at: int) -> None:
    """End the worker before its n-th call of what writes."""
    calls = iter(range(10_000))

    def stopping(function: Any) -> Any:
        def called(*arguments: Any, **named: Any) -> Any:
            if next(calls) == at:
                raise Stopped
            return function(*arguments, **named)

        return called

    for module, name in (
        (job_process, "record"),
        (job_process, "react"),
        (outbox, "claim"),
        (outbox, "deliver"),
        (outbox, "_end"),
        (jobs, "finish"),
    ):
        patched.setattr(module, name, stopping(getattr(module, name)))


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_job_whose_workers_are_killed_one_after_the_other_does_each_step_once(kind: Counting) -> None:
    """Each worker is killed with SIGKILL in the middle of a step, before the step did anything."""
    job = queued(steps=len(NAMES))
    for _ in range(KILLS):
        assert _killed_in_its_second_step(kind, job)
        abandoned(job)
    ended = job_process.run(job.id)
    assert ended is not None
    assert (ended.status, ended.attempt, ended.done) == ("done", KILLS + 1, len(NAMES))
    assert kind.done() == list(NAMES)


def _killed_in_its_second_step(kind: Counting, job: Job) -> bool:
    connections.close_all()
    pid = os.fork()
    if pid == 0:
        try:
            begun: list[str] = []

            def die(job: Job, step: str) -> None:
                begun.append(step)
                if len(begun) == 2:
                    os.kill(os.getpid(), signal.SIGKILL)

            kind.before = die
            job_process.run(job.id)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def test_a_step_that_kills_every_worker_fails_the_job(kind: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than taking workers down for ever."""
    job = queued(steps=1)

    def die(job: Job, step: str) -> None:
        raise Stopped

    kind.before = die
    for _ in range(outbox.MAX_ATTEMPTS):
        with pytest.raises(Stopped):
            job_process.run(job.id)
        abandoned(job)
    ended = job_process.run(job.id)
    assert ended is not None
    assert (ended.status, "the worker died" in ended.error) == ("failed", True)


def test_a_job_that_takes_too_long_is_given_up(kind: Counting) -> None:
    """Though its worker shows signs of life: a step that never ends is a failure too."""
    job = queued()
    later = datetime.now(UTC) + job_process.STEP_TIMEOUT + timedelta(minutes=1)

    def hang(job: Job, step: str) -> None:
        if step == "s1":
            while outbox.deliver_due(clock=lambda: later):
                pass

    kind.before = hang
    ended = job_process.run(job.id)
    assert ended is not None
    assert (ended.status, ended.error) == ("failed", "no step was done within 6 hours")
    assert told(job)[-2:] == ["failed", "ended"]


def test_an_import_is_a_step_for_each_archive_and_one_for_loose_files(tmp_path: Path, settings: Any) -> None:
    """A second try of a step replaces what the first one reported."""
    settings.MEDIA_ROOT = str(tmp_path)
    add_project("mine")
    names = ("a.zip", "loose.json", "b.zip")
    uploads = [
        SimpleUploadedFile(name, zipped({"inner.json": b"{}"}) if name.endswith("zip") else b"{}") for name in names
    ]
    job = imports.submit(project="mine", user_id=None, uploads=uploads)
    ended = imports.run(job.id)
    assert ended is not None
    assert ended.status == "done"
    assert [
        event.payload["step"] for event in get_store("mine").read_stream(f"job-{job.id}") if "step" in event.payload
    ] == [
        "archive-0",
        "archive-2",
        "files",
    ]
    assert (ended.result or {})["totals"]["files"] == 3
    assert not any(default_storage.exists(entry["stored"]) for entry in job.arguments["files"])


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_an_import_whose_workers_are_killed_comes_to_what_an_undisturbed_one_does(
    tmp_path: Path, settings: Any
) -> None:
    """The same runs with the same events, and the same report; the uploads are gone in the end."""
    settings.MEDIA_ROOT = str(tmp_path)
    jobs_of = {project: _submitted(project) for project in ("calm", "stormy")}
    calm = imports.run(jobs_of["calm"].id)
    for at in _FILES_TO_DIE_AT:
        assert _killed_at_file(jobs_of["stormy"], at)
        abandoned(jobs_of["stormy"])
    stormy = imports.run(jobs_of["stormy"].id)
    assert calm is not None
    assert stormy is not None
    assert (stormy.status, stormy.done, stormy.attempt) == ("done", calm.done, len(_FILES_TO_DIE_AT) + 1)
    assert _runs("stormy") == _runs("calm")
    assert [one["path"] for one in (stormy.result or {})["files"]] == [
        one["path"] for one in (calm.result or {})["files"]
    ]
    assert not any(default_storage.exists(entry["stored"]) for entry in jobs_of["stormy"].arguments["files"])


def _submitted(project: str) -> Job:
    add_project(project)
    packed = [
        {f"{archive}{number}.traj.json": _session(f"{archive}{number}") for number in range(FILES)} for archive in "ab"
    ]
    uploads = [SimpleUploadedFile(f"{at}.zip", zipped(files)) for at, files in enumerate(packed)]
    return imports.submit(project=project, user_id=None, uploads=uploads)


def _session(name: str) -> bytes:
    """Return a small mini-SWE-agent trajectory."""
    said = "THOUGHT: look\n```mswea_bash_command\nls\n```"
    roles = {"system": "You can run bash.", "user": f"Task {name}", "assistant": said}
    return codec.encode([{"role": role, "content": content} for role, content in roles.items()])


def _killed_at_file(job: Job, at: int) -> bool:
    """Run a worker that dies after it imported its n-th file and before it could say so."""
    connections.close_all()
    pid = os.fork()
    if pid == 0:
        try:
            calls: list[str] = []
            add = imports._Reports.add

            def dying(reports: Any, report: Any) -> None:
                calls.append(report.path)
                if len(calls) == at:
                    os.kill(os.getpid(), signal.SIGKILL)
                add(reports, report)

            imports._Reports.add = dying  # type: ignore[method-assign,assignment]
            imports.run(job.id)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def _runs(project: str) -> list[list[tuple[str, bytes]]]:
    """Return what is in a project's runs, without what names the project."""
    found: dict[str, list[tuple[str, bytes]]] = {}
    for event in get_store(project).read_category("agent_run"):
        found.setdefault(event.stream, []).append((event.type, event.data))
    return sorted(found.values())

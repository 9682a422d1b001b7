"""Uploads to runs by a job: kept until they are read, read once, and removed whatever happens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile

from journal import tasks
from journal.errors import ImportRefused
from journal.ingest import jobs as imports
from journal.ingest.importer import Importer
from journal.models import Job, Project
from journal.runtime import job as jobs
from journal.store import get_store
from tests.commands import session
from tests.zips import zipped

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _storage(tmp_path: Path, settings: Any) -> None:
    """Uploads are kept in a folder of the test."""
    settings.MEDIA_ROOT = str(tmp_path)
    Project.objects.create(slug="default", name="Default")


def upload(name: str, data: str | bytes) -> SimpleUploadedFile:
    """Return a file as a form sends it."""
    return SimpleUploadedFile(name, data.encode() if isinstance(data, str) else data)


def submitted(*uploads: SimpleUploadedFile) -> Job:
    """Submit uploads to the default project."""
    return imports.submit(project="default", user_id=None, uploads=uploads)


def kept(tmp_path: Path) -> list[Path]:
    """Return the uploads that lie in storage."""
    return [file for file in tmp_path.rglob("*") if file.is_file()]


def files_of(job: Job) -> list[dict[str, Any]]:
    """Return what the job says of each file."""
    job.refresh_from_db()
    assert job.result is not None
    files: list[dict[str, Any]] = job.result["files"]
    return files


def streams() -> set[str]:
    """Return the runs the journal holds, beside what it says of jobs."""
    return {event.stream for event in get_store("default").read_category("agent_run")}


def test_a_job_has_its_files_from_the_moment_it_is_seen(tmp_path: Path) -> None:
    """Nothing is imported yet; names lose their folders, and the job knows how many there are."""
    job = submitted(upload("C:\\logs\\a.jsonl", session("a")), upload("../b.jsonl", session("b")))
    assert (job.status, job.total, job.unit, streams()) == ("queued", 2, "files", set())
    assert [entry["name"] for entry in job.arguments["files"]] == ["a.jsonl", "b.jsonl"]
    assert len(kept(tmp_path)) == 2


def test_a_run_reports_each_file_catches_the_read_models_up_and_removes_the_uploads(tmp_path: Path) -> None:
    """The result is the document that `nagare import --json` prints."""
    job = submitted(upload("a.jsonl", session("a")), upload("bad.json", "{"))
    tasks.run_import(job.id)
    job.refresh_from_db()
    assert (job.status, job.done, job.total, job.error) == ("done", 2, 2, "")
    assert [(file["path"], file["status"]) for file in files_of(job)] == [
        ("a.jsonl", "imported"),
        ("bad.json", "refused"),
    ]
    assert job.result is not None
    assert job.result["totals"]["runs"] == len(streams()) == 1
    assert kept(tmp_path) == []


def test_a_zip_is_its_files() -> None:
    """They count one by one."""
    job = submitted(
        upload("both.ZIP", zipped({"x/a.jsonl": session("a").encode(), "x/b.jsonl": session("b").encode()}))
    )
    imports.run(job.id)
    job.refresh_from_db()
    assert (job.done, job.total, len(streams())) == (2, 2, 2)


def test_two_uploads_of_one_name_are_both_read() -> None:
    """The second is shown with its number."""
    job = submitted(upload("run.jsonl", session("a")), upload("run.jsonl", session("b")))
    imports.run(job.id)
    job.refresh_from_db()
    assert [file["path"] for file in files_of(job)] == ["run (2).jsonl", "run.jsonl"]
    assert len(streams()) == 2


@pytest.mark.parametrize(
    ("limit", "value", "reason"),
    [("MAX_FILES", 1, "2 files, the limit of this page is 1"), ("MAX_UPLOAD_BYTES", 3, "limit of this page is 3"),
     ("MAX_TOGETHER_BYTES", 7, "8 bytes in 2 files, the limit of this page is 7 together")],
)  # fmt: skip
def test_too_much_is_refused_and_nothing_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: str, value: int, reason: str
) -> None:
    """The reason says how much it was, how much may be, and the way out."""
    monkeypatch.setattr(imports, limit, value)
    with pytest.raises(ImportRefused, match=reason) as caught:
        submitted(upload("a", "1234"), upload("b", "5678"))
    assert "`nagare import`" in str(caught.value)
    assert (kept(tmp_path), Job.objects.count()) == ([], 0)


def test_no_file_is_refused() -> None:
    """A form sent without one says so."""
    with pytest.raises(ImportRefused, match="no file came with the form"):
        submitted()


def test_where_one_upload_cannot_be_stored_none_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A full disk leaves neither files nor a job behind."""
    save = default_storage.save

    def full(name: str, content: Any) -> str:
        if name.endswith("/1"):
            raise OSError(28, "No space left on device")
        return save(name, content)

    monkeypatch.setattr(default_storage, "save", full)
    with pytest.raises(OSError, match="No space"):
        submitted(upload("a", "1"), upload("b", "2"))
    assert (kept(tmp_path), Job.objects.count()) == ([], 0)


def test_a_cancelled_job_stops_at_the_next_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is in stays in, the rest is not read, and the uploads go."""
    job = submitted(upload("a.jsonl", session("a")), upload("b.jsonl", session("b")), upload("c.jsonl", session("c")))
    take = Importer._one

    def cancelling(self: Importer, found: Any) -> Any:
        report = take(self, found)
        if found.name == "b.jsonl":
            jobs.cancel(job.id, now=datetime.now(UTC))
        return report

    monkeypatch.setattr(Importer, "_one", cancelling)
    assert imports.run(job.id) is None
    job.refresh_from_db()
    assert (job.status, len(streams()), kept(tmp_path)) == ("cancelled", 2, [])


def test_a_job_cancelled_before_anybody_took_it_leaves_no_uploads(tmp_path: Path) -> None:
    """The worker that was woken for it finds it ended; so does the next sweep where none was."""
    for end in (imports.run, lambda _id: tasks.reap()):
        job = submitted(upload("a.jsonl", session("a")))
        jobs.cancel(job.id, now=datetime.now(UTC))
        end(job.id)
        assert (streams(), kept(tmp_path)) == (set(), [])


def test_a_lost_workers_job_is_taken_over_and_doubles_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A worker dies after the first of two files; the sweep wakes another, which ends as if nothing had happened."""
    job = submitted(upload("a.jsonl", session("a")), upload("b.jsonl", session("b")))
    dying = pytest.MonkeyPatch()
    dying.setattr(jobs, "beat", lambda *_args, **_fields: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        imports.run(job.id)
    dying.undo()
    assert (len(streams()), len(kept(tmp_path))) == (1, 2)
    tasks.reap()
    job.refresh_from_db()
    assert job.status == "running"  # its worker may yet be alive
    Job.objects.update(heartbeat_at=datetime.now(UTC) - jobs.STALE_AFTER - timedelta(seconds=1))
    tasks.reap()
    job.refresh_from_db()
    assert (job.status, job.attempt, len(streams()), kept(tmp_path)) == ("done", 2, 2, [])
    assert [file["status"] for file in files_of(job)] == ["unchanged", "imported"]


def test_a_job_that_breaks_says_why_and_removes_its_uploads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An error of ours is no refusal of a file: it is logged, and the job says so."""
    job = submitted(upload("a.jsonl", session("a")))
    monkeypatch.setattr(Importer, "_one", lambda _self, _found: 1 / 0)
    imports.run(job.id)
    job.refresh_from_db()
    assert (job.status, job.error, kept(tmp_path)) == ("failed", "ZeroDivisionError: division by zero", [])


def test_an_ended_job_does_not_run_again() -> None:
    """A message that comes twice does nothing the second time."""
    job = submitted(upload("a.jsonl", session("a")))
    assert imports.run(job.id) is not None
    assert imports.run(job.id) is None


def test_files_of_a_folder_keep_their_places_below_it() -> None:
    """Formats look for what lies beside a file; a place that leads up or is absolute is taken for names alone."""
    paths = ["logs/a.jsonl", "../../etc/b.jsonl", "C:\\x\\c.jsonl"]
    uploads = [upload(path.rpartition("/")[2], session(path)) for path in paths]
    job = imports.submit(project="default", user_id=None, uploads=uploads, paths=paths)
    assert [entry["name"] for entry in job.arguments["files"]] == ["logs/a.jsonl", "etc/b.jsonl", "C:/x/c.jsonl"]
    imports.run(job.id)
    assert {file["status"] for file in files_of(job)} == {"imported"}


def test_a_file_that_takes_long_says_how_many_events_were_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a second at most; nothing is being read when it is done."""
    seen: list[Any] = []
    ticks = count()
    beat = jobs.beat

    def watched(job: Job, **fields: Any) -> None:
        seen.append((fields.get("result") or {}).get("reading"))
        beat(job, **fields)

    monkeypatch.setattr(jobs, "beat", watched)
    monkeypatch.setattr(imports, "monotonic", lambda: float(next(ticks)))
    imports.run(submitted(upload("a.jsonl", session("a"))).id)
    assert any(reading and reading["path"] == "a.jsonl" and reading["events"] > 0 for reading in seen)
    assert seen[-1] is None


def test_a_large_archive_writes_its_reports_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress moves with each file; the list of all files is written at the first one and at the end of the step."""
    written: list[bool] = []
    beat = jobs.beat

    def counted(job: Job, **fields: Any) -> None:
        written.append(fields.get("result") is not None)
        beat(job, **fields)

    monkeypatch.setattr(jobs, "beat", counted)
    monkeypatch.setattr(imports, "monotonic", lambda: 7.0)
    job = submitted(upload("many.zip", zipped({f"{at}.json": b"[]" for at in range(50)})))
    imports.run(job.id)
    job.refresh_from_db()
    assert (len(written), sum(written), len(files_of(job))) == (51, 2, 50)

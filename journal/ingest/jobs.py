"""Uploads become an import job: the files are kept in storage until a worker has read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import PurePosixPath
from threading import Event, Thread
from time import monotonic
from typing import Any, Final

import msgspec
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile
from django.db import OperationalError, connection, transaction
from uuid_utils.compat import uuid7

from journal.errors import ImportRefused
from journal.ingest.files import Found, from_archive, from_memory
from journal.ingest.importer import FileReport, Importer, totals
from journal.models import Job
from journal.runtime import job as jobs
from journal.runtime.projection import catch_up_all
from journal.store import get_store

KIND: Final = "import"
MAX_UPLOAD_BYTES: Final = 256 * 2**20
MAX_TOGETHER_BYTES: Final = 512 * 2**20
MAX_FILES: Final = 500
_BEAT_SECONDS: Final = jobs.STALE_AFTER.total_seconds() / 3
_WRITE_SECONDS: Final = 1.0


def submit(*, project: str, user_id: int | None, uploads: Iterable[UploadedFile[Any]]) -> Job:
    """Keep the uploads and write the job that imports them; the caller wakes a worker.

    Raises:
        ImportRefused: there is none, there are too many, or one is too large; nothing is kept.
    """
    files = list(uploads)
    if not files:
        raise ImportRefused("no file came with the form; choose or drop one")
    if len(files) > MAX_FILES:
        raise ImportRefused(f"{len(files)} files, the limit of this page is {MAX_FILES}; `nagare import` has none")
    whole = sum(file.size or 0 for file in files)
    if whole > MAX_TOGETHER_BYTES:
        raise ImportRefused(
            f"{whole:,} bytes in {len(files)} files, the limit of this page is {MAX_TOGETHER_BYTES:,} together;"
            " `nagare import` has none"
        )
    for file in files:
        if (file.size or 0) > MAX_UPLOAD_BYTES:
            raise ImportRefused(
                f"{file.name}: {file.size:,} bytes, the limit of this page is {MAX_UPLOAD_BYTES:,}; `nagare import`"
                " takes larger ones"
            )
    kept = _keep_all(files)
    with transaction.atomic():  # a worker finds the job whole, or not at all
        job = jobs.enqueue(kind=KIND, project=project, user_id=user_id, arguments={"files": kept}, unit="files")
        Job.objects.filter(id=job.id).update(total=len(kept))
    job.refresh_from_db()
    return job


def _keep_all(files: Iterable[UploadedFile[Any]]) -> list[dict[str, str]]:
    """Store the uploads; where one cannot be, none is."""
    folder, kept = f"imports/{uuid7()}", []
    try:
        for at, file in enumerate(files):
            name = PurePosixPath((file.name or "file").replace("\\", "/")).name.replace("\x00", "") or "file"
            kept.append({"name": name[:200], "stored": default_storage.save(f"{folder}/{at}", file)})
    except BaseException:
        _remove(kept)
        raise
    return kept


def _remove(kept: Iterable[Mapping[str, str]]) -> None:
    for entry in kept:
        default_storage.delete(entry["stored"])


def run(job_id: str, *, store_of: Any = get_store) -> Job | None:
    """Import the files of a job. Safe to call twice and to stop anywhere: what is imported is found again by its ids.

    Returns the job, or None where another worker has it or it has ended.
    """
    job = jobs.claim(job_id, now=_now())
    if job is None:
        _clear_if_ended(job_id)  # cancelled before anybody took it
        return None
    reports = _Reports(job)
    try:
        with _beating(job):
            Importer(store=store_of(job.project_id)).run(_found(job), on_file=reports.add)
            catch_up_all()  # whoever reads that it is done finds the runs
        jobs.finish(job, now=_now(), result=reports.result())
    except jobs.JobLost:
        return None
    except Exception as error:
        jobs.finish(job, now=_now(), result=reports.result(), error=f"{type(error).__name__}: {error}")
        raise
    finally:
        _clear_if_ended(job_id)
    return Job.objects.get(id=job.id)


@contextmanager
def _beating(job: Job) -> Iterator[None]:
    """Keep the job alive meanwhile: one file may take longer than a worker may be silent."""
    ended = Event()

    def beat() -> None:
        while not ended.wait(_BEAT_SECONDS):
            try:
                Job.objects.filter(id=job.id, status="running", attempt=job.attempt).update(heartbeat_at=_now())
            except OperationalError:  # the database is busy; the next beat tells
                continue
        connection.close()

    beating = Thread(target=beat, name=f"job-{job.id}", daemon=True)
    beating.start()
    try:
        yield
    finally:
        ended.set()
        beating.join()


def _found(job: Job) -> Iterable[Found]:
    """Yield the job's files, and those in its archives; loose files lie beside each other."""
    loose: dict[str, bytes] = {}
    for entry in job.arguments["files"]:
        with default_storage.open(entry["stored"]) as kept:
            data = kept.read()
        if entry["name"].lower().endswith(".zip"):
            yield from from_archive(entry["name"], data)
        else:
            loose[_free_name(loose, entry["name"])] = data
    yield from from_memory(loose, every=True)


def _free_name(taken: dict[str, bytes], name: str) -> str:
    """Two uploads may have one name: the second is shown with its number."""
    at = 2
    free = name
    while free in taken:
        free, at = f"{PurePosixPath(name).stem} ({at}){PurePosixPath(name).suffix}", at + 1
    return free


class _Reports:
    """What was reported of each file so far. All of it is written once a second only: an archive may hold thousands."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._reports: list[FileReport] = []
        self._written = -_WRITE_SECONDS

    def add(self, report: FileReport) -> None:
        """Take one in, and say how far the job is.

        Raises:
            JobLost: it was cancelled, or another worker has it.
        """
        self._reports.append(report)
        now = monotonic()
        is_due = now - self._written >= _WRITE_SECONDS
        if is_due:
            self._written = now
        done = len(self._reports)
        total = max(self._job.total or 0, done)
        jobs.beat(self._job, now=_now(), done=done, total=total, result=self.result() if is_due else None)

    def result(self) -> Any:
        """Return the reports and their sums as JSON."""
        return msgspec.to_builtins({"files": self._reports, "totals": totals(self._reports)})


def clear() -> None:
    """Remove the uploads of jobs that ended while no worker had them."""
    for job_id in (
        Job.objects.filter(kind=KIND, status__in=jobs.ENDED).exclude(arguments={}).values_list("id", flat=True)
    ):
        _clear_if_ended(job_id)


def _clear_if_ended(job_id: str) -> None:
    """Remove the uploads of a job that will not run again."""
    job = Job.objects.filter(id=job_id, status__in=jobs.ENDED).first()
    if job is not None and job.arguments:
        _remove(job.arguments.get("files", []))
        Job.objects.filter(id=job_id).update(arguments={})


def _now() -> datetime:
    return datetime.now(UTC)

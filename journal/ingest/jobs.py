"""Uploads become an import job: the files are kept in storage until a worker has read them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, Final

import msgspec
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile

from journal.errors import ImportRefused
from journal.ingest.files import Found, from_archive, from_memory
from journal.ingest.importer import FileReport, Importer, totals
from journal.models import Job
from journal.runtime import job as jobs
from journal.runtime.projection import catch_up_all
from journal.store import get_store

KIND: Final = "import"
MAX_UPLOAD_BYTES: Final = 256 * 2**20
MAX_FILES: Final = 500


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
    for file in files:
        if (file.size or 0) > MAX_UPLOAD_BYTES:
            raise ImportRefused(
                f"{file.name}: {file.size:,} bytes, the limit of this page is {MAX_UPLOAD_BYTES:,}; `nagare import`"
                " takes larger ones"
            )
    job = jobs.enqueue(kind=KIND, project=project, user_id=user_id, arguments={}, unit="files")
    kept = [_keep(job.id, at, file) for at, file in enumerate(files)]
    Job.objects.filter(id=job.id).update(arguments={"files": kept}, total=len(kept))
    job.refresh_from_db()
    return job


def _keep(job_id: str, at: int, file: UploadedFile[Any]) -> dict[str, str]:
    name = PurePosixPath((file.name or "file").replace("\\", "/")).name.replace("\x00", "") or "file"
    stored = default_storage.save(f"imports/{job_id}/{at}", file)
    return {"name": name[:200], "stored": stored}


def run(job_id: str, *, store_of: Any = get_store) -> Job | None:
    """Import the files of a job. Safe to call twice and to stop anywhere: what is imported is found again by its ids.

    Returns the job, or None where another worker has it or it has ended.
    """
    job = jobs.claim(job_id, now=_now())
    if job is None:
        return None
    reports: list[FileReport] = []
    try:
        importer = Importer(store=store_of(job.project_id))
        importer.run(_found(job), on_file=lambda report: _progress(job, reports, report))
        jobs.finish(job, now=_now(), result=_result(reports))
    except jobs.JobLost:
        return None
    except Exception as error:
        jobs.finish(job, now=_now(), result=_result(reports), error=f"{type(error).__name__}: {error}")
        raise
    finally:
        catch_up_all()
        _clear_if_ended(job)
    return Job.objects.get(id=job.id)


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


def _progress(job: Job, reports: list[FileReport], report: FileReport) -> None:
    reports.append(report)
    jobs.beat(job, now=_now(), done=len(reports), total=max(job.total or 0, len(reports)), result=_result(reports))


def _result(reports: list[FileReport]) -> Any:
    return msgspec.to_builtins({"files": reports, "totals": totals(reports)})


def _clear_if_ended(job: Job) -> None:
    """Remove the uploads of a job that will not run again."""
    if Job.objects.filter(id=job.id, status__in=jobs.ENDED).exists():
        for entry in job.arguments.get("files", []):
            default_storage.delete(entry["stored"])


def _now() -> datetime:
    return datetime.now(UTC)

"""Uploads become an import job: the files are kept in storage until a worker has read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

import msgspec
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile

from journal.access.projects import DEFAULT_PROJECT
from journal.errors import ImportRefused
from journal.ingest.files import Found, from_archive, from_memory
from journal.ingest.importer import FileReport, Importer, totals
from journal.models import Job
from journal.runtime import job as jobs
from journal.runtime import job_process
from journal.runtime.projection import catch_up_all
from journal.store import get_store

KIND: Final = "import"
MAX_UPLOAD_BYTES: Final = 256 * 2**20
MAX_FILES: Final = 500
_LOOSE: Final = "files"


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


def run(job_id: str) -> Job | None:
    """Import the files of a job. Safe to call twice and to stop anywhere: what is imported is found again by its ids.

    Returns the job, or None where another worker has it or it has ended.
    """
    return job_process.run(job_id)


class ImportKind:
    """An import: each archive is a step, and so are all loose files together, which may belong to each other."""

    name = KIND

    def steps(self, job: Job) -> list[str]:
        """Return a step for each archive by its place among the uploads, and one for the loose files."""
        kept = job.arguments["files"]
        archives = [f"archive-{at}" for at, entry in enumerate(kept) if _is_archive(entry)]
        return [*archives, _LOOSE] if len(archives) < len(kept) else archives

    def run_step(self, job: Job, step: str, *, done: int) -> int:
        """Import a step's files. Reports of a try that was cut short are replaced by this one's."""
        before = (job.result or {}).get("files", [])[:done]
        reports = msgspec.convert(before, list[FileReport])
        importer = Importer(store=get_store(job.project_id or DEFAULT_PROJECT))
        importer.run(_found(job, step), on_file=lambda report: _progress(job, reports, report))
        return len(reports)

    def clean_up(self, job: Job) -> None:
        """Bring the pages up to what was imported, and remove the uploads."""
        catch_up_all()
        for entry in job.arguments.get("files", []):
            default_storage.delete(entry["stored"])


job_process.runs(ImportKind())


def _found(job: Job, step: str) -> Iterable[Found]:
    """Yield the files of a step; loose files lie beside each other."""
    kept = job.arguments["files"]
    if step != _LOOSE:
        entry = kept[int(step.removeprefix("archive-"))]
        yield from from_archive(entry["name"], _read(entry))
        return
    loose: dict[str, bytes] = {}
    for entry in kept:
        if not _is_archive(entry):
            loose[_free_name(loose, entry["name"])] = _read(entry)
    yield from from_memory(loose, every=True)


def _is_archive(entry: Mapping[str, str]) -> bool:
    return entry["name"].lower().endswith(".zip")


def _read(entry: Mapping[str, str]) -> bytes:
    with default_storage.open(entry["stored"]) as kept:
        data: bytes = kept.read()
    return data


def _free_name(taken: dict[str, bytes], name: str) -> str:
    """Two uploads may have one name: the second is shown with its number."""
    at = 2
    free = name
    while free in taken:
        free, at = f"{PurePosixPath(name).stem} ({at}){PurePosixPath(name).suffix}", at + 1
    return free


def _progress(job: Job, reports: list[FileReport], report: FileReport) -> None:
    reports.append(report)
    jobs.beat(job, done=len(reports), total=max(job.total or 0, len(reports)), result=_result(reports))


def _result(reports: list[FileReport]) -> Any:
    return msgspec.to_builtins({"files": reports, "totals": totals(reports)})

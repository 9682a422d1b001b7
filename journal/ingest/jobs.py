"""Uploads become an import job: the files are kept in storage until a worker has read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from time import monotonic
from typing import Any, Final

import msgspec
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from uuid_utils.compat import uuid7

from journal.access.projects import DEFAULT_PROJECT
from journal.errors import ImportRefused
from journal.ingest.files import Found, from_archive, from_memory
from journal.ingest.importer import FileReport, Importer, totals
from journal.models import Job
from journal.runtime import job as jobs
from journal.runtime import job_process, redacting
from journal.runtime.projection import catch_up_all
from journal.store import get_store

KIND: Final = "import"
MAX_UPLOAD_BYTES: Final = 256 * 2**20
MAX_TOGETHER_BYTES: Final = 512 * 2**20
MAX_FILES: Final = 500
_WRITE_SECONDS: Final = 1.0
_LOOSE: Final = "files"
_DEEPEST: Final = 8


def submit(
    *, project: str, user_id: int | None, uploads: Iterable[UploadedFile[Any]], paths: Sequence[str] = ()
) -> Job:
    """Keep the uploads and write the job that imports them; the caller wakes a worker.

    `paths` are the files' places below the folder they were chosen with, one for each, since uploads themselves carry
    only a name: formats look for what lies beside a file.

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
    kept = _keep_all(
        files, paths if len(paths) == len(files) else [_place(file.name or "").rpartition("/")[2] for file in files]
    )
    with transaction.atomic():  # a worker finds the job whole, or not at all
        job = jobs.enqueue(kind=KIND, project=project, user_id=user_id, arguments={"files": kept}, unit="files")
        Job.objects.filter(id=job.id).update(total=len(kept))
    job.refresh_from_db()
    return job


def _keep_all(files: Iterable[UploadedFile[Any]], paths: Iterable[str]) -> list[dict[str, str]]:
    """Store the uploads; where one cannot be, none is."""
    folder, kept = f"imports/{uuid7()}", []
    try:
        for at, (file, path) in enumerate(zip(files, paths, strict=True)):
            kept.append({"name": _place(path), "stored": default_storage.save(f"{folder}/{at}", file)})
    except BaseException:
        _remove(kept)
        raise
    return kept


def _place(path: str) -> str:
    """Return where a file lies among the others: names only, none of which leads up. Nothing is stored under it."""
    parts = [part for part in path.replace("\\", "/").replace("\x00", "").split("/") if part not in ("", ".", "..")]
    return "/".join(part[:200] for part in parts[-_DEEPEST:]) or "file"


def _remove(kept: Iterable[Mapping[str, str]]) -> None:
    for entry in kept:
        default_storage.delete(entry["stored"])


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
        reports = _Reports(job, msgspec.convert(before, list[FileReport]))
        importer = Importer(store=get_store(job.project_id or DEFAULT_PROJECT), on_reading=reports.reading)
        importer.run(_found(job, step), on_file=reports.add)
        return reports.finish()

    def clean_up(self, job: Job) -> None:
        """Bring the pages up to what was imported, and remove the uploads."""
        catch_up_all()  # whoever reads that it is done finds the runs
        _remove(job.arguments.get("files", []))
        Job.objects.filter(id=job.id).update(arguments={})


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
        free, at = str(PurePosixPath(name).with_stem(f"{PurePosixPath(name).stem} ({at})")), at + 1
    return free


def _without_secrets(report: FileReport, project: str) -> FileReport:
    """Return a report as it may be kept: reasons and labels quote what stands in the file."""
    return msgspec.json.decode(redacting.in_use().raw(project, msgspec.json.encode(report)), type=FileReport)


class _Reports:
    """What was reported of each file so far. All of it is written once a second only: an archive may hold thousands."""

    def __init__(self, job: Job, before: list[FileReport]) -> None:
        self._job = job
        self._reports = before
        self._reading: dict[str, Any] | None = None
        self._begun = monotonic()
        self._written = self._begun - _WRITE_SECONDS

    def reading(self, name: str, events: int) -> None:
        """Say which file is being read, and how far.

        Raises:
            JobLost: it was cancelled, or another worker has it.
        """
        self._reading = {"path": name, "events": events}
        if self._is_due() and monotonic() - self._begun >= _WRITE_SECONDS:
            self._beat(with_result=True)

    def add(self, report: FileReport) -> None:
        """Take one in, and say how far the job is.

        Raises:
            JobLost: it was cancelled, or another worker has it.
        """
        self._reports.append(_without_secrets(report, self._job.project_id or DEFAULT_PROJECT))
        self._reading = None
        self._beat(with_result=self._is_due())

    def finish(self) -> int:
        """Write all of it, and return how many files there are: the next step begins behind them."""
        self._beat(with_result=True)
        return len(self._reports)

    def _is_due(self) -> bool:
        return monotonic() - self._written >= _WRITE_SECONDS

    def _beat(self, *, with_result: bool) -> None:
        if with_result:
            self._written = monotonic()
            self._job.result = msgspec.to_builtins(
                {"files": self._reports, "totals": totals(self._reports), "reading": self._reading}
            )
        done = len(self._reports)
        total = max(self._job.total or 0, done)
        jobs.beat(self._job, done=done, total=total, result=self._job.result if with_result else None)

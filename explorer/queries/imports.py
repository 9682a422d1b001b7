"""What the import pages show of a job: its state in a sentence, and a line a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from explorer.figures import counted
from journal.ingest.jobs import KIND
from journal.runtime import job as jobs

FILES_SHOWN: Final = 500
_RUNS_SHOWN: Final = 5
_JOBS_SHOWN: Final = 20


@dataclass(frozen=True, kw_only=True)
class RunLink:
    """A run that a file held."""

    stream: str
    name: str


@dataclass(frozen=True, kw_only=True)
class FileLine:
    """What came of one file."""

    path: str
    status: str
    reason: str
    sentence: str
    runs_shown: list[RunLink]
    runs_folded: int


@dataclass(frozen=True, kw_only=True)
class ImportJob:
    """An import, as far as it is. `files` holds the refused ones first where there are more than are shown."""

    id: str
    state: str
    begun_us: int
    done: int
    total: int | None
    error: str
    files: list[FileLine]
    files_folded: int
    reading: str
    reading_events: int
    file_count: int
    refused_count: int
    run_count: int
    event_count: int
    single_stream: str

    @property
    def has_ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in jobs.ENDED

    @property
    def announcement(self) -> str:
        """What a screen reader is told: the headline when it is over, and at every tenth of the way before."""
        if self.has_ended or not self.total:
            return self.headline
        return f"{self.headline}, {self.done * 10 // self.total * 10} percent"

    @property
    def waiting_count(self) -> int:
        """How many files nobody has begun to read."""
        is_reading = 1 if self.reading else 0
        return 0 if self.has_ended else max(0, (self.total or 0) - self.file_count - is_reading)

    @property
    def has_extended(self) -> bool:
        """Whether a file only added to what was there, which wants explaining."""
        return any(file.status == "extended" for file in self.files)

    @property
    def headline(self) -> str:
        """The answer in a line: how many files, and how many of them were refused."""
        files = counted(max(self.total or 0, self.file_count), "file")
        verb = {"done": "Imported", "failed": "Import failed,", "cancelled": "Import stopped,"}.get(
            self.state, "Importing"
        )
        refused = f", {self.refused_count:,} refused" if self.refused_count else ""
        if self.state in ("failed", "cancelled"):
            return f"{verb} {self.done:,} of {files} read{refused}"
        return f"{verb} {files}{refused}"

    @property
    def sentence(self) -> str:
        """What was found in them."""
        if self.state == "queued":
            return "Waiting for a worker."
        so_far = "" if self.has_ended else " so far"
        return f"{counted(self.run_count, 'run')}, {counted(self.event_count, 'event')}{so_far}."


def import_job(project: str, job_id: str) -> ImportJob | None:
    """Return an import of the project, None where there is none of that id."""
    job = jobs.find(job_id, kind=KIND, project=project)
    return _as_import(job) if job is not None else None


def recent_imports(project: str) -> list[ImportJob]:
    """Return the project's newest imports, newest first."""
    return [_as_import(job) for job in jobs.newest(KIND, project=project, limit=_JOBS_SHOWN)]


def _as_import(job: Any) -> ImportJob:
    """Take a job's row apart; its model is the journal's own."""
    result: Mapping[str, Any] = job.result or {}
    files = list(result.get("files", []))
    totals = result.get("totals", {})
    reading = (result.get("reading") or {}) if job.status == "running" else {}
    shown = _most_telling(files)
    streams = {run["stream"] for file in files for run in file.get("runs", [])}
    return ImportJob(
        id=job.id,
        state=job.status,
        begun_us=_microseconds(job.created_at),
        done=job.done,
        total=job.total,
        error=job.error,
        files=[_line(file) for file in shown],
        files_folded=len(files) - len(shown),
        reading=reading.get("path", ""),
        reading_events=reading.get("events", 0),
        file_count=len(files),
        refused_count=totals.get("refused", 0),
        run_count=len(streams),
        event_count=totals.get("events", 0),
        single_stream=next(iter(streams)) if len(streams) == 1 else "",
    )


def _most_telling(files: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the files to list: all in their order, or where they are too many the refused ones before others."""
    if len(files) <= FILES_SHOWN:
        return files
    return sorted(files, key=lambda file: file.get("status") != "refused")[:FILES_SHOWN]


def _line(file: dict[str, Any]) -> FileLine:
    runs = file.get("runs", [])
    return FileLine(
        path=file.get("path", ""),
        status=file.get("status", ""),
        reason=file.get("reason") or "",
        sentence=_sentence(file, runs),
        runs_shown=[
            RunLink(stream=run["stream"], name=run.get("source_id") or run["stream"]) for run in runs[:_RUNS_SHOWN]
        ],
        runs_folded=max(0, len(runs) - _RUNS_SHOWN),
    )


def _sentence(file: dict[str, Any], runs: list[dict[str, Any]]) -> str:
    """Return what a file held: "1 run, 200 events, 49 decisions, 6 tool failures", and what was left out of it."""
    parts = []
    if runs:
        parts.append(", ".join([counted(len(runs), "run"), *_sums(runs)]) + ".")
    if file.get("status") == "extended":
        parts.append(f"{file.get('added', 0):,} of the events are new.")
    if runs and all(run.get("cost_usd") is None for run in runs):
        parts.append("Cost is not recorded in it.")
    if file.get("left_out"):
        parts.append(f"{counted(file['left_out'], 'record')} could not be read and left out.")
    return " ".join(parts)


def _sums(runs: list[dict[str, Any]]) -> Iterable[str]:
    for name, noun in (("events", "event"), ("decisions", "decision"), ("tool_errors", "tool failure")):
        numbers = [run[name] for run in runs if run.get(name) is not None]
        if len(numbers) == len(runs):
            yield counted(sum(numbers), noun)


def _microseconds(at: datetime) -> int:
    return int(at.timestamp()) * 1_000_000 + at.microsecond

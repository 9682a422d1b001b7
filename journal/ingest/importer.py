"""Files to runs: finds the files, tells their formats, has them read and written, and reports on each.

One bad file never stops the others, and a run is written only after all of its file could be read. Importing again is
resuming: what is there already is found by its ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import msgspec
import structlog

from journal.domain.access_log import is_access
from journal.errors import ImportRefused, JournalError
from journal.ingest import Format, load_formats
from journal.ingest.counts import counts_of, reported
from journal.ingest.draft import RecordedRun, RunDraft
from journal.ingest.files import Found
from journal.ingest.source import Source
from journal.ingest.writer import Prepared, Written, prepare, replace_invalid, utc_now, write, write_recorded
from journal.store import EventStore

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_PROBLEMS_TOLD = 5
_REASON_CHARS = 200
_ODD = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, msgspec.MsgspecError)
"""What code raises that meets a value it was not written for: of a stranger's file, that says only that it is odd."""

_T = TypeVar("_T")
OnFile = Callable[["FileReport"], None]
OnReading = Callable[[str, int], None]


class RunReport(msgspec.Struct, kw_only=True):
    """One run of a file, as `nagare import --json` prints it. A count the format does not record is None."""

    stream: str
    source_id: str
    events: int
    decisions: int | None = None
    tool_calls: int | None = None
    tool_errors: int | None = None
    outcome: dict[str, Any] = {}
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None


class FileReport(msgspec.Struct, kw_only=True):
    """One file. `added` events are new to the journal; `left_out` names records that could not be read."""

    path: str
    format: str | None
    status: str
    reason: str | None = None
    runs: list[RunReport] = []
    added: int = 0
    left_out: int = 0


class Report(msgspec.Struct, kw_only=True):
    """All files of an import, and their sums."""

    files: list[FileReport]
    totals: dict[str, int]


@dataclass(kw_only=True)
class Importer:
    """Imports files into one project's journal. `on_reading` hears of each file how many events were read so far."""

    store: EventStore
    format_name: str | None = None
    replace: bool = False
    model_steps: frozenset[str] = frozenset()
    clock: Callable[[], datetime] = utc_now
    formats: tuple[Format, ...] = field(default_factory=load_formats)
    on_reading: OnReading = lambda _name, _events: None

    def run(self, files: Iterable[Found], *, on_file: OnFile = lambda _report: None) -> Report:
        """Import every file, telling `on_file` of each as it is done."""
        reports = []
        for found in files:
            report = self._one(found)
            reports.append(report)
            on_file(report)
        return Report(files=reports, totals=totals(reports))

    def _one(self, found: Found) -> FileReport:
        if found.refused:
            return FileReport(path=found.name, format=None, status="refused", reason=found.refused)
        known: Format | None = None
        self.on_reading(found.name, 0)
        try:
            source = found.source()
            source.model_steps = self.model_steps
            known = self._format_of(source)
            if beside := self._companion(source) if known is None else None:
                return FileReport(path=found.name, format=None, status="unchanged", reason=beside)
            if known is None:
                raise _unrecognised(source, self.formats)
            return self._take(found.name, source, known)
        except (JournalError, RecursionError) as refusal:
            reason = str(refusal) if isinstance(refusal, JournalError) else "its parts nest too deeply"
            return FileReport(path=found.name, format=known.name if known else None, status="refused", reason=reason)

    def _format_of(self, source: Source) -> Format | None:
        if self.format_name is not None:
            return next(known for known in self.formats if known.name == self.format_name)
        if self._companion(source):
            return None
        return next((known for known in self.formats if _asked(known, known.detect, source)), None)

    def _companion(self, source: Source) -> str | None:
        reasons = (_asked(known, known.companion, source) for known in self.formats)
        return next((reason for reason in reasons if reason), None)

    def _take(self, name: str, source: Source, known: Format) -> FileReport:
        try:
            prepared = list(self._prepared(name, source, known))  # all of it, before anything is written
        except _ODD as error:
            log.warning("file_is_odd", file=name, format=known.name, exc_info=True)
            raised = f"{type(error).__name__}: {str(error)[:_REASON_CHARS]}"
            raise ImportRefused(f"it is not as {known.title} is written ({raised})") from error
        if not prepared:
            told = _told(source)
            raise ImportRefused(f"no run in it{': ' + told if told else ''}")
        now = self.clock()
        written = [self._write(one, now) for one in prepared]
        return FileReport(
            path=name,
            format=known.name,
            status=_status(written),
            reason=_told(source),
            runs=[_run_report(one, done) for one, done in zip(prepared, written, strict=True)],
            added=sum(done.added for done in written),
            left_out=len(source.problems),
        )

    def _prepared(self, name: str, source: Source, known: Format) -> Iterator[Prepared | RecordedRun]:
        events = 0
        for draft in known.read(source):
            one = self._prepare(draft, known)
            events += len(one.events if isinstance(one, RecordedRun) else one.drafts)
            self.on_reading(name, events)
            yield one

    def _write(self, one: Prepared | RecordedRun, now: datetime) -> Written:
        if isinstance(one, RecordedRun):
            return write_recorded(one, store=self.store)
        return write(one, store=self.store, now=now)

    def _prepare(self, draft: RunDraft | RecordedRun, known: Format) -> Prepared | RecordedRun:
        if isinstance(draft, RecordedRun):
            if is_access(draft.stream):
                raise ImportRefused(f"{draft.stream} is the access log's, which the journal alone writes")
            return draft
        if self.replace:
            draft.events = [replace_invalid(event) for event in draft.events]
        return prepare(draft, format_name=known.name, project=self.store.project)


def _asked(known: Format, question: Callable[[Source], _T], source: Source) -> _T | None:
    """Return what a format says of a file, or None where it stumbles over it: it may be another's."""
    try:
        return question(source)
    except _ODD:
        log.warning("file_is_odd", file=source.name, format=known.name, exc_info=True)
        return None


def totals(reports: list[FileReport]) -> dict[str, int]:
    """Return the sums over all files: what is null counts as nothing."""
    runs = [run for report in reports for run in report.runs]
    return {
        "files": len(reports),
        "runs": len(runs),
        "events": sum(run.events for run in runs),
        "decisions": sum(run.decisions or 0 for run in runs),
        "tool_calls": sum(run.tool_calls or 0 for run in runs),
        "tool_errors": sum(run.tool_errors or 0 for run in runs),
        "refused": sum(report.status == "refused" for report in reports),
    }


def _run_report(prepared: Prepared | RecordedRun, written: Written) -> RunReport:
    if isinstance(prepared, RecordedRun):
        return _exported_report(prepared, written)
    draft = prepared.run
    return RunReport(
        stream=written.stream,
        source_id=draft.source_id,
        events=written.events,
        outcome={"status": draft.outcome.status, "raw": draft.outcome.raw},
        **reported(draft, prepared.drafts),
    )


def _exported_report(recorded: RecordedRun, written: Written) -> RunReport:
    """The counts of an exported run, from its own events."""
    found = counts_of(recorded.events)
    return RunReport(
        stream=written.stream,
        source_id=recorded.stream,
        events=written.events,
        outcome={"status": "unknown", "raw": None},
        **found,
    )


def _status(written: list[Written]) -> str:
    """A file is imported where a run is new, extended where one grew, else unchanged."""
    statuses = {done.status for done in written}
    return next(status for status in ("imported", "extended", "unchanged") if status in statuses)


def _told(source: Source) -> str | None:
    """Return what was left out, the first few with their lines, or None where nothing was."""
    problems = source.problems
    if not problems:
        return None
    told = "; ".join(str(problem) for problem in problems[:_PROBLEMS_TOLD])
    more = len(problems) - _PROBLEMS_TOLD
    return f"left out: {told}" + (f"; and {more:,} more" if more > 0 else "")


def _unrecognised(source: Source, formats: tuple[Format, ...]) -> ImportRefused:
    """Say why no format took the file: what it begins with, or where it stops being JSON."""
    if not source.data.strip():
        return ImportRefused("the file is empty")
    if not source.is_zip and not source.head and source.document is None:
        try:
            source.json()
        except ImportRefused as refusal:
            return refusal
    return ImportRefused(
        f"{_beginning(source)}; none of the {len(formats)} formats begins so. `nagare import --format NAME` reads it as"
        f" one of: {', '.join(known.name for known in formats)}",
        line=1,
    )


def _beginning(source: Source) -> str:
    first: Any = source.head[0] if source.head else source.document
    if isinstance(first, dict):
        keys = ", ".join(str(key)[:40] for key in list(first)[:6])
        return f"an object with {keys}" if keys else "an empty object"
    if isinstance(first, list):
        inner = {type(item).__name__ for item in first[:20]}
        words = {"str": "strings", "dict": "objects", "int": "numbers", "float": "numbers", "list": "lists"}
        return "a list of " + (
            words.get(inner.pop(), "values") if len(inner) == 1 else "values" if inner else "nothing"
        )
    return f"a JSON {type(first).__name__}" if first is not None else "no JSON"


def iter_runs(report: Report) -> Iterator[RunReport]:
    """Yield every run of a report, in the order of its files."""
    for file in report.files:
        yield from file.runs

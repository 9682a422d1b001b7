"""OTLP traces as JSON: one export request, or one a line, with the log records beside the spans or in a sibling file.

Which attribute means what is in `journal.ingest.dialects`, how spans make runs in `journal.ingest.span_runs`.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from journal.errors import ImportRefused
from journal.ingest import Format, register
from journal.ingest.source import Source, decode
from journal.ingest.span_runs import runs
from journal.ingest.spans import Batch, read_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from journal.ingest.draft import RunDraft

_SPANS = ("resourceSpans", "resource_spans")
_LARGEST_TRUTH = 2**20
_LOGS = ("resourceLogs", "resource_logs")


def detect(source: Source) -> bool:
    """Whether the file holds export requests of traces or logs."""
    if source.is_zip or not any(name.encode() in source.data for name in (*_SPANS, *_LOGS)):
        return False
    return _is_request(source.first) or _is_request(source.document)


def read(source: Source) -> Iterator[RunDraft]:
    """Yield the runs of a file, and of the log records in its sibling.

    Raises:
        ImportRefused: the file is neither one request nor lines of them.
    """
    batch = Batch()
    for line, request in _requests(source):
        batch.add(read_request(request, _noting(source, line), line=line))
    for name in _log_siblings(source) if not batch.logs else ():
        for request in _decoded_sibling(source, name):
            batch.add(Batch(logs=read_request(request, source.note).logs))
    yield from runs(batch, format_name="otlp", left_out=source.note)


def companion(source: Source) -> str | None:
    """Say of a file beside traces why it is no run."""
    if source.path.name.endswith(".json") and _is_truth(source):
        return f"{source.path.name} says what a run beside it should come to; it is not a run"
    traces = _trace_sibling(source)
    if traces is not None:
        return f"{source.path.name} holds the log records of {traces}, and is read with it"
    return None


def _is_truth(source: Source) -> bool:
    if len(source.data) > _LARGEST_TRUTH or b'"turns"' not in source.data or not isinstance(source.document, dict):
        return False
    return str(source.document.get("schema")).startswith("otel_core.truth/")


def _noting(source: Source, line: int | None) -> Callable[[str], None]:
    return lambda reason: source.note(reason, line=line)


def _requests(source: Source) -> Iterator[tuple[int | None, Any]]:
    is_lined = _is_request(source.first) and b"\n" in source.data.strip()
    document = None if is_lined else source.document
    if _is_request(document) and isinstance(document, dict):
        yield None, document
        return
    if isinstance(document, list):
        yield from ((None, request) for request in document if _is_request(request))
        return
    found = False
    for line, value in source.lines():
        if _is_request(value):
            found = True
            yield line, value
        else:
            source.note("no OTLP export request: it has neither resourceSpans nor resourceLogs", line=line)
    if not found:
        raise ImportRefused("no OTLP export request in the file; export traces as OTLP/JSON, whole or one a line")


def _is_request(value: object) -> bool:
    if isinstance(value, list):
        return bool(value) and _is_request(value[0])
    return isinstance(value, dict) and any(isinstance(value.get(name), list) for name in (*_SPANS, *_LOGS))


def _log_siblings(source: Source) -> Iterator[str]:
    return (name for name in source.siblings() if name != source.name and _logs_of(name) == source.path.name)


def _logs_of(name: str) -> str | None:
    """Return the name of the trace file whose log records a file of this name holds."""
    own = PurePosixPath(name).name
    if own.startswith("logs."):
        return f"traces.{own.removeprefix('logs.')}"
    if ".logs." in own:
        return own.replace(".logs.", ".")
    return own.replace("logs.", "traces.") if "-logs." in own or "_logs." in own else None


def _trace_sibling(source: Source) -> str | None:
    traces = _logs_of(source.name)
    if traces is None or source.is_zip or any(name.encode() in source.data for name in _SPANS) or not detect(source):
        return None
    return next((name for name in source.siblings() if PurePosixPath(name).name == traces), None)


def _decoded_sibling(source: Source, name: str) -> Iterator[Any]:
    """Yield the requests of a sibling; a line of it that cannot be read is noted."""
    data = source.sibling(name) or b""
    try:
        yield decode(data)
    except ImportRefused:
        for number, line in enumerate(data.split(b"\n"), 1):
            try:
                if line.strip():
                    yield decode(line)
            except ImportRefused as refusal:
                source.note(f"{name}, line {number}: {refusal.reason}")


register(
    Format(
        name="otlp",
        title="OpenTelemetry traces (OTLP/JSON)",
        detect=detect,
        read=read,
        companion=companion,
        order=40,
        example='{"resourceSpans": [{"resource": {"attributes": […]}, "scopeSpans": [{"spans": […]}]}]}',
    )
)

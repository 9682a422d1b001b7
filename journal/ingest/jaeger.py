"""Traces as Jaeger's query service gives them: `{"data": [{"traceID", "spans", "processes"}]}`, or one such trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from journal.ingest import Format, register
from journal.ingest.lenient import as_dict, as_text, dicts
from journal.ingest.span_runs import runs
from journal.ingest.spans import Batch, Span, SpanEvent, Status, as_int, is_hex

if TYPE_CHECKING:
    from collections.abc import Iterator

    from journal.ingest.draft import RunDraft
    from journal.ingest.source import Source

_STATUS_TAGS = frozenset(("error", "otel.status_code", "otel.status_description", "span.kind"))


def detect(source: Source) -> bool:
    """Whether the document is one trace of Jaeger's, or a list of them."""
    return not source.is_zip and b'"traceID"' in source.data and bool(_traces(source.document))


def read(source: Source) -> Iterator[RunDraft]:
    """Yield the runs of the file's traces."""
    batch = Batch()
    for trace in _traces(source.json()):
        for record in dicts(trace.get("spans")):
            span = _span(record, trace)
            if span is None:
                source.note("a span without a traceID or a spanID")
            else:
                batch.spans.append(span)
    yield from runs(batch, format_name="jaeger", left_out=source.note)


def _traces(document: object) -> list[dict[str, Any]]:
    listed = document.get("data", [document]) if isinstance(document, dict) else document
    return [trace for trace in dicts(listed) if "traceID" in trace and isinstance(trace.get("spans"), list)]


def _span(record: dict[str, Any], trace: dict[str, Any]) -> Span | None:
    trace_id = as_text(record.get("traceID")) or as_text(trace.get("traceID"))
    span_id = as_text(record.get("spanID"))
    if not trace_id or not span_id:
        return None
    tags = _tags(record.get("tags"))
    start_us = as_int(record.get("startTime")) or 0
    process = as_dict(as_dict(trace.get("processes")).get(str(record.get("processID"))))
    return Span(
        trace_id=_padded(trace_id, 32),
        span_id=_padded(span_id, 16),
        parent_id=_parent(record),
        name=as_text(record.get("operationName")) or "",
        kind=str(tags.get("span.kind") or ""),
        start_ns=start_us * 1000,
        end_ns=(start_us + (as_int(record.get("duration")) or 0)) * 1000,
        attributes={key: value for key, value in tags.items() if key not in _STATUS_TAGS},
        events=[_event(log) for log in dicts(record.get("logs"))],
        status=_status(tags),
        status_message=str(tags.get("otel.status_description") or ""),
        scope=str(tags.get("otel.scope.name") or tags.get("otel.library.name") or ""),
        resource={"service.name": process.get("serviceName"), **_tags(process.get("tags"))},
    )


def _parent(record: dict[str, Any]) -> str | None:
    """Return the parent's id; a reference of another kind (FOLLOWS_FROM) is taken where there is no CHILD_OF."""
    references = dicts(record.get("references"))
    own = [one for one in references if one.get("traceID") in (None, record.get("traceID"))]
    chosen = next((one for one in own if one.get("refType") == "CHILD_OF"), next(iter(own), {}))
    found = as_text(chosen.get("spanID")) or as_text(record.get("parentSpanID"))
    return _padded(found, 16) if found and found.strip("0") else None


def _tags(tags: object) -> dict[str, Any]:
    """Return tags as flat attributes; their values have JSON's types already, but int64 may stand as text."""
    return {
        tag["key"]: as_int(tag.get("value")) if tag.get("type") == "int64" else tag.get("value")
        for tag in dicts(tags)
        if isinstance(tag.get("key"), str)
    }


def _event(log: dict[str, Any]) -> SpanEvent:
    fields = _tags(log.get("fields"))
    return SpanEvent(
        name=str(fields.pop("event", None) or fields.pop("name", None) or ""),
        at_ns=(as_int(log.get("timestamp")) or 0) * 1000,
        attributes=fields,
    )


def _status(tags: dict[str, Any]) -> Status:
    if tags.get("error") in (True, "true") or tags.get("otel.status_code") == "ERROR":
        return "error"
    return "ok" if tags.get("otel.status_code") == "OK" else "unset"


def _padded(identity: str, width: int) -> str:
    """Return an id at its full width: Jaeger leaves leading zeros out."""
    return identity.lower().rjust(width, "0") if is_hex(identity) else identity


register(
    Format(
        name="jaeger",
        title="Jaeger traces (JSON)",
        detect=detect,
        read=read,
        order=41,
        example='{"data": [{"traceID": "…", "spans": [{"spanID": "…", "operationName": "…", "tags": […]}]}]}',
    )
)

"""Langfuse's trace export: a trace with its observations and scores, as its page or its API gives it.

An observation is a span whose role and content Langfuse has worked out already; what its instrumentation wrote as
OpenTelemetry attributes stands in its metadata, and is read like any other span's. One trace is one run, and its
session the correlation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from journal.domain import agent_run as run
from journal.ingest import Format, register
from journal.ingest.draft import EventDraft, Opaque, Ref, RunDraft
from journal.ingest.lenient import as_dict, as_float, as_text, dicts
from journal.ingest.source import Source, moment
from journal.ingest.span_reading import decoded
from journal.ingest.span_runs import runs
from journal.ingest.spans import Batch, Span

if TYPE_CHECKING:
    from collections.abc import Iterator

_ABOUT = ("name", "environment", "release", "version", "userId", "sessionId", "tags", "metadata")


class _Trace(msgspec.Struct, frozen=True, kw_only=True):
    """A trace's own record and its observations, wherever the export put them."""

    record: dict[str, Any]
    observations: list[dict[str, Any]]

    @property
    def id(self) -> str:
        return str(self.record["id"])


def detect(source: Source) -> bool:
    """Whether the document is a trace with observations."""
    return not source.is_zip and b'"observations"' in source.data and bool(_traces(source.document))


def read(source: Source) -> Iterator[RunDraft]:
    """Yield a run a trace."""
    for trace in _traces(source.json()):
        batch = Batch()
        for record in trace.observations:
            if as_text(record.get("id")) is None:
                source.note(f"trace {trace.id}: an observation without an id")
            else:
                batch.spans.append(_span(record, trace))
        found = list(runs(batch, format_name="langfuse", cut="trace", calls_are_nested=False, left_out=source.note))
        yield from (_with_trace(draft, trace) for draft in found)


def companion(source: Source) -> str | None:
    """Say of Langfuse's normalised messages why they are no run."""
    if not source.path.name.endswith(".chatml.json") or not isinstance(source.document, dict):
        return None
    observations = source.document.values()
    if all(isinstance(one, dict) and ("input" in one or "output" in one) for one in observations):
        return f"{source.path.name} holds messages of a trace's observations once more, normalised by Langfuse"
    return None


def _traces(document: object) -> list[_Trace]:
    listed = document if isinstance(document, list) else [document]
    return [found for found in (_trace(as_dict(one)) for one in listed) if found is not None]


def _trace(document: dict[str, Any]) -> _Trace | None:
    record = as_dict(document.get("trace")) or document
    observations = dicts(document.get("observations")) or dicts(record.get("observations"))
    known = as_text(record.get("id")) is not None and ("trace" in document or "scores" in record or "userId" in record)
    typed = bool(observations) and all("type" in one and "startTime" in one for one in observations)
    return _Trace(record=record, observations=observations) if known and typed else None


def _span(record: dict[str, Any], trace: _Trace) -> Span:
    metadata = as_dict(decoded(record.get("metadata")))
    failed = record.get("level") == "ERROR"
    return Span(
        trace_id=trace.id,
        span_id=str(record["id"]),
        parent_id=as_text(record.get("parentObservationId")),
        name=as_text(record.get("name")) or "",
        start_ns=_nanoseconds(record.get("startTime")),
        end_ns=_nanoseconds(record.get("endTime")),
        attributes=_attributes(record, metadata),
        status="error" if failed else "unset",
        status_message=as_text(record.get("statusMessage")) or "",
        scope=as_text(as_dict(metadata.get("scope")).get("name")) or "",
        resource=as_dict(metadata.get("resourceAttributes")),
    )


def _attributes(record: dict[str, Any], metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the observation's OpenTelemetry attributes, and its own fields under the names Langfuse's SDK uses."""
    rest = {
        name: value for name, value in metadata.items() if name not in ("attributes", "resourceAttributes", "scope")
    }
    own = {
        "type": str(record.get("type")).lower(),
        "input": record.get("input"),
        "output": record.get("output"),
        "model.name": record.get("model"),
        "model.parameters": {
            k: v for k, v in as_dict(record.get("modelParameters")).items() if v not in (None, "null")
        },
        "usage_details": {
            "input": record.get("inputUsage"),
            "output": record.get("outputUsage"),
            **as_dict(record.get("usageDetails")),
        },
        "cost_details": as_dict(record.get("costDetails")) or {"total": record.get("totalCost")},
        "status_message": record.get("statusMessage"),
        "metadata": rest,
    }
    known = {f"langfuse.observation.{name}": value for name, value in own.items() if value not in (None, {}, "")}
    return as_dict(metadata.get("attributes")) | known  # fmt: skip


def _with_trace(draft: RunDraft, trace: _Trace) -> RunDraft:
    """Add what stands on the trace: its setting, its session and its scores."""
    started, *events = draft.events
    about = {name: decoded(trace.record[name]) for name in _ABOUT if trace.record.get(name) not in (None, "", [])}
    if isinstance(started.event, run.Started):
        context = {**started.event.context, "trace": about}
        started.event = msgspec.structs.replace(started.event, context=context)
    keys = {event.key for event in events}
    draft.events = [started, *events, *(_score(score, trace, keys) for score in dicts(trace.record.get("scores")))]
    draft.recorded -= {"tool_calls"}
    draft.correlation = as_text(trace.record.get("sessionId")) or draft.correlation
    return draft


def _score(score: dict[str, Any], trace: _Trace, keys: set[str]) -> EventDraft:
    name = as_text(score.get("name"))
    key = f"score:{score.get('id') or name}"
    at = moment(score.get("timestamp") or score.get("createdAt"))
    if name is None:
        return EventDraft(key=key, event=Opaque(name="langfuse.score", data=score), at=at)
    judged: Any = next(
        (
            Ref(found)
            for part in ("responded", "result")
            if (found := f"{trace.id}/{score.get('observationId')}:{part}") in keys
        ),
        None,
    )
    event = run.Graded(
        rule=name, by=as_text(score.get("authorUserId")) or as_text(score.get("source")),
        verdict=as_text(score.get("stringValue")), score=as_float(score.get("value")),
        message=as_text(score.get("comment")), at_version=judged, raw=score,
    )  # fmt: skip
    return EventDraft(key=key, event=event, at=at)


def _nanoseconds(value: object) -> int:
    found = moment(value)
    return int(found.timestamp() * 1_000_000) * 1000 if found else 0


register(
    Format(
        name="langfuse",
        title="Langfuse trace export",
        detect=detect,
        read=read,
        companion=companion,
        order=42,
        example='{"trace": {"id": "…", "scores": []}, "observations": [{"type": "GENERATION", …}]}',
    )
)

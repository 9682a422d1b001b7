"""OpenHands: `output.jsonl` of an evaluation (one run a line), event arrays of the UI, and the pair lists of 2024.

All three hold the same events: actions (`action`, `args`) and observations (`observation`, `content`, `extras`). An
observation's `cause` is the id of the action it answers; one response of the model may stand behind several actions.
What an action or observation becomes: `openhands_events`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from journal.domain.agent_run import Aborted, Answered, Graded, Started
from journal.errors import ImportRefused
from journal.ingest import Format, register
from journal.ingest.draft import Count, EventDraft, Opaque, Outcome, RunDraft
from journal.ingest.lenient import as_dict, as_float, as_int, as_list, as_text, dicts, fingerprint
from journal.ingest.openhands_events import Walk
from journal.ingest.source import Source, moment

if TYPE_CHECKING:
    from collections.abc import Iterator

_RECORDED: frozenset[Count] = frozenset(("decisions", "tool_calls", "tool_errors"))
_SOURCES = ("agent", "user", "environment")


def detect(source: Source) -> bool:
    """Tell a line of output.jsonl by the events in its `history`, an array by its first events."""
    if "history" in source.first:
        return _are_events(_flat(source.first["history"]))
    if b'"observation"' not in source.data and b'"action"' not in source.data:
        return False
    return _are_events(_history(source.document))


def companion(source: Source) -> str | None:
    """Say what the `metadata.json` beside an output.jsonl is."""
    document = as_dict(source.document if source.path.suffix == ".json" else None)
    if {"agent_class", "llm_config", "max_iterations"} <= document.keys():
        return "the settings of an OpenHands evaluation, which each line of its output.jsonl repeats"
    return None


def read(source: Source) -> Iterator[RunDraft]:
    """Yield a run for each line of an output.jsonl, or the one run of an event array."""
    if "history" in source.first:
        for line, record in source.lines():
            if isinstance(record, dict) and isinstance(record.get("history"), list):
                yield _evaluated(record, line)
            else:
                source.note("no run: an object with a `history` list was expected", line=line)
        return
    document = source.json()
    events = _history(document)
    if not events:
        raise ImportRefused("no OpenHands events: expected a list of actions and observations, or lines with `history`")
    yield _replayed(events, document)


def _history(document: object) -> list[dict[str, Any]]:
    """Return the events of a document: the array itself, or one under `history` or `trajectory`."""
    if isinstance(document, dict):
        document = document.get("history", document.get("trajectory"))
    return _flat(document)


def _flat(history: object) -> list[dict[str, Any]]:
    """Return the events in order; the pair lists of 2024 are taken apart."""
    found: list[dict[str, Any]] = []
    for item in as_list(history):
        found.extend(dicts(item if isinstance(item, list) else [item]))
    return found


def _are_events(events: list[dict[str, Any]]) -> bool:
    first = events[:3]
    return bool(first) and any(event.get("source") in _SOURCES for event in first) and all(map(_is_event, first))


def _is_event(event: dict[str, Any]) -> bool:
    acts = isinstance(event.get("action"), str) and isinstance(event.get("args"), dict)
    return acts or (isinstance(event.get("observation"), str) and "content" in event and "extras" in event)


def _replayed(events: list[dict[str, Any]], document: object) -> RunDraft:
    if isinstance(document, dict) and "history" in document:
        return _evaluated(document, None)
    walk = Walk(events)
    source_id = _identity("events", events)
    drafts = [_started(walk, source_id, prompt=None, record={}), *walk.drafts()]
    return RunDraft(source_id=source_id, events=drafts, recorded=_RECORDED)


def _evaluated(record: dict[str, Any], line: int | None) -> RunDraft:
    """Return the run of one line, with its task before and its result behind the events."""
    events = _flat(record.get("history"))
    walk = Walk(events, metrics=as_dict(record.get("metrics")))
    source_id = _identity(str(record.get("instance_id", record.get("id", "run"))), events)
    totals = _totals(as_dict(record.get("metrics")))
    drafts = [
        _started(walk, source_id, prompt=as_text(record.get("instruction")), record=record),
        *_kept("instance", {"instance": record.get("instance")}),
        *_with_totals(list(walk.drafts()), totals),
        *_result(record),
    ]
    for draft in drafts:
        draft.line = line
    return RunDraft(source_id=source_id, events=drafts, recorded=_RECORDED, totals=totals, outcome=_outcome(record))


def _identity(name: str, events: list[dict[str, Any]]) -> str:
    """Return what tells a run from others of the same task: when it began, or else what it began with."""
    first = events[0] if events else {}
    began = next((at for event in events if (at := as_text(event.get("timestamp")))), None)
    return f"{name}@{began or fingerprint(first)}"


def _started(walk: Walk, source_id: str, *, prompt: str | None, record: dict[str, Any]) -> EventDraft:
    settings = as_dict(record.get("metadata"))
    about = {name: record.get(name) for name in ("instance_id", "id", "metadata")} | {"openhands_version": walk.version}
    named = as_text(as_dict(settings.get("llm_config")).get("model")) or as_text(settings.get("model_name"))
    event = Started(
        prompt=prompt or walk.prompt,
        model=named or walk.model,
        agent=as_text(settings.get("agent_class")) or walk.agent,
        source="openhands",
        source_id=source_id,
        tools=walk.tools,
        context={name: value for name, value in about.items() if value is not None},
    )
    return EventDraft(key="start", event=event, at=walk.began or moment(settings.get("start_time")))


def _kept(name: str, data: dict[str, Any]) -> Iterator[EventDraft]:
    """Yield what belongs to no event of the run, where there is any."""
    present = {field: value for field, value in data.items() if value}
    if present:
        yield EventDraft(key=name, event=Opaque(name=f"openhands.{name}", data=present))


def _with_totals(drafts: list[EventDraft], totals: dict[Count, int | float]) -> list[EventDraft]:
    """Write the run's own totals into its last answer."""
    for draft in reversed(drafts):
        if totals and isinstance(draft.event, Answered):
            draft.event = msgspec.structs.replace(
                draft.event,
                input_tokens=as_int(totals.get("input_tokens")),
                output_tokens=as_int(totals.get("output_tokens")),
                cost_usd=as_float(totals.get("cost_usd")),
            )
            break
    return drafts


def _result(record: dict[str, Any]) -> Iterator[EventDraft]:
    yield from _kept("result", {name: record.get(name) for name in ("test_result", "metrics", "error")})
    if record.get("error"):
        yield EventDraft(key="aborted", event=Aborted(reason=str(record["error"])))
    label = _label(record)
    if label is not None:
        name, value = label
        by = as_text(as_dict(record.get("metadata")).get("dataset")) or "test_result"
        graded = Graded(by=by, rule=name, verdict="holds" if value else "fails", raw={name: value})
        yield EventDraft(key=f"graded/{name}", event=graded)


def _label(record: dict[str, Any]) -> tuple[str, bool] | None:
    """Return the benchmark's own word on the result: a truth value under one of the names it goes by."""
    result = as_dict(record.get("test_result"))
    places = (result, as_dict(result.get("report")), as_dict(record.get("report")))
    for place in places:
        for name in ("result", "correct", "resolved"):
            if isinstance(place.get(name), bool):
                return name, place[name]
    return None


def _outcome(record: dict[str, Any]) -> Outcome:
    """Finishing is no success: without a label, a run that ended without an error has an unknown outcome."""
    label, error = _label(record), record.get("error")
    raw = {"error": error, **({label[0]: label[1]} if label else {})}
    if error:
        return Outcome(status="error", raw=raw)
    if label is None:
        return Outcome(raw=raw)
    return Outcome(status="success" if label[1] else "failure", raw=raw)


def _totals(metrics: dict[str, Any]) -> dict[Count, int | float]:
    """Return the run's totals. A cost of 0 is what OpenHands writes for models without a price: not recorded."""
    usage = as_dict(metrics.get("accumulated_token_usage"))
    found: dict[Count, int | float | None] = {
        "input_tokens": as_int(usage.get("prompt_tokens")),
        "output_tokens": as_int(usage.get("completion_tokens")),
        "cost_usd": as_float(metrics.get("accumulated_cost")) or None,
    }
    return {name: value for name, value in found.items() if value is not None}


register(
    Format(
        name="openhands",
        title="OpenHands output.jsonl or event list",
        detect=detect,
        read=read,
        companion=companion,
        example='{"instance_id": "…", "history": [{"id": 0, "source": "user", "action": "message", "args": {…}}, …]}',
    )
)

"""How the explorer's read models are filled: one pass over the journal, a batch at a time.

The fold that makes a run's state makes its summary, so the list and the debugger cannot disagree. The states of runs
that are being written are kept between batches in this process; a run that comes back later is folded again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from explorer.bulk import insert
from explorer.models import CauseLink, EventLine, RunSummary
from explorer.shape import shape_of
from journal.domain import agent_run as run
from journal.domain.aggregate import State, fold, initial
from journal.domain.catalog import Unknown, catalog
from journal.domain.event import RecordedEvent
from journal.domain.explain import explain
from journal.domain.lineage import links_of
from journal.domain.run_state import RunState
from journal.domain.stream import category
from journal.domain.text import clip
from journal.runtime.projection import projects
from journal.store import get_store

_KEPT_STATES = 64
_MICROSECONDS = 1_000_000
"""Wide lists cut strings to the column; the full text is in the journal."""

_WIDTHS = {"title": 200, "summary": 400, "tool": 200, "call_id": 200}


@projects
class Explorer:
    """Fills `RunSummary`, `EventLine` and `CauseLink`."""

    name = "explorer"
    code_version = 1

    def __init__(self) -> None:
        self._states: OrderedDict[tuple[str, str], State] = OrderedDict()

    def handle(self, events: Sequence[RecordedEvent]) -> None:
        """Take the next events in, grouped by run so that each run is read and written once per batch."""
        by_run: dict[tuple[str, str], list[RecordedEvent]] = {}
        for event in events:
            by_run.setdefault((event.project, event.stream), []).append(event)
        for (project, stream), fresh in by_run.items():
            self._extend(project, stream, fresh)
        insert(CauseLink, _cause_links(events), ignore_conflicts=True)

    def reset(self) -> None:
        """Empty the three tables."""
        self._states.clear()
        for model in (CauseLink, EventLine, RunSummary):
            model.objects.all().delete()

    def _extend(self, project: str, stream: str, fresh: list[RecordedEvent]) -> None:
        state = self._state_before(project, stream, fresh[0].version)
        summary = RunSummary.objects.filter(project=project, stream=stream).first() or _new_summary(fresh[0])
        lines = []
        for event in fresh:
            state.apply(event)
            lines.append(_line(event, state))
            _note(summary, event)
        _total(summary, state, fresh[-1])
        _pair(summary, lines)
        summary.shape = shape_of(summary.shape, lines)
        summary.save()
        for line in lines:
            line.run = summary
        insert(EventLine, lines)
        self._keep((project, stream), state)

    def _state_before(self, project: str, stream: str, version: int) -> State:
        kept = self._states.pop((project, stream), None)
        if kept is not None and kept.version == version - 1:
            return kept
        if version == 1:
            return initial(stream)
        return fold(stream, get_store(project).read_stream(stream, until=version - 1))

    def _keep(self, key: tuple[str, str], state: State) -> None:
        self._states[key] = state
        while len(self._states) > _KEPT_STATES:
            self._states.popitem(last=False)


def _cause_links(events: Iterable[RecordedEvent]) -> list[CauseLink]:
    return [
        CauseLink(project=event.project, cause=link.cause, effect=link.effect, kind=link.kind, certainty=link.certainty)
        for event in events
        for link in links_of(event)
    ]


def _new_summary(event: RecordedEvent) -> RunSummary:
    at = _microseconds(event)
    return RunSummary(
        project=event.project,
        stream=event.stream,
        category=category(event.stream),
        title="",
        status="running",
        started_us=at,
        newest_us=at,
        time_known=event.meta.time == "recorded",
        position=event.position,
    )


def _note(summary: RunSummary, event: RecordedEvent) -> None:
    """Take from one event what the summary shows and the state does not hold."""
    decoded = catalog.decode(event)
    match decoded:
        case run.Started():
            summary.source_id = clip(decoded.source_id or "", 300)
            summary.synthetic = bool(decoded.context.get("synthetic"))
            summary.title = summary.title or clip(decoded.prompt or "", 300)
        case run.MessageReceived() if decoded.role == "user":
            summary.title = summary.title or clip(explain(event).summary.partition(": ")[2], 300)
        case run.ToolFailed():
            summary.first_error = summary.first_error or event.version
        case run.Graded() if decoded.rule == "outcome":
            summary.outcome, summary.outcome_raw = (decoded.verdict or "unknown")[:16], decoded.raw
        case run.Answered():
            _fill_totals(summary, decoded)
        case _:
            pass
    if event.meta.subjects and not summary.subject:
        summary.subject = clip(event.meta.subjects[0], 200)


def _fill_totals(summary: RunSummary, answer: run.Answered) -> None:
    """A source that counts tokens and cost for the whole run only gives them with the answer."""
    if answer.input_tokens is not None:
        summary.input_tokens = answer.input_tokens
    if answer.output_tokens is not None:
        summary.output_tokens = answer.output_tokens
    if answer.cost_usd is not None:
        summary.cost_usd = answer.cost_usd


def _total(summary: RunSummary, state: State, newest: RecordedEvent) -> None:
    summary.events = state.version
    summary.newest_us = max(summary.newest_us, _microseconds(newest))
    summary.position = newest.position
    if not isinstance(state, RunState):
        summary.title, summary.status = summary.title or newest.stream, "recorded"
        return
    seen = state.summary()
    summary.title = summary.title or newest.stream
    summary.status = seen["status"] or "running"
    summary.agent, summary.model = clip(seen["agent"] or "", 200), clip(seen["model"] or "", 200)
    summary.source, summary.parent_run = (seen["source"] or "")[:40], seen["parent_run"] or ""
    summary.tools = sorted({*summary.tools, *(tool[:200] for tool in seen["called"])})
    for name, value in seen["totals"].items():
        if value is not None:
            setattr(summary, name, value)


def _line(event: RecordedEvent, state: State) -> EventLine:
    decoded = catalog.decode(event)
    explanation = explain(event)
    texts = {
        "title": explanation.title,
        "summary": explanation.summary,
        "tool": getattr(decoded, "tool_name", None) or "",
        "call_id": getattr(decoded, "call_id", None) or "",
    }
    return EventLine(
        version=event.version,
        event_id=event.id,
        position=event.position,
        kind="unknown" if isinstance(decoded, Unknown) else event.type.rpartition(".")[2][:24],
        **{name: clip(text, _WIDTHS[name]) for name, text in texts.items()},
        is_error=isinstance(decoded, run.ToolFailed | run.Aborted),
        took_ms=getattr(decoded, "latency_ms", None),
        occurred_us=_microseconds(event),
        time_known=event.meta.time == "recorded",
        context_bytes=state.context_bytes if isinstance(state, RunState) else 0,
        size_bytes=len(event.data),
    )


def _pair(summary: RunSummary, lines: list[EventLine]) -> None:
    """Join results with their calls and fold model calls into the responses that follow them.

    Calls of an earlier batch are looked up; what was stored for them is updated.
    """
    open_calls = {line.call_id: line for line in lines if line.kind == "reasoned" and line.call_id}
    results = [line for line in lines if line.kind in ("tool_returned", "tool_failed") and line.call_id]
    earlier = _stored(summary, [line.call_id for line in results if line.call_id not in open_calls])
    for line in results:
        call = open_calls.get(line.call_id) or earlier.get(line.call_id)
        if call is not None:
            line.pair, call.pair = call.version, line.version
            line.took_ms = line.took_ms if line.took_ms is not None else _took(call, line)
    EventLine.objects.bulk_update(earlier.values(), ["pair"], batch_size=200)
    _fold(summary, lines)


def _stored(summary: RunSummary, call_ids: list[str]) -> dict[str, EventLine]:
    if not call_ids or summary.pk is None:
        return {}
    return {
        line.call_id: line
        for start in range(0, len(call_ids), 500)
        for line in EventLine.objects.filter(run=summary, kind="reasoned", call_id__in=call_ids[start : start + 500])
    }


def _fold(summary: RunSummary, lines: list[EventLine]) -> None:
    before: EventLine | None = None
    for line in lines:
        if line.kind == "model_responded":
            if before is None and line.version > 1 and summary.pk is not None:
                EventLine.objects.filter(run=summary, version=line.version - 1, kind="model_called").update(
                    folded_into=line.version
                )
            elif before is not None and before.kind == "model_called":
                before.folded_into = line.version
                line.took_ms = line.took_ms if line.took_ms is not None else _took(before, line)
        before = line


def _took(first: EventLine, second: EventLine) -> float | None:
    if not (first.time_known and second.time_known):
        return None
    took = (second.occurred_us - first.occurred_us) / 1000
    return took if took >= 0 else None


def _microseconds(event: RecordedEvent) -> int:
    return int(event.occurred_at.timestamp()) * _MICROSECONDS + event.occurred_at.microsecond

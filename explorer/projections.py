"""How the explorer's read models are filled: one pass over the journal, a batch at a time.

The fold that makes a run's state makes its summary, so the list and the debugger cannot disagree. The states of runs
that are being written are kept between batches in this process; a run that comes back later is folded again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from django.db import models

from explorer import note_rows, run_map  # noqa: F401 - the first registers itself
from explorer.gaps import counted
from explorer.models import EventLine, RunMap, RunSummary
from explorer.search import projection as search  # noqa: F401 - it registers itself
from explorer.shape import shape_of
from explorer.verdicts import beside, noted, regraded
from journal.domain import agent_run as run
from journal.domain import retention
from journal.domain.access_log import is_access
from journal.domain.aggregate import Headed, State, initial
from journal.domain.catalog import Unknown, Withdrawn, catalog
from journal.domain.event import RecordedEvent
from journal.domain.explain import explain
from journal.domain.grade import CATEGORY as GRADES
from journal.domain.run_state import RunState
from journal.domain.stream import category
from journal.domain.text import clip, plain
from journal.domain.trace import parsed
from journal.domain.withdrawn import mark_on
from journal.runtime import read_model
from journal.runtime.bulk import insert
from journal.runtime.projection import projects
from journal.store import get_store
from journal.store.snapshots import Kept, repository

_KEPT_STATES = 64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MOST = 2**63 - 1

_WIDTHS = {"title": 200, "summary": 400, "tool": 200, "call_id": 200}
"""Wide lists cut strings to the column; the full text is in the journal."""


_Key = tuple[int, str, str]
"""A run among the rows of a generation: generation, project, stream."""


class Line(msgspec.Struct, kw_only=True):
    """An `EventLine` to be inserted. A model's instance takes longer to make than all that stands in it."""

    run_id: int | None = None
    version: int
    event_id: str
    position: int
    kind: str
    title: str
    summary: str
    tool: str
    call_id: str
    is_error: bool
    pair: int | None
    folded_into: int | None = None
    took_ms: float | None
    occurred_us: int
    time_known: bool
    context_bytes: int
    size_bytes: int
    trace_id: str
    span_id: str


@projects
class Explorer:
    """Fills `RunSummary`, `RunMap` and `EventLine`."""

    name = "explorer"
    code_version = 5

    def __init__(self) -> None:
        self._states: OrderedDict[_Key, State] = OrderedDict()

    def handle(self, events: Sequence[RecordedEvent], *, generation: int) -> None:
        """Take the next events in, grouped by run so that each run is read and written once per batch."""
        if any(category(event.stream) == retention.CATEGORY for event in events):
            self._states.clear()  # what was purged or erased stands in no state from here on
        by_run: dict[_Key, list[RecordedEvent]] = {}
        for event in events:
            if is_access(event.stream):  # read on a page of its own, by those who may
                continue
            if (mark := mark_on(event)) is not None and mark.kind == "purged":
                continue  # a run that was purged is in no list
            by_run.setdefault((generation, event.project, event.stream), []).append(event)
        summaries = _summaries(generation, by_run)
        lines = [line for key, fresh in by_run.items() for line in self._take_in(key, fresh, summaries.get(key))]
        insert(EventLine, lines)
        _map(lines)
        _grade(generation, events)

    def discard(self, *, below: int, keep: Collection[int]) -> None:
        """Delete old generations from the tables."""
        read_model.discard([EventLine, RunMap], below=below, keep=keep, path="run__generation")
        read_model.discard([RunSummary], below=below, keep=keep)

    def digest(self, *, generation: int) -> str:
        """Return a digest of the tables, without the database's own keys."""
        runs = RunSummary.every.filter(generation=generation).order_by("project", "stream")
        lines = EventLine.every.filter(run__generation=generation).order_by("run__project", "run__stream", "version")
        maps = RunMap.every.filter(run__generation=generation).order_by("run__project", "run__stream")
        return read_model.digest(
            (
                runs.values_list(*_columns(RunSummary, but={"id", "generation"})).iterator(),
                lines.values_list("run__project", "run__stream", *_columns(EventLine, but={"id", "run_id"})).iterator(),
                maps.values_list("run__project", "run__stream", "data").iterator(),
            )
        )

    def _take_in(self, key: _Key, fresh: list[RecordedEvent], summary: RunSummary | None) -> list[Line]:
        """Bring a run up to its newest event; one that lacks an event in its middle is made again from its stream."""
        if summary is None or fresh[0].version > summary.events:
            return self._extend(key, fresh, summary)
        _, project, stream = key
        until = max(summary.events, fresh[-1].version)
        kept = beside(summary.verdicts)
        summary.delete()
        return self._extend(key, list(get_store(project).read_stream(stream, until=until)), None, verdicts=kept)

    def _extend(
        self, key: _Key, fresh: list[RecordedEvent], summary: RunSummary | None, *, verdicts: Sequence[Any] = ()
    ) -> list[Line]:
        """Bring a run's summary up to its newest event, and return the new lines, which are not stored yet."""
        state = self._state_before(key, fresh[0].version)
        summary = summary or _new_summary(fresh[0], generation=key[0], verdicts=verdicts)
        lines: dict[int, Line] = {}
        snapshots = Kept(key[1])
        for event in fresh:
            state.apply(event)
            snapshots.pass_by(state)
            decoded = catalog.decode(event)
            lines[event.version] = _line(event, decoded, state)
            _note(summary, event, decoded)
        _total(summary, state, fresh[-1])
        _join(summary, lines)
        summary.shape = shape_of(summary.shape, list(lines.values()))
        summary.gaps = counted(summary.gaps, list(lines.values()))
        summary.save()
        for line in lines.values():
            line.run_id = summary.pk
        self._keep(key, state)
        return list(lines.values())

    def _state_before(self, key: _Key, version: int) -> State:
        kept = self._states.pop(key, None)
        if kept is not None and kept.version == version - 1:
            return kept
        _, project, stream = key
        if version == 1:
            return initial(stream)
        return repository(project).load_at_version(stream, version - 1)

    def _keep(self, key: _Key, state: State) -> None:
        self._states[key] = state
        while len(self._states) > _KEPT_STATES:
            self._states.popitem(last=False)


def _map(lines: Sequence[Line]) -> None:
    """Let the maps of runs grow by their new events: one query, and a write for each run."""
    by_run: dict[int, list[Line]] = {}
    for line in lines:
        assert line.run_id is not None  # its summary is stored by now  # noqa: S101
        by_run.setdefault(line.run_id, []).append(line)
    known = {kept.run_id: kept for kept in RunMap.every.filter(run__in=list(by_run))}
    for run_id, fresh in by_run.items():
        if run_id in known:
            known[run_id].data = run_map.grown(known[run_id].data, fresh)
            known[run_id].save(update_fields=["data"])
    new = [run_id for run_id in by_run if run_id not in known]
    made = [RunMap(run_id=run_id, data=run_map.grown({}, by_run[run_id])) for run_id in new]
    RunMap.every.bulk_create(made, batch_size=100)


def _columns(model: type[models.Model], *, but: Collection[str]) -> list[str]:
    fields = model._meta.concrete_fields
    return [field.attname for field in fields if field.attname not in but]


def _summaries(generation: int, keys: Iterable[_Key]) -> dict[_Key, RunSummary]:
    """Return the summaries there are of some runs."""
    by_project: dict[str, list[str]] = {}
    for _, project, stream in keys:
        by_project.setdefault(project, []).append(stream)
    return {
        (generation, project, found.stream): found
        for project, streams in by_project.items()
        for found in RunSummary.every.filter(generation=generation, project=project, stream__in=streams)
    }


def _grade(generation: int, events: Sequence[RecordedEvent]) -> None:
    """Tell runs what re-grades came to: one read and one write for every hundred runs."""
    of_grades = [event for event in events if category(event.stream) == GRADES]
    decoded = [(event.project, catalog.decode(event)) for event in of_grades]
    found = [
        (project, grade, grade.run)
        for project, grade in decoded
        if isinstance(grade, run.Graded) and grade.run is not None and grade.run.since is None is grade.run.until
    ]
    keys = dict.fromkeys((generation, project, graded.stream) for project, _, graded in found)
    summaries = _summaries(generation, keys)
    for project, grade, graded in found:
        summary = summaries.get((generation, project, graded.stream))
        if summary is not None:
            summary.verdicts = regraded(summary.verdicts, grade)
    RunSummary.every.bulk_update(summaries.values(), ["verdicts"], batch_size=100)


def _new_summary(event: RecordedEvent, *, generation: int, verdicts: Sequence[Any]) -> RunSummary:
    at = _microseconds(event)
    return RunSummary(
        generation=generation,
        project=event.project,
        stream=event.stream,
        category=category(event.stream),
        title=event.stream,
        status="running",
        started_us=at,
        newest_us=at,
        time_known=event.meta.time == "recorded",
        position=event.position,
        verdicts=list(verdicts),
    )


def _note(summary: RunSummary, event: RecordedEvent, decoded: run.AnyEvent) -> None:
    """Take from one event what the summary shows and the state does not hold."""
    summary.newest_us = max(summary.newest_us, _microseconds(event))
    match decoded:
        case run.Started():
            summary.source_id = clip(decoded.source_id or "", 300)
            summary.synthetic = bool(decoded.context.get("synthetic"))
            _entitle(summary, decoded.prompt or "")
        case run.MessageReceived() if decoded.role == "user":
            _entitle(summary, plain(decoded.content))
        case run.ToolFailed():
            summary.first_error = summary.first_error or event.version
        case run.Graded() if decoded.rule == "outcome":
            summary.outcome, summary.outcome_raw = (decoded.verdict or "unknown")[:16], decoded.raw
        case run.Graded():
            summary.verdicts = noted(summary.verdicts, decoded, event.version)
        case run.Answered():
            _fill_totals(summary, decoded)
        case _:
            pass
    if event.meta.subjects and not summary.subject:
        summary.subject = clip(event.meta.subjects[0], 200)


def _entitle(summary: RunSummary, said: str) -> None:
    """A run goes by the first thing that was asked of it, and until then by its stream."""
    if summary.title == summary.stream:
        summary.title = clip(said, 300) or summary.stream


def _fill_totals(summary: RunSummary, answer: run.Answered) -> None:
    """A source that counts tokens and cost for the whole run only gives them with the answer."""
    for name in ("input_tokens", "output_tokens", "cost_usd"):
        if getattr(answer, name) is not None:
            setattr(summary, name, _fitting(getattr(answer, name)))


def _total(summary: RunSummary, state: State, newest: RecordedEvent) -> None:
    summary.events = state.version
    summary.position = newest.position
    if not isinstance(state, RunState):
        summary.status = "recorded"
        if isinstance(state, Headed):
            summary.title = clip(state.headline(), 300) or summary.stream
        return
    seen = state.summary()
    summary.status = seen["status"] or "running"
    summary.agent, summary.model = clip(seen["agent"] or "", 200), clip(seen["model"] or "", 200)
    summary.source, summary.parent_run = (seen["source"] or "")[:40], (seen["parent_run"] or "")[:245]
    summary.tools = sorted({clip(tool, _WIDTHS["tool"]) for tool in seen["called"]})
    for name, value in seen["totals"].items():
        if value is not None:
            setattr(summary, name, _fitting(value))


def _fitting(value: float) -> float | None:
    """A number that no column holds, which no honest source counts, is shown as not recorded."""
    return value if 0 <= value <= _MOST else None


def _line(event: RecordedEvent, decoded: run.AnyEvent, state: State) -> Line:
    explanation = explain(event)
    known = state if isinstance(state, RunState) else None
    trace = parsed(event.meta.traceparent)
    return Line(
        version=event.version,
        event_id=event.id,
        position=event.position,
        kind=kind_of(event, decoded),
        title=clip(explanation.title, _WIDTHS["title"]),
        summary=clip(explanation.summary, _WIDTHS["summary"]),
        tool=clip(getattr(decoded, "tool_name", None) or "", _WIDTHS["tool"]),
        call_id=clip(getattr(decoded, "call_id", None) or "", _WIDTHS["call_id"]),
        is_error=isinstance(decoded, run.ToolFailed | run.Aborted),
        pair=known.answered_call if known else None,
        took_ms=getattr(decoded, "latency_ms", None),
        occurred_us=_microseconds(event),
        time_known=event.meta.time == "recorded",
        context_bytes=known.context_bytes if known else 0,
        size_bytes=len(event.data),
        trace_id=trace.trace_id if trace else "",
        span_id=trace.span_id if trace else "",
    )


def kind_of(event: RecordedEvent, decoded: run.AnyEvent) -> str:
    """Return the last part of an agent run's event type: pages give each a sign and a meaning.

    One whose payload is gone is still of its type. Other apps' events may end in the same words and mean something
    else, so they are all of one kind.
    """
    if isinstance(decoded, Unknown) and not isinstance(decoded, Withdrawn):
        return "unknown"
    family, _, name = event.type.rpartition(".")
    return name[:24] if family == run.CATEGORY else "event"


def _join(summary: RunSummary, lines: dict[int, Line]) -> None:
    """Pair results with their calls, and fold model calls into the responses right behind them.

    The earlier line of the two may be of an earlier batch: it is looked up, and what was stored for it is updated.
    """
    asked = {version: version - 1 for version, line in lines.items() if line.kind == "model_responded"}
    called = {version: line.pair for version, line in lines.items() if line.pair is not None}
    earlier = _stored(summary, {*asked.values(), *called.values()} - lines.keys())
    known: dict[int, EventLine | Line] = {**earlier, **lines}
    for version, call_version in called.items():
        if call_version in known:
            known[call_version].pair = version
            _time(known[call_version], lines[version])
    for version, before in asked.items():
        if before in known and known[before].kind == "model_called":
            known[before].folded_into = version
            _time(known[before], lines[version])
    EventLine.every.bulk_update(earlier.values(), ["pair", "folded_into"], batch_size=200)


def _stored(summary: RunSummary, versions: Collection[int]) -> dict[int, EventLine]:
    """Return lines of earlier batches by version."""
    if summary.pk is None:
        return {}
    wanted = sorted(versions)
    return {
        line.version: line
        for start in range(0, len(wanted), 500)
        for line in EventLine.every.filter(run=summary, version__in=wanted[start : start + 500])
    }


def _time(first: EventLine | Line, second: Line) -> None:
    """Where the source does not say how long it took, its times do."""
    if second.took_ms is None:
        second.took_ms = _took(first, second)


def _took(first: EventLine | Line, second: Line) -> float | None:
    if not (first.time_known and second.time_known):
        return None
    took = (second.occurred_us - first.occurred_us) / 1000
    return took if took >= 0 else None


def _microseconds(event: RecordedEvent) -> int:
    return (event.occurred_at - _EPOCH) // _MICROSECOND

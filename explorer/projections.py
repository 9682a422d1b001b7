"""How the explorer's read models are filled: one pass over the journal, a batch at a time.

The fold that makes a run's state makes its summary, so the list and the debugger cannot disagree. The states of runs
that are being written are kept between batches in this process; a run that comes back later is folded again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from explorer.bulk import insert
from explorer.models import CauseLink, EventLine, RunSummary
from explorer.shape import shape_of
from journal.domain import agent_run as run
from journal.domain.aggregate import State, fold, initial
from journal.domain.catalog import Unknown, catalog
from journal.domain.event import RecordedEvent
from journal.domain.explain import explain
from journal.domain.lineage import CausalLink, links_of
from journal.domain.run_state import RunState
from journal.domain.stream import category
from journal.domain.text import clip, plain
from journal.runtime.projection import projects
from journal.store import get_store

_KEPT_STATES = 64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MOST = 2**63 - 1

_WIDTHS = {"title": 200, "summary": 400, "tool": 200, "call_id": 200}
"""Wide lists cut strings to the column; the full text is in the journal."""


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


class Link(CausalLink, frozen=True, kw_only=True):
    """A `CauseLink` to be inserted."""

    project: str


@projects
class Explorer:
    """Fills `RunSummary`, `EventLine` and `CauseLink`."""

    name = "explorer"
    code_version = 2

    def __init__(self) -> None:
        self._states: OrderedDict[tuple[str, str], State] = OrderedDict()

    def handle(self, events: Sequence[RecordedEvent]) -> None:
        """Take the next events in, grouped by run so that each run is read and written once per batch."""
        by_run: dict[tuple[str, str], list[RecordedEvent]] = {}
        for event in events:
            by_run.setdefault((event.project, event.stream), []).append(event)
        summaries = _summaries(by_run)
        lines = [line for key, fresh in by_run.items() for line in self._extend(*key, fresh, summaries.get(key))]
        insert(EventLine, lines)
        insert(CauseLink, _cause_links(events), ignore_conflicts=True)

    def reset(self) -> None:
        """Empty the three tables."""
        self._states.clear()
        for model in (CauseLink, EventLine, RunSummary):
            model.objects.all().delete()

    def _extend(self, project: str, stream: str, fresh: list[RecordedEvent], summary: RunSummary | None) -> list[Line]:
        """Bring a run's summary up to its newest event, and return the new lines, which are not stored yet."""
        state = self._state_before(project, stream, fresh[0].version)
        summary = summary or _new_summary(fresh[0])
        lines: dict[int, Line] = {}
        for event in fresh:
            state.apply(event)
            decoded = catalog.decode(event)
            lines[event.version] = _line(event, decoded, state)
            _note(summary, event, decoded)
        _total(summary, state, fresh[-1])
        _join(summary, lines)
        summary.shape = shape_of(summary.shape, list(lines.values()))
        summary.save()
        for line in lines.values():
            line.run_id = summary.pk
        self._keep((project, stream), state)
        return list(lines.values())

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


def _summaries(keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], RunSummary]:
    """Return the summaries there are of some runs."""
    by_project: dict[str, list[str]] = {}
    for project, stream in keys:
        by_project.setdefault(project, []).append(stream)
    return {
        (project, found.stream): found
        for project, streams in by_project.items()
        for found in RunSummary.objects.filter(project=project, stream__in=streams)
    }


def _cause_links(events: Iterable[RecordedEvent]) -> list[Link]:
    """What is longer than an id is none of the journal's, and is cut to the column as any text is."""
    return [
        Link(project=event.project, cause=link.cause[:36], effect=link.effect, kind=link.kind, certainty=link.certainty)
        for event in events
        for link in links_of(event)
    ]


def _new_summary(event: RecordedEvent) -> RunSummary:
    at = _microseconds(event)
    return RunSummary(
        project=event.project,
        stream=event.stream,
        category=category(event.stream),
        title=event.stream,
        status="running",
        started_us=at,
        newest_us=at,
        time_known=event.meta.time == "recorded",
        position=event.position,
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
    return Line(
        version=event.version,
        event_id=event.id,
        position=event.position,
        kind="unknown" if isinstance(decoded, Unknown) else event.type.rpartition(".")[2][:24],
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
    )


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
    EventLine.objects.bulk_update(earlier.values(), ["pair", "folded_into"], batch_size=200)


def _stored(summary: RunSummary, versions: Collection[int]) -> dict[int, EventLine]:
    """Return lines of earlier batches by version."""
    if summary.pk is None:
        return {}
    wanted = sorted(versions)
    return {
        line.version: line
        for start in range(0, len(wanted), 500)
        for line in EventLine.objects.filter(run=summary, version__in=wanted[start : start + 500])
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

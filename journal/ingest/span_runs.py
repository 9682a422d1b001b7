"""Spans to runs: which spans make one run, which of them tell of the same call, and in which order.

For files and for the live endpoint alike: spans come in, drafts go out. A run is what one `gen_ai.conversation.id`
names, else one session, else one trace. Keys are made of trace and span ids, so spans that come later, or again, never
give an event another key; what is told by a span depends on that span and on those that began before it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Literal

import msgspec

from journal.ingest.draft import EVERY_COUNT, Count, RunDraft
from journal.ingest.span_events import RunTeller
from journal.ingest.span_facts import tool_name
from journal.ingest.span_reading import Reading
from journal.ingest.spans import Batch, Log, Span, in_order, joined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from collections.abc import Set as AbstractSet

Cut = Literal["conversation", "trace"]


class ModelCall(msgspec.Struct, frozen=True, kw_only=True):
    """The spans that tell of one model call, the innermost first. `key` is the place its events are named after."""

    key: str
    readings: tuple[Reading, ...]


class Trail(msgspec.Struct, kw_only=True):
    """One run's spans in order, with what they say, and who is inside whom.

    `shadowed` are tools whose execution was told by a span inside them, before they were known themselves.
    """

    run_id: str
    format: str
    readings: list[Reading]
    by_place: dict[str, Reading]
    calls: dict[str, ModelCall]
    wrapped: set[str]
    shadowed: set[str] = set()
    logs: list[Log] = []

    def ancestors(self, reading: Reading) -> Iterator[Reading]:
        """Yield the spans around one, from the inside; a parent that is not here ends it, and so does a circle."""
        seen = {reading.span.place}
        while reading.span.parent_id:
            place = f"{reading.span.trace_id}/{reading.span.parent_id}"
            if place in seen or place not in self.by_place:
                return
            seen.add(place)
            reading = self.by_place[place]
            yield reading

    def same_tool_around(self, reading: Reading) -> Reading | None:
        """Return the span around a tool's that tells of the same execution, as an MCP client's does of its server's."""
        outer = next((outer for outer in self.ancestors(reading) if outer.role != "other"), None)
        is_same = outer is not None and outer.role == "tool" and outer.text("tool") == tool_name(reading)
        return outer if is_same else None


def runs(
    batch: Batch,
    *,
    format_name: str,
    cut: Cut = "conversation",
    calls_are_nested: bool = True,
    left_out: Callable[[str], None] = lambda _reason: None,
) -> Iterator[RunDraft]:
    """Yield the runs in a batch of spans and log records, in the order they began.

    `calls_are_nested` is false where the source lists every call once, so that a call inside another is a second one.
    A trace without any span of a model, a tool or an agent is no run, and `left_out` is told so.
    """
    for run_id, members in cut_runs(batch, cut=cut).items():
        if not is_run(members):
            left_out(f"trace {members[0].span.trace_id}: none of its {len(members)} spans is of a model, tool or agent")
            continue
        yield draft_of(run_id, members, format_name=format_name, calls_are_nested=calls_are_nested)


def cut_runs(
    batch: Batch, *, cut: Cut = "conversation", known: Mapping[str, str] | None = None
) -> dict[str, list[Reading]]:
    """Return the spans of a batch by the run they belong to, runs and spans in order.

    `known` are the runs that were told before, by the places of their spans: a span keeps its run, and where all that
    is known of a trace belongs to one run, spans of it that come later do so too, whatever conversation they name.
    """
    spans, alone = joined(batch)
    return _cut([Reading(span) for span in in_order([*spans, *_spans_of(alone)])], cut, known or {})


def is_run(members: Iterable[Reading]) -> bool:
    """Whether any of these spans is of a model, a tool or an agent."""
    return any(reading.role != "other" for reading in members)


def draft_of(
    run_id: str,
    members: list[Reading],
    *,
    format_name: str,
    calls_are_nested: bool = True,
    told: AbstractSet[str] = frozenset(),
) -> RunDraft:
    """Return one run's draft. `told` are places whose model call or tool result was told before: it keeps its name."""
    return _draft(_trail(run_id, format_name, members, nested=calls_are_nested, told=told))


def _draft(trail: Trail) -> RunDraft:
    readings = trail.readings
    conversation = next((found for found in map(_conversation, readings) if found), None)
    return RunDraft(
        source_id=trail.run_id,
        events=RunTeller(trail).events(),
        recorded=_recorded(trail),
        correlation=conversation or next((found for found in map(_session, readings) if found), None),
    )


def _recorded(trail: Trail) -> frozenset[Count]:
    """Return the counts the spans give: tokens and cost only where a call has them."""
    called = [reading for call in trail.calls.values() for reading in call.readings]
    missing: set[Count] = set()
    if not any(reading.count("input_tokens") is not None for reading in called):
        missing.add("input_tokens")
    if not any(reading.count("output_tokens") is not None for reading in called):
        missing.add("output_tokens")
    if not any(reading.get("cost") is not None for reading in called):
        missing.add("cost_usd")
    return EVERY_COUNT - missing


def _cut(readings: list[Reading], cut: Cut, known: Mapping[str, str]) -> dict[str, list[Reading]]:
    """Return the readings by run, runs and readings in order."""
    traces: dict[str, list[Reading]] = defaultdict(list)
    for reading in readings:
        traces[reading.span.trace_id].append(reading)
    names: dict[str, str] = {}
    for trace, members in traces.items():
        names |= {reading.span.place: trace for reading in members} if cut == "trace" else _names(trace, members, known)
    found: dict[str, list[Reading]] = defaultdict(list)
    for reading in readings:
        found[names[reading.span.place]].append(reading)
    return found


def _names(trace: str, members: list[Reading], known: Mapping[str, str]) -> dict[str, str]:
    """Return the run of each span of a trace: its own or an outer span's conversation, else the trace's first one.

    A session names a run only in a trace without any conversation: a coding agent's own session inside a served
    conversation is a part of it.
    """
    of = _conversation if any(map(_conversation, members)) else _session
    told = {place: known[place] for place in (reading.span.place for reading in members) if place in known}
    if len(set(told.values())) == 1:
        return dict.fromkeys((reading.span.place for reading in members), next(iter(told.values())))
    own = {reading.span.place: told.get(reading.span.place) or of(reading) for reading in members}
    common = next((name for name in own.values() if name), None) or trace
    if set(own.values()) <= {None, common}:
        return dict.fromkeys(own, common)
    parents = {reading.span.place: f"{trace}/{reading.span.parent_id}" for reading in members}
    return {place: _nearest(place, own, parents) or common for place in own}


def _nearest(place: str, own: dict[str, str | None], parents: dict[str, str]) -> str | None:
    seen: set[str] = set()
    while place in own and place not in seen:
        if found := own[place]:
            return found
        seen.add(place)
        place = parents[place]
    return None


def _conversation(reading: Reading) -> str | None:
    return reading.text("conversation")


def _session(reading: Reading) -> str | None:
    return reading.text("session")


def _trail(run_id: str, format_name: str, members: list[Reading], *, nested: bool, told: AbstractSet[str]) -> Trail:
    by_place = {reading.span.place: reading for reading in members}
    trail = Trail(
        run_id=run_id, format=format_name, readings=members, by_place=by_place, calls={}, wrapped=set(),
    )  # fmt: skip
    called = [reading for reading in members if reading.role == "llm"]
    around = {reading.span.place: _wrapper(trail, reading) if nested else None for reading in called}
    wrappers = {outer.span.place for outer in around.values() if outer is not None}
    for reading in called:
        if reading.span.place not in wrappers:
            _add_call(trail, reading, around, told)
    for reading in members:
        if reading.role == "tool" and reading.span.place in told and (outer := trail.same_tool_around(reading)):
            trail.shadowed |= {outer.span.place} - told
    return trail


def _add_call(trail: Trail, reading: Reading, around: dict[str, Reading | None], told: AbstractSet[str]) -> None:
    """Add an innermost call with the spans around it, named after the outermost, which began first.

    Where a span wraps several calls (attempts of one request), it tells with the first; the others stand alone. A call
    that was told before a span around it was known keeps the name it has.
    """
    chain = [reading]
    while (outer := around[chain[-1].span.place]) is not None:
        chain.append(outer)
    if chain[-1].span.place in trail.calls:
        chain = [reading]
    key = next((one.span.place for one in chain if one.span.place in told), chain[-1].span.place)
    trail.calls[key] = ModelCall(key=key, readings=tuple(chain))
    trail.wrapped |= {member.span.place for member in chain if member.span.place != key}


def _wrapper(trail: Trail, reading: Reading) -> Reading | None:
    """Return the model span around a model span that tells of the same call: no tool and no agent stands between."""
    for outer in trail.ancestors(reading):
        if outer.role in ("llm", "tool", "agent", "turn"):
            return outer if outer.role == "llm" else None
    return None


def _spans_of(logs: Iterable[Log]) -> Iterator[Span]:
    """Make a span of the log records of each span that is not here, so that records alone tell a run, too."""
    grouped: dict[tuple[str, str], list[Log]] = defaultdict(list)
    for log in logs:
        grouped[log.trace, log.span_id or log.own_id].append(log)
    for (trace, span), records in grouped.items():
        times = [log.at_ns for log in records if log.at_ns]
        yield Span(
            trace_id=trace or "no-trace",
            span_id=span,
            name=records[0].name,
            start_ns=min(times, default=0),
            end_ns=max(times, default=0),
            logs=records,
            resource=records[0].resource,
            line=records[0].line,
        )

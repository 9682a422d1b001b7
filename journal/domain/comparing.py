"""Two runs side by side: where they part, what differs there, and what it cost from there on.

What is compared are steps: what people said, what the model answered, which calls it made with which arguments, and
what came back. Ids, times, tokens and prices are no part of a step, so that two runs that did the same are equal. A
request to the model stands in its response, and verdicts and notes are about a run, not of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

import msgspec

from journal.domain import agent_run as run
from journal.domain.aggregate import State
from journal.domain.align import CELLS, Alignment, Item, Pair, align
from journal.domain.catalog import Unknown, catalog
from journal.domain.diff import Change, diff
from journal.domain.event import RecordedEvent
from journal.domain.invariant import canonical
from journal.domain.run_state import RunState
from journal.domain.text import parsed, plain

TOTALS: Final = (
    "events",
    "decisions",
    "tool_calls",
    "tool_errors",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "duration_ms",
)
"""What a difference is told in, in this order. Those a source does not record are None."""

StateAt = Callable[[int], State]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened in a run."""

    version: int
    type: str
    kind: str
    tool: str


class History(msgspec.Struct, frozen=True, kw_only=True):
    """A run to be compared: its events from the first on, as many as are looked at of its `newest`.

    `at` is the event whose state is compared where somebody chose one; `state_at` gives the state after any event.
    """

    stream: str
    events: Sequence[RecordedEvent]
    newest: int
    state_at: StateAt
    at: int | None = None

    @property
    def is_cut(self) -> bool:
        """Whether the run goes on behind what is looked at."""
        return len(self.events) < self.newest


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of two runs. `at` is the event whose state is compared, `same` the last one that both have in common.

    `totals` are the whole run's, `since` those behind `same`, which is 0 where the runs begin differently.
    """

    stream: str
    newest: int
    looked_at: int
    at: int
    same: int
    totals: dict[str, Any]
    since: dict[str, Any]
    state: State


class Parting(msgspec.Struct, frozen=True, kw_only=True):
    """The first place at which two runs differ: the pair's index, its events, what kind of thing it is."""

    index: int
    left: int | None
    right: int | None
    kind: str
    words: str


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two runs, A on the left and B on the right. `changes` lead from A's state to B's.

    `elsewhere` has, by the index of a pair that one side alone has, the version at which the other has the same.
    """

    left: Side
    right: Side
    left_steps: tuple[Step, ...]
    right_steps: tuple[Step, ...]
    pairs: tuple[Pair, ...]
    elsewhere: dict[int, int]
    is_cheapest: bool
    parting: Parting | None
    changes: tuple[Change, ...]

    @property
    def is_one_run(self) -> bool:
        """Whether it is one run at two versions."""
        return self.left.stream == self.right.stream

    def words(self) -> str:
        """Return where they part, in a sentence."""
        if self.is_one_run:
            return f"One run at {self.left.at:,} and at {self.right.at:,}"
        if self.parting is None:
            same = f"The same in all {len(self.pairs):,} steps"
            is_cut = self.left.looked_at < self.left.newest or self.right.looked_at < self.right.newest
            return f"{same} that were looked at" if is_cut else same
        if not self.left.same:
            return f"Different from the first step on: {self.parting.words}"
        if self.left.same == self.right.same:
            return f"Same until {self.left.same:,}, then {self.parting.words}"
        return f"Same until {self.left.same:,} in A and {self.right.same:,} in B, then {self.parting.words}"


def compare(left: History, right: History, *, cells: int = CELLS) -> Comparison:
    """Return two runs side by side. States are compared where they part, or where the histories say."""
    left_steps, left_items = _steps(left.events)
    right_steps, right_items = _steps(right.events)
    found: Alignment = align(left_items, right_items, cells=cells)
    parting = _parting(found.pairs, left_steps, right_steps)
    left_same, right_same = _same_until(found.pairs, parting, left_steps, right_steps)
    if parting is None and left.stream != right.stream:
        left_same, right_same = left.newest, right.newest
    left_at = _at(left, parting.left if parting else None, left_same)
    right_at = _at(right, parting.right if parting else None, right_same)
    if left.stream == right.stream:
        left_same, right_same = left_at, right_at
    a, b = _side(left, left_at, left_same), _side(right, right_at, right_same)
    return Comparison(
        left=a,
        right=b,
        left_steps=left_steps,
        right_steps=right_steps,
        pairs=found.pairs,
        elsewhere=_elsewhere(found.pairs, left_items, right_items, left_steps, right_steps),
        is_cheapest=found.is_cheapest,
        parting=parting,
        changes=tuple(diff(a.state, b.state)),
    )


def less(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    """Return A less B, total by total; None where one of them is not recorded."""
    return {name: None if left[name] is None or right[name] is None else left[name] - right[name] for name in TOTALS}


# --- Steps ------------------------------------------------------------------------------------------------------------


def _steps(events: Sequence[RecordedEvent]) -> tuple[tuple[Step, ...], list[Item]]:
    steps: list[Step] = []
    items: list[Item] = []
    for event in events:
        told = _told(event)
        if told is not None:
            key, tool = told
            kind = event.type.rpartition(".")[2]
            steps.append(Step(version=event.version, type=event.type, kind=kind, tool=tool))
            items.append(Item((event.type, *key), event.type, tool))
    return tuple(steps), items


def _told(event: RecordedEvent) -> tuple[tuple[object, ...], str] | None:  # noqa: C901, PLR0911, PLR0912 - a case an event
    """Return what an event says beside ids, times and prices, and the tool it is about; None where it is no step."""
    match catalog.decode(event):
        case run.ModelCalled() | run.Graded() | run.Annotated():
            return None
        case run.Started() as start:
            return (start.prompt,), ""
        case run.MessageReceived() as message:
            return (message.role, plain(message.content)), message.role
        case run.ModelResponded() as response:
            return (plain(response.content), response.reasoning or ""), ""
        case run.Reasoned() as call:
            return (call.tool_name, canonical(parsed(call.args_json))), call.tool_name
        case run.ToolReturned() as result:
            return (result.tool_name, canonical(parsed(result.response_json))), result.tool_name
        case run.ToolFailed() as failure:
            return (failure.tool_name, failure.error_code, failure.message), failure.tool_name
        case run.HandedOff() as hand_off:
            return (hand_off.to_agent, hand_off.instruction), hand_off.to_agent or ""
        case run.ContextCompacted() as compaction:
            return (compaction.summary,), ""
        case run.MemoryWritten() as memory:
            return (memory.key, canonical(memory.value)), memory.key
        case run.Answered() as answer:
            return (plain(answer.response),), ""
        case run.Aborted() as end:
            return (end.reason,), ""
        case Unknown():
            return (event.data,), ""
        case _:
            return (canonical(event.payload),), ""


# --- Where they part --------------------------------------------------------------------------------------------------


def _parting(pairs: Sequence[Pair], left: Sequence[Step], right: Sequence[Step]) -> Parting | None:
    for index, pair in enumerate(pairs):
        if pair.mark != "equal":
            one = left[pair.left] if pair.left is not None else None
            other = right[pair.right] if pair.right is not None else None
            # What only one side has: the other went on with the next thing that it has.
            one = one or _next(pairs[index:], left, "left")
            other = other or _next(pairs[index:], right, "right")
            return Parting(
                index=index,
                left=one.version if one else None,
                right=other.version if other else None,
                kind=(one or other or left[0]).kind,
                words=_words(one, other),
            )
    return None


def _next(pairs: Sequence[Pair], steps: Sequence[Step], side: Literal["left", "right"]) -> Step | None:
    return next((steps[at] for pair in pairs if (at := getattr(pair, side)) is not None), None)


def _words(one: Step | None, other: Step | None) -> str:
    """Return what happens where two runs part. Text of the runs is no part of it but for the names of tools."""
    if one is None or other is None:
        here, gone = ("A", "B") if other is None else ("B", "A")
        step = one or other
        return f"{gone} ends and {here} goes on at {step.version:,}" if step else "one of them ends"
    where = f"at {one.version:,}" if one.version == other.version else f"at {one.version:,} and {other.version:,}"
    if one.kind != other.kind:
        return f"something else happens {where}"
    if one.kind == "reasoned" and one.tool != other.tool:
        return f"another tool is called {where}"
    return f"{_DIFFERENTLY.get(one.kind, 'another event comes')} {where}"


_DIFFERENTLY: Final = {
    "started": "the request is another",
    "message_received": "another message comes",
    "model_responded": "the model answered differently",
    "reasoned": "the call is made with other arguments",
    "tool_returned": "the tool gave another result",
    "tool_failed": "the tool failed differently",
    "handed_off": "the work is handed to another agent",
    "context_compacted": "the context is cut down differently",
    "memory_written": "something else is remembered",
    "answered": "the answer is another",
    "aborted": "they end for another reason",
}


def _same_until(
    pairs: Sequence[Pair], parting: Parting | None, left: Sequence[Step], right: Sequence[Step]
) -> tuple[int, int]:
    """Return the last events that both have in common, before any difference."""
    common = pairs[: parting.index] if parting else pairs
    if not common or common[-1].left is None or common[-1].right is None:
        return 0, 0
    return left[common[-1].left].version, right[common[-1].right].version


def _elsewhere(
    pairs: Sequence[Pair],
    left: Sequence[Item],
    right: Sequence[Item],
    left_steps: Sequence[Step],
    right_steps: Sequence[Step],
) -> dict[int, int]:
    """Return where the other run has what stands alone here; what is equal to something already is not it."""
    equal_left = {pair.left for pair in pairs if pair.mark == "equal"}
    equal_right = {pair.right for pair in pairs if pair.mark == "equal"}
    in_left = {item.key: left_steps[at].version for at, item in reversed(list(enumerate(left))) if at not in equal_left}
    in_right = {
        item.key: right_steps[at].version for at, item in reversed(list(enumerate(right))) if at not in equal_right
    }
    found: dict[int, int] = {}
    for index, pair in enumerate(pairs):
        if pair.mark == "left" and pair.left is not None and left[pair.left].key in in_right:
            found[index] = in_right[left[pair.left].key]
        elif pair.mark == "right" and pair.right is not None and right[pair.right].key in in_left:
            found[index] = in_left[right[pair.right].key]
    return found


# --- States and totals ------------------------------------------------------------------------------------------------


def _at(history: History, parted: int | None, same: int) -> int:
    if history.at is not None:
        return max(0, min(history.at, history.newest))
    return parted or same or history.newest


def _side(history: History, at: int, same: int) -> Side:
    whole = _totals(history.state_at(history.newest), history.newest)
    before = _totals(history.state_at(same), same)
    return Side(
        stream=history.stream,
        newest=history.newest,
        looked_at=len(history.events),
        at=at,
        same=same,
        totals=whole,
        since={name: _since(whole[name], before[name]) for name in TOTALS},
        state=history.state_at(at),
    )


def _since(whole: Any, before: Any) -> Any:
    """Return what came after; a total that nobody had recorded anything for yet was nothing."""
    return None if whole is None else whole - (before or 0)


def _totals(state: State, events: int) -> dict[str, Any]:
    told: dict[str, Any] = state.summary()["totals"] if isinstance(state, RunState) else {}
    return {"events": events, **{name: told.get(name) for name in TOTALS[1:]}}

"""Rules on what the model gets to see, and on work given to others."""

from __future__ import annotations

from typing import Final

from journal.domain import agent_run as run
from journal.domain.invariant import HOLDS, Context, Fails, Holds, Verdict, invariant
from journal.domain.text import amount
from journal.invariants import base
from journal.invariants.base import Rule

_SHORTEST_SUMMARY: Final = 20
_SHORTEST_INSTRUCTION: Final = 24


class _Summaries:
    def step(self, ctx: Context) -> Verdict:
        match ctx.data:
            case run.ContextCompacted(summary=summary, dropped_versions=dropped) if dropped:
                if len((summary or "").strip()) < _SHORTEST_SUMMARY:
                    return Fails(
                        f"{amount(len(dropped), 'event')} left the context and no summary took their place",
                        (ctx.version,),
                    )
        return HOLDS


@invariant
class CompactionHasSummary(Rule):
    """Fails where the context is cut without a summary."""

    name = "compaction-has-summary"
    looks_at = (run.ContextCompacted,)
    theme = "context"
    title = "A compaction leaves a summary"
    description = "Fails where events leave the context and the summary in their place has fewer than 20 characters."
    memory = _Summaries


class _OpenWhenCompacted:
    def __init__(self) -> None:
        self._open: dict[int, str] = {}

    def step(self, ctx: Context) -> Verdict:
        match ctx.data:
            case run.Reasoned() if ctx.call is not None:
                self._open[ctx.version] = ctx.call.tool
            case run.ToolReturned() | run.ToolFailed() if ctx.call is not None:
                self._open.pop(ctx.call.version, None)
            case run.ContextCompacted(dropped_versions=dropped):
                lost = [version for version in dropped if version in self._open]
                if lost:
                    return Fails(
                        f"the compaction drops the open call of {self._open[lost[0]]} at {lost[0]}",
                        (*lost, ctx.version),
                    )
        return HOLDS


@invariant
class CompactionKeepsOpenCalls(Rule):
    """Fails where a compaction drops a call that has no result yet."""

    name = "compaction-keeps-open-calls"
    looks_at = (
        run.Reasoned,
        run.ToolReturned,
        run.ToolFailed,
        run.ContextCompacted,
    )
    theme = "context"
    title = "A compaction keeps open calls"
    description = "Fails where a compaction drops a call whose result has not come: the result will answer nothing."
    memory = _OpenWhenCompacted


class _Dropped:
    """Results that left the context, by their call."""

    def __init__(self) -> None:
        self._results: dict[int, tuple[str, str]] = {}
        self._digests: dict[int, bytes] = {}
        self._lost: dict[tuple[str, str], tuple[int, int]] = {}

    def step(self, ctx: Context) -> Verdict:
        match ctx.data:
            case run.ToolReturned() if ctx.call is not None:
                return self._take(ctx)
            case run.ContextCompacted(dropped_versions=dropped, kept_versions=kept):
                gone = dropped or [version for version in self._results if kept and version not in kept]
                for version in gone:
                    if version in self._results:
                        self._lost[self._results.pop(version)] = (version, ctx.version)
        return HOLDS

    def _take(self, ctx: Context) -> Verdict:
        if ctx.call is None:
            return HOLDS
        key, digest = ctx.call.key, base.digest(base.said(ctx.data))
        lost = self._lost.pop(key, None)
        self._results[ctx.version], self._digests[ctx.version] = key, digest
        if lost is None or self._digests.get(lost[0]) != digest:
            return HOLDS
        return Fails(
            f"{ctx.call.tool} had to be asked again for the result at {lost[0]}, which the compaction at"
            f" {lost[1]} dropped",
            (*lost, ctx.version),
        )


@invariant
class ContextSurvivesCompaction(Rule):
    """Fails where something needed was compacted away."""

    name = "context-survives-compaction"
    looks_at = (
        run.ToolReturned,
        run.ContextCompacted,
    )
    theme = "context"
    title = "What is still needed survives a compaction"
    description = (
        "Fails where a call is made again, and returns the same, after a compaction dropped its first result from the"
        " context."
    )
    memory = _Dropped


class _HandedOff:
    def __init__(self) -> None:
        self._waiting: dict[int, str] = {}

    def step(self, ctx: Context) -> Verdict:
        match ctx.data:
            case run.HandedOff(to_agent=to):
                self._waiting[ctx.version] = to or "another agent"
            case run.Answered() | run.Aborted() if self._waiting:
                who = ", ".join(dict.fromkeys(self._waiting.values()))
                return Fails(f"ends, and nothing came back from {who}", (*self._waiting, ctx.version))
            case run.MessageReceived() | run.ToolReturned() | run.ToolFailed() | run.ModelResponded():
                self._waiting.clear()
        return HOLDS


@invariant
class HandOffIsAnswered(Rule):
    """Fails where work was handed off and nothing came back."""

    name = "hand-off-is-answered"
    looks_at = (
        run.HandedOff,
        run.Answered,
        run.Aborted,
        run.MessageReceived,
        run.ToolReturned,
        run.ToolFailed,
        run.ModelResponded,
    )
    theme = "context"
    title = "A hand-off is answered"
    description = (
        "Fails where a run ends after a hand-off with not a word from anyone between. Any message, result or response"
        " counts as an answer, since sources seldom say whose it is."
    )
    memory = _HandedOff


class _Unread:
    """Results that no request to the model has referred to yet."""

    def __init__(self) -> None:
        self._unread: dict[int, str] = {}
        self._refers = False

    def step(self, ctx: Context) -> Verdict:
        match ctx.data:
            case run.ToolReturned(tool_name=tool):
                self._unread[ctx.version] = tool or "a tool"
            case run.ModelCalled(messages=messages):
                for message in messages:
                    version = message.get("version") if isinstance(message, dict) else None
                    if isinstance(version, int):
                        self._refers = True
                        self._unread.pop(version, None)
            case run.ContextCompacted():
                self._unread.clear()
            case run.Answered() if self._unread and self._refers:
                at, tool = next(iter(self._unread.items()))
                return Fails(
                    f"answers without having been sent the result of {tool} at {at}", (*self._unread, ctx.version)
                )
            case run.Answered() if self._unread:
                return Holds("what was sent to the model is not recorded here")
        return HOLDS


@invariant
class ResultsAreRead(Rule):
    """Fails where an answer comes without a result the agent asked for."""

    name = "results-are-read"
    looks_at = (
        run.ToolReturned,
        run.ModelCalled,
        run.ContextCompacted,
        run.Answered,
    )
    theme = "context"
    title = "Results reach the model before it answers"
    description = (
        "Fails at an answer while a tool's result was in no request to the model. Holds where requests do not"
        " refer to the"
        " events they carry."
    )
    memory = _Unread


class _Instructions:
    def __init__(self) -> None:
        self._given: dict[tuple[str, bytes], int] = {}

    def step(self, ctx: Context) -> Verdict:
        match ctx.data:
            case run.HandedOff(to_agent=to, instruction=str(instruction)) if len(instruction) >= _SHORTEST_INSTRUCTION:
                key = (to or "", base.digest(base.folded(instruction)))
                before = self._given.setdefault(key, ctx.version)
                if before != ctx.version:
                    return Fails(
                        f"gives {to or 'another agent'} the same instruction as at {before}", (before, ctx.version)
                    )
        return HOLDS


@invariant
class NoRepeatedHandOff(Rule):
    """Fails where the same work is handed off again."""

    name = "no-repeated-hand-off"
    looks_at = (run.HandedOff,)
    theme = "context"
    title = "Work is not handed off twice with the same words"
    description = "Fails where an agent is given an instruction that it was given before, word for word."
    memory = _Instructions

"""Rules on agents that talk among themselves: what they build on, and whether the code they write runs.

Such sources record no calls. Code stands in a response, and an environment answers with what running it came to.
"""

from __future__ import annotations

from typing import Final

from journal.domain import agent_run as run
from journal.domain.invariant import HOLDS, Context, Fails, Verdict, invariant
from journal.domain.text import clip
from journal.invariants import base
from journal.invariants.base import Rule

_LONG: Final = 600
_CODE: Final = "```"


class _Looked:
    """Whether anything has been looked at yet, and the response that was built on."""

    def __init__(self) -> None:
        self._looked = False
        self._before: int | None = None

    def step(self, ctx: Context) -> Verdict:
        match ctx.data:
            case run.ToolReturned() | run.ToolFailed() | run.Reasoned() | run.HandedOff() | run.MemoryWritten():
                self._looked = True
            case run.MessageReceived():
                self._before = None
            case run.ModelResponded() if not self._looked:
                before, self._before = self._before, ctx.version
                said = base.said(ctx.data)
                if before is not None and len(said) >= _LONG and not _is_data(said):
                    return Fails(
                        f"goes on for {len(said):,} characters from the response at {before} alone: nothing has"
                        f" been looked"
                        " at yet",
                        (before, ctx.version),
                    )
        return HOLDS


def _is_data(said: str) -> bool:
    """Return whether a response is for a program: code to run, or an object at its end, as a planner's notes are."""
    return _CODE in said or said.rstrip().endswith("}")


@invariant
class LooksBeforeTelling(Rule):
    """Fails where agents build on each other's words before anything was looked at."""

    name = "looks-before-telling"
    looks_at = (
        run.ModelResponded,
        run.MessageReceived,
        run.Reasoned,
        run.ToolReturned,
        run.ToolFailed,
        run.HandedOff,
        run.MemoryWritten,
    )
    theme = "sources"
    title = "Something is looked at before it is told at length"
    description = (
        "Fails at a response of 600 characters or more, with neither code nor an object at its end, that follows"
        " another response directly while no"
        " tool has been called and no result has come: it rests on nothing but that response."
    )
    memory = _Looked


class _Code:
    def __init__(self) -> None:
        self._written: int | None = None

    def step(self, ctx: Context) -> Verdict:
        match ctx.data:
            case run.ModelResponded():
                self._written = ctx.version if _CODE in base.said(ctx.data) else None
            case run.ToolFailed() if ctx.call is None and self._written is not None:
                error = clip(ctx.data.message or ctx.data.error_code or "no message recorded", 100)
                return Fails(f"the code written at {self._written} does not run: {error}", (self._written, ctx.version))
        return HOLDS


@invariant
class CodeRuns(Rule):
    """Fails where the code in a response ends in an error."""

    name = "code-runs"
    looks_at = (
        run.ModelResponded,
        run.ToolFailed,
    )
    theme = "results"
    title = "The code an agent writes runs"
    description = (
        "Fails where running the code of the response just before ended in an error. Calls of tools are not judged: for"
        " those, failing and trying otherwise is ordinary."
    )
    memory = _Code

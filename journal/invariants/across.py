"""Rules that compare runs: their memory reaches over the journal, in the order of positions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from journal.domain import agent_run as run
from journal.domain.invariant import HOLDS, Context, Fails, Verdict, invariant
from journal.invariants.base import Rule

_TIMES: Final = 20
_FEWEST: Final = 2
_MOST_KEPT: Final = 20_000
_DEEPEST: Final = 4


class _Ranges:
    """The range of each number that a call has returned so far. A number out of its range does not widen it."""

    def __init__(self) -> None:
        self._ranges: dict[tuple[str, str, str], tuple[float, float, int]] = {}

    def step(self, ctx: Context) -> Verdict:
        if not isinstance(ctx.data, run.ToolReturned) or ctx.call is None:
            return HOLDS
        strange = [
            said for place, number in _numbers(ctx.result) if (said := self._take((*ctx.call.key, place), number))
        ]
        return Fails(f"{ctx.call.tool} returned {strange[0]}", (ctx.call.version, ctx.version)) if strange else HOLDS

    def _take(self, key: tuple[str, str, str], number: float) -> str | None:
        low, high, count = self._ranges.get(key, (number, number, 0))
        if count >= _FEWEST and not low / _TIMES < number < high * _TIMES:
            return f"{key[2] or 'a value'} {number:g}; the same call had returned {low:g} to {high:g} so far"
        if count or len(self._ranges) < _MOST_KEPT:
            self._ranges[key] = (min(low, number), max(high, number), count + 1)
        return None


def _numbers(value: Any, place: str = "", depth: int = 0) -> Iterator[tuple[str, float]]:
    """Yield the positive fractions of a result: whole numbers are counts and names as often as they are measures."""
    if isinstance(value, float) and value > 0:
        yield place, value
    elif isinstance(value, dict) and depth < _DEEPEST:
        for name, inner in value.items():
            yield from _numbers(inner, f"{place}/{name}", depth + 1)


@invariant
class SteadyResults(Rule):
    """Fails where a tool returns a number of another size than it used to."""

    name = "steady-results"
    theme = "results"
    title = "A tool's numbers keep their size"
    description = (
        "Fails where a call returns a number twenty times smaller or larger than every number the same call returned at"
        " that place before, in any run; at least two are needed to compare with. Over the journal it finds the"
        " moment a"
        " tool went bad. Whole numbers are not judged."
    )
    remembers = "journal"
    memory = _Ranges

"""The query line of the live page: the terms of the run list's language that an event can answer by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from explorer.query_language import Problem, Query, Term, Value, parse

KEYS: Final = ("agent", "tool", "failed")
_OTHERS: Final = (
    "Here events are looked at one by one, as they come: agent:, tool: and failed. The run list knows the rest."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What is asked about one event."""

    agent: str
    tool: str
    is_failure: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Narrowing:
    """Which events are shown. One with a problem shows none."""

    query: Query
    problem: Problem | None = None

    @property
    def asks_agent(self) -> bool:
        """Whether anything depends on whose run it is."""
        return any(term.key == "agent" for term in self.query.terms)

    def lets(self, facts: Facts) -> bool:
        """Tell whether an event is shown."""
        return self.problem is None and all(_holds(term, facts) != term.is_negated for term in self.query.terms)


def narrowed(text: str) -> Narrowing:
    """Read a query line; never raises."""
    query = parse(text)
    foreign = next((term for term in query.terms if term.key not in KEYS), None)
    problem = query.problems[0] if query.problems else None
    if problem is None and foreign is not None:
        problem = Problem(message=_OTHERS, word=text[foreign.start : foreign.end], start=foreign.start, end=foreign.end)
    return Narrowing(query=query, problem=problem)


def _holds(term: Term, facts: Facts) -> bool:
    if term.key == "failed":
        return facts.is_failure
    said = (facts.agent if term.key == "agent" else facts.tool).casefold()
    return any(_is_like(value, said) for value in term.values)


def _is_like(value: Value, said: str) -> bool:
    """Compare without regard to case; a star at either end stands for anything."""
    wanted = value.text.casefold()
    starts = not value.is_quoted and wanted.startswith("*")
    ends = not value.is_quoted and wanted.endswith("*") and len(wanted) > starts
    bare = wanted[starts : len(wanted) - ends]
    if starts and ends:
        return bare in said
    if starts:
        return said.endswith(bare)
    return said.startswith(bare) if ends else said == bare

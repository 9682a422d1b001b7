"""Which events of a run bear on a rule, so that the others need not be read.

A rule says so itself (`Invariant.looks_at`, `Invariant.looks_into`), or its expression does. What is left out here is
never missed: a rule's verdict on an event that it is not told follows from the declaration alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from journal.domain.catalog import catalog

REASONED: Final = "agent_run.reasoned"
RESULTS: Final = frozenset(("agent_run.tool_returned", "agent_run.tool_failed"))
OF_CALLS: Final = RESULTS | {REASONED}
"""The events from which one knows which call a result answers."""


class Types(msgspec.Struct, frozen=True):
    """Some event types, or all others: an event may be of a type that this code has never heard of."""

    names: frozenset[str]
    are_left_out: bool = False

    def __contains__(self, kind: str) -> bool:
        """Return whether events of a type are among them."""
        return (kind in self.names) is not self.are_left_out

    def __or__(self, other: Types) -> Types:
        """Return what is in either."""
        match self.are_left_out, other.are_left_out:
            case False, False:
                return Types(self.names | other.names)
            case True, True:
                return Types(self.names & other.names, are_left_out=True)
            case True, False:
                return Types(self.names - other.names, are_left_out=True)
            case _:
                return Types(other.names - self.names, are_left_out=True)


class Sieve(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule has to be told of a run. Its first event is told in any case.

    `judged` are the events that it is asked about; it `folds` some into the `parts` of the state it looks into, and
    `needs_calls` where it asks which call an event makes or answers. On any other event it would
    say that it holds; or the `same` as on the event before.
    """

    judged: Types
    between: Literal["holds", "same"]
    folds: frozenset[str] = frozenset()
    parts: frozenset[str] = frozenset()
    needs_calls: bool = False

    @property
    def read(self) -> Types:
        """The events that have to be read."""
        return self.judged | Types(self.folds | (OF_CALLS if self.needs_calls else frozenset()))


def of_events(structs: Iterable[type[msgspec.Struct]]) -> Sieve:
    """Return the sieve of a rule that looks at events of these types alone."""
    names = frozenset(map(catalog.name_of, structs))
    return Sieve(judged=Types(names), between="holds", needs_calls=bool(names & RESULTS))


def of_state(parts: frozenset[str], types: frozenset[str]) -> Sieve:
    """Return the sieve of a rule on nothing but parts of the state that events of these types alone change."""
    return Sieve(judged=Types(types), between="same", folds=types, parts=parts)

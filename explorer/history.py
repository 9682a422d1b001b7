"""The history of one value of a state: every version at which it changed, newest first, a page at a time.

Nothing is indexed for this. A value names the event that set it, so a page begins right there, however far back, and
folds a bounded stretch of events before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from explorer.tree import kept
from journal.domain.aggregate import State
from journal.domain.look import Look, child, is_list, tokens

STRETCH: Final = 400
"""Events that one page folds: a few milliseconds."""

SHOWN: Final = 20

States = Callable[[int, int], Iterator[State]]
"""Gives the state after each version from one to another, both inclusive; each is changed into the next."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Changed:
    """A version at which the value changed; `MISSING` on the side where it was not there."""

    version: int
    before: Any
    after: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """The newest changes in the versions ``(after, until]``; the page of those before ends at `earlier`, 0 for none."""

    changes: tuple[Changed, ...]
    after: int
    until: int
    earlier: int


def history(pointer: str, here: Look, states: States, *, until: int) -> History:
    """Return the changes of the value at `pointer` up to `until`, whose state is `here`."""
    set_at = _set_at(pointer, here)
    top = set_at if set_at is not None and set_at < until else until
    bottom = max(0, top - STRETCH)
    changes, since = _changes(pointer, states(bottom, top))
    shown = tuple(reversed(changes))[:SHOWN]
    if len(changes) > SHOWN:
        return History(changes=shown, after=shown[-1].version - 1, until=until, earlier=shown[-1].version - 1)
    return History(changes=shown, after=bottom, until=until, earlier=min(since or bottom, bottom))


def _changes(pointer: str, states: Iterator[State]) -> tuple[list[Changed], int | None]:
    """Return the changes, oldest first, and since when there was what stood there at the beginning."""
    look = Look(next(states))
    since = _set_at(pointer, look)
    value = kept(look.at(pointer).value)
    wanted, changes = tokens(pointer), []
    for state in states:
        now = kept(_value(state, wanted))
        if now != value or type(now) is not type(value):
            changes.append(Changed(version=state.version, before=value, after=now))
            value = now
    return changes, since


def _value(state: State, wanted: list[str]) -> Any:
    value: Any = Look(state).parts
    for token in wanted:
        value = child(value, token)
    return value


def _set_at(pointer: str, look: Look) -> int | None:
    """Return the version since which a value has been as it is; None where that is not known.

    What stands at a place of a list may have come there because others left, which no event of its own tells.
    """
    value: Any = look.parts
    for token in tokens(pointer):
        if is_list(value):
            return None
        value = child(value, token)
    return None if is_list(value) else look.at(pointer).version

"""The Diff tab: what changed between two states of a run, and which event changed it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from explorer import timelines
from explorer.models import RunSummary
from explorer.queries.run_address import Address
from explorer.queries.run_state import Pinned, pinned
from explorer.tree import leaves, path_of, value_text
from journal.domain.aggregate import State
from journal.domain.diff import MISSING, Change, diff
from journal.domain.look import Look

_PAGE: Final = 40
_SIDE: Final = 160


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """A value before or after; `is_there` is False where nothing stands there, `more` says what is left out of it."""

    text: str = ""
    more: str = ""
    is_there: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class DiffRow:
    """One change: `mark` is `added`, `removed` or `changed`. `href` leads to the value in whole, and its history."""

    mark: str
    path: str
    before: Side
    after: Side
    version: int | None
    href: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Against:
    """A state to compare with: its name, its version, where the comparison is."""

    name: str
    version: int
    href: str
    is_on: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class DiffPanel:
    """What changed between two versions. `next` is where more of the changes are, if there are more."""

    older: int
    newer: int
    rows: tuple[DiffRow, ...]
    first: int
    total: int
    next: str
    counts: dict[str, int]
    same: int
    choices: tuple[Against, ...]
    against: int
    pinned: tuple[Pinned, ...]

    @property
    def last(self) -> int:
        """Return the place of the last change that is shown."""
        return self.first + len(self.rows) - 1


def diff_panel(run: RunSummary, address: Address, version: int, moment: timelines.Moment, here: State) -> DiffPanel:
    """Compare the state at the cursor, which is `here`, with the one that the address names."""
    named = _named(run, address, version)
    name, other = _chosen(run, address, named, version)
    there = moment.before if other == version - 1 else timelines.state_at(run.project, run.stream, other)
    older, newer = (there, here) if other <= version else (here, there)
    changes = diff(older, newer)
    marks = [_mark(change) for change in changes]
    start = address.start if address.start < len(changes) else 0
    end = start + _PAGE
    return DiffPanel(
        older=min(other, version),
        newer=max(other, version),
        rows=tuple(_row(change, address, max(other, version)) for change in changes[start:end]),
        first=start + 1,
        total=len(changes),
        next=address.starting(end, version) if end < len(changes) else "",
        counts={name: marks.count(name) for name in ("changed", "added", "removed")},
        same=max(0, leaves(newer) - sum(mark != "removed" for mark in marks)),
        choices=_choices(address, version, named, name, other),
        against=other,
        pinned=pinned(Look(here), address, version),
    )


def _named(run: RunSummary, address: Address, version: int) -> dict[str, int]:
    mark = {} if address.mark is None else {"mark": min(max(0, address.mark), run.events)}
    return {"previous": version - 1, **mark, "first": 1, "final": run.events}


def _chosen(run: RunSummary, address: Address, named: dict[str, int], version: int) -> tuple[str, int]:
    """Return which state is compared with: the one that is asked for, else the mark, else the one before."""
    if address.against in named:
        return address.against, named[address.against]
    if address.against.isdecimal():
        return "event", min(int(address.against), run.events)
    usual = "mark" if "mark" in named and not address.against else "previous"
    return usual, named[usual]


def _choices(address: Address, version: int, named: dict[str, int], chosen: str, other: int) -> tuple[Against, ...]:
    ways = [*named.items(), *([("event", other)] if chosen == "event" else [])]
    return tuple(
        Against(
            name=name,
            version=at,
            href=address.with_against(str(at) if name == "event" else name, version),
            is_on=name == chosen,
        )
        for name, at in ways
    )


def _mark(change: Change) -> str:
    if change.before is MISSING or change.before is None:
        return "added"
    return "removed" if change.after is MISSING or change.after is None else "changed"


def _row(change: Change, address: Address, newer: int) -> DiffRow:
    return DiffRow(
        mark=_mark(change),
        path=path_of(change.path),
        before=_side(change.before),
        after=_side(change.after),
        version=change.version,
        href=address.with_key(change.path, newer),
    )


def _side(value: Any) -> Side:
    if value is MISSING or value is None:
        return Side(is_there=False)
    text, more = value_text(value, _SIDE)
    return Side(text=text, more=more)

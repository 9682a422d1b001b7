"""The State tab: what was known after an event, which event set each value, and how one value came to be what it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from explorer import timelines
from explorer.history import history
from explorer.models import RunSummary
from explorer.queries.run_address import Address
from explorer.tree import Matches, Node, leaves, matching, node_at, path_of, tree, value_text
from journal.domain.aggregate import State
from journal.domain.look import MISSING, Look, builtin
from journal.domain.text import in_bytes

_SIDE: Final = 160
_WHOLE: Final = 64_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Pinned:
    """A pinned value; `is_fresh` where the event at the cursor set it."""

    node: Node
    is_fresh: bool
    unpin: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """One change in a value's history. A side is empty where the value was not there."""

    version: int
    before: str
    after: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """One value in whole, as far as a page bears, with its history: a page of it, from `after` on, up to `until`."""

    path: str
    pointer: str
    text: str
    note: str
    version: int | None
    turns: tuple[Turn, ...]
    after: int
    until: int
    earlier: str
    is_pinned: bool
    pin: str
    close: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StatePanel:
    """The state after the event. `matches` is there where something is looked for, `value` where one is looked into."""

    nodes: tuple[Node, ...]
    values: int
    pinned: tuple[Pinned, ...]
    matches: Matches | None
    value: Value | None


def state_panel(run: RunSummary, address: Address, state: State) -> StatePanel:
    """Return a state as a tree, with what is pinned, what is looked for and what is looked into."""
    look = Look(state)
    return StatePanel(
        nodes=() if address.filter else tree(look),
        values=leaves(state),
        pinned=pinned(look, address, state.version),
        matches=matching(look, address.filter) if address.filter else None,
        value=_value(run, address, look, state.version) if address.key else None,
    )


def pinned(look: Look, address: Address, version: int) -> tuple[Pinned, ...]:
    """Return the pinned values in the order in which they were pinned."""
    found = []
    for pointer in address.pins:
        node = node_at(look, pointer)
        others = [other for other in address.pins if other != pointer]
        unpin = address.with_pins(others, version)
        found.append(Pinned(node=node, is_fresh=node.version == version, unpin=unpin))
    return tuple(found)


def _value(run: RunSummary, address: Address, look: Look, version: int) -> Value:
    pointer = address.key
    until = min(address.start, version) if address.start else version
    here = look if until == version else Look(timelines.state_at(run.project, run.stream, until))
    found = history(
        pointer, here, lambda first, last: timelines.states(run.project, run.stream, first, last), until=until
    )
    at = look.at(pointer)
    text, note = _whole(at.value)
    return Value(
        path=path_of(pointer),
        pointer=pointer,
        text=text,
        note=note,
        version=at.version,
        turns=tuple(
            Turn(version=turn.version, before=side(turn.before), after=side(turn.after)) for turn in found.changes
        ),
        after=found.after,
        until=found.until,
        earlier=address.starting(found.earlier, version) if found.earlier else "",
        is_pinned=pointer in address.pins,
        pin=address.with_pins((*address.pins, pointer), version),
        close=replace(address, key="").at(version),
    )


def side(value: Any) -> str:
    """Return one side of a change on a line; empty where nothing is there."""
    return "" if value is MISSING or value is None else value_text(value, _SIDE)[0]


def _whole(value: Any) -> tuple[str, str]:
    if value is MISSING:
        return "", ""
    if isinstance(value, str):
        text = value
    else:
        text = msgspec.json.format(msgspec.json.encode(builtin(value)), indent=2).decode()
    if len(text) <= _WHOLE:
        return text, ""
    return text[:_WHOLE], f"{_WHOLE:,} of {len(text):,} characters, {in_bytes(len(text.encode(errors='replace')))}"

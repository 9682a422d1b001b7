"""What the inspector's tabs show of one event, apart from its explanation and its causes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from explorer import timelines
from explorer.models import EventLine, RunSummary
from explorer.queries.run_address import Address
from explorer.tree import Node, leaves, tree, value_text
from journal.domain.aggregate import State
from journal.domain.diff import MISSING, Change, diff
from journal.domain.event import RecordedEvent
from journal.domain.text import in_bytes

_PAYLOAD_BYTES: Final = 64_000
_CHANGES: Final = 40
_SIDE: Final = 120


@dataclass(frozen=True, kw_only=True, slots=True)
class StatePanel:
    """The state after the event."""

    nodes: tuple[Node, ...]
    values: int


@dataclass(frozen=True, kw_only=True, slots=True)
class DiffRow:
    """One change: `mark` is `added`, `removed` or `changed`; a missing side is empty and said to be absent."""

    mark: str
    path: str
    before: str
    after: str
    version: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Against:
    """A state to compare with: its name, its version, where the comparison is."""

    name: str
    version: int
    href: str
    is_on: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class DiffPanel:
    """What changed between two versions; `more` are the changes beyond those shown."""

    older: int
    newer: int
    rows: tuple[DiffRow, ...]
    more: int
    counts: dict[str, int]
    same: int
    choices: tuple[Against, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Bytes:
    """Stored JSON for reading: indented where it is small, its beginning as stored where it is not."""

    name: str
    text: str
    size: str
    note: str
    href: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PayloadPanel:
    """The event as the journal holds it."""

    parts: tuple[Bytes, ...]
    type: str
    schema: int
    id: str
    wire: str


def state_panel(after: State) -> StatePanel:
    """Return a state as a tree."""
    blame = after.blame()
    return StatePanel(nodes=tree(after.to_json(), blame), values=leaves(blame))


def diff_panel(run: RunSummary, address: Address, line: EventLine, moment: timelines.Moment) -> DiffPanel:
    """Compare the state at the cursor with the one that the address names."""
    version = line.version
    named = {"previous": version - 1, "first": 1, "final": run.events}
    other = named.get(address.against)
    if other is None:
        other = min(max(0, int(address.against)), run.events) if address.against.isdecimal() else version - 1
    here = after(moment)
    there = moment.before if other == version - 1 else timelines.state_at(run.project, run.stream, other)
    older, newer = (there, here) if other <= version else (here, there)
    changes = diff(older, newer)
    rows = tuple(_diff_row(change) for change in changes[:_CHANGES])
    marks = [_mark(change) for change in changes]
    return DiffPanel(
        older=min(other, version),
        newer=max(other, version),
        rows=rows,
        more=len(changes) - len(rows),
        counts={name: marks.count(name) for name in ("changed", "added", "removed")},
        same=max(0, len(newer.blame()) - sum(mark != "removed" for mark in marks)),
        choices=_choices(address, version, named, other),
    )


def _choices(address: Address, version: int, named: dict[str, int], other: int) -> tuple[Against, ...]:
    choices = [
        Against(name=name, version=at, href=address.with_against(name, version), is_on=address.against == name)
        for name, at in named.items()
    ]
    if not any(choice.is_on for choice in choices):
        choices.append(Against(name="event", version=other, href=address.with_against(str(other), version), is_on=True))
    return tuple(choices)


def after(moment: timelines.Moment) -> State:
    """Return the state after the cursor's event; the one before it stays as it is."""
    state = moment.before.fork()
    state.apply(moment.event)
    return state


def _mark(change: Change) -> str:
    if change.before is MISSING or change.before is None:
        return "added"
    return "removed" if change.after is MISSING or change.after is None else "changed"


def _diff_row(change: Change) -> DiffRow:
    return DiffRow(
        mark=_mark(change),
        path=_path(change.path),
        before=_side(change.before),
        after=_side(change.after),
        version=change.version,
    )


def _side(value: Any) -> str:
    return "" if value is MISSING or value is None else value_text(value, _SIDE)[0]


def _path(pointer: str) -> str:
    """Return a JSON Pointer as people write a path: `totals.decisions`, `open_calls[0]`, `known["a b"].version`."""
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    path = ""
    for part in parts:
        if part.isdecimal():
            path += f"[{part}]"
        elif part.isidentifier():
            path += f".{part}" if path else part
        else:
            path += f"[{json.dumps(part, ensure_ascii=False)}]"
    return path


def payload_panel(event: RecordedEvent, address: Address) -> PayloadPanel:
    """Return an event's stored bytes for reading, each at most as long as a page bears."""
    return PayloadPanel(
        parts=tuple(
            _bytes(name, raw, address.event(event.version, download=name))
            for name, raw in (("data", event.data), ("metadata", event.metadata))
        ),
        type=event.type,
        schema=event.schema,
        id=event.id,
        wire=address.event(event.version),
    )


def _bytes(name: str, raw: bytes, href: str) -> Bytes:
    if len(raw) <= _PAYLOAD_BYTES:
        return Bytes(name=name, text=_indented(raw), size=in_bytes(len(raw)), note="", href=href)
    head = raw[:_PAYLOAD_BYTES].decode(errors="ignore")
    note = f"showing {_PAYLOAD_BYTES // 1000} kB of {in_bytes(len(raw))}, as stored"
    return Bytes(name=name, text=head, size=in_bytes(len(raw)), note=note, href=href)


def _indented(raw: bytes) -> str:
    """Indent without decoding numbers, so that what is shown is what is stored."""
    try:
        return msgspec.json.format(raw, indent=2).decode()
    except (msgspec.DecodeError, RecursionError):
        return raw.decode(errors="replace")

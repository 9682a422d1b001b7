"""Changes between two states as rows of a table: how both sides read, and what the event that set them is called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from explorer.tree import path_of, value_text
from journal.domain.diff import MISSING, Change

SHOWN: Final = 40
_SIDE: Final = 160
_NUMBERS: Final = frozenset({"version", "call_version"})

Mark = Literal["added", "removed", "changed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangeRow:
    """One change. A side is empty where nothing stands there; `more` says how much of the longer one is shown."""

    mark: Mark
    path: str
    before: str
    after: str
    more: str
    label: str
    version: int | None


def change_rows(changes: Sequence[Change], label: Callable[[int], str] = str) -> tuple[ChangeRow, ...]:
    """Return the first changes as rows. `label` is what an event's number is called."""
    return tuple(_row(change, label) for change in changes[:SHOWN])


def counted(changes: Sequence[Change]) -> dict[Mark, int]:
    """Return how many changes there are of each mark."""
    marks = [_mark(change) for change in changes]
    return {mark: marks.count(mark) for mark in ("added", "removed", "changed")}


def _row(change: Change, label: Callable[[int], str]) -> ChangeRow:
    before, more_before = _side(change.before, label)
    after, more_after = _side(change.after, label)
    version = change.version
    return ChangeRow(
        mark=_mark(change),
        path=path_of(change.path),
        before=before,
        after=after,
        more=more_after or more_before,
        label=label(version) if version is not None else "",
        version=version if version is not None and version > 0 else None,
    )


def _mark(change: Change) -> Mark:
    if change.before is MISSING or change.before is None:
        return "added"
    return "removed" if change.after is MISSING or change.after is None else "changed"


def _side(value: Any, label: Callable[[int], str]) -> tuple[str, str]:
    return ("", "") if value is MISSING or value is None else value_text(_labelled(value, label), _SIDE)


def _labelled(value: Any, label: Callable[[int], str]) -> Any:
    """Return a value with the names of events that were put in, whose numbers are below 0."""
    if isinstance(value, dict):
        return {
            name: label(inner) if name in _NUMBERS and isinstance(inner, int) and inner < 0 else _labelled(inner, label)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_labelled(inner, label) for inner in value]
    return value

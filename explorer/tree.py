"""A state as a tree a person can open: small whatever the state's size, every value with the event that set it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from journal.domain.aggregate import escaped

_SHOWN: Final = 20
_SHOWN_DEEP: Final = 10
_LINE: Final = 300
_DEEPEST: Final = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """One line of the tree. A branch has `children` and `summary`; a leaf has `text`, cut and labelled where long.

    `hidden` is how many of a long list's first entries are left out.
    """

    name: str
    text: str = ""
    note: str = ""
    kind: str = "value"
    version: int | None = None
    children: tuple[Node, ...] = ()
    summary: str = ""
    hidden: int = 0
    is_open: bool = False


def tree(state: Mapping[str, Any], blame: Mapping[str, int]) -> tuple[Node, ...]:
    """Return the state's parts in their order; of long lists and maps the newest entries."""
    return tuple(
        _node(name, value, "/" + escaped(name), blame, depth=0)
        for name, value in state.items()
        if name not in ("stream", "version")
    )


def leaves(blame: Mapping[str, int]) -> int:
    """Return how many values of the state came from an event."""
    return len(blame)


def _node(name: str, value: Any, pointer: str, blame: Mapping[str, int], *, depth: int) -> Node:
    if not isinstance(value, dict | list) or not value:
        return _leaf(name, value, blame.get(pointer))
    entries = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    record = _record_version(value, entries, pointer, blame)
    if record is not None or depth >= _DEEPEST:
        return _leaf(name, value, record)
    hidden = max(0, len(entries) - (_SHOWN if name == "context" else _SHOWN_DEEP))
    children = tuple(
        _node(str(key), inner, f"{pointer}/{escaped(str(key))}", blame, depth=depth + 1)
        for key, inner in entries[hidden:]
    )
    return Node(
        name=name,
        children=children,
        kind="branch",
        summary=_summary(value, len(entries)),
        hidden=hidden,
        is_open=depth == 0 and (isinstance(value, dict) or name in ("context", "open_calls")),
    )


def _record_version(value: Any, entries: list[tuple[Any, Any]], pointer: str, blame: Mapping[str, int]) -> int | None:
    """Return the one version that set a flat object, None where its parts have histories of their own."""
    if not isinstance(value, dict) or any(isinstance(inner, dict | list) and inner for _, inner in entries):
        return None
    if "version" not in value:
        return None
    versions = {blame.get(f"{pointer}/{escaped(str(key))}") for key, _ in entries}
    return versions.pop() if len(versions) == 1 else None


def _leaf(name: str, value: Any, version: int | None) -> Node:
    text, note = value_text(value)
    return Node(name=name, text=text, note=note, kind=_kind(value), version=version)


def value_text(value: Any, most: int = _LINE) -> tuple[str, str]:
    """Return a value as JSON on one line, cut to `most` characters, and what was cut in words."""
    if value is None:
        return "not recorded", ""
    text = msgspec.json.encode(value).decode()
    if len(text) <= most:
        return text, ""
    return f"{text[:most]}…", f"{most:,} of {len(text):,} characters"


def _kind(value: Any) -> str:
    match value:
        case None:
            return "absent"
        case str():
            return "text"
        case bool() | int() | float():
            return "number"
        case _:
            return "value"


def _summary(value: Any, count: int) -> str:
    noun = "entry" if count == 1 else "entries"
    if isinstance(value, list):
        noun = "item" if count == 1 else "items"
    return f"{count:,} {noun}"

"""A state as a tree a person can open: small whatever the state's size, every value with the event that set it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from journal.domain.aggregate import State, escaped
from journal.domain.look import MISSING, Look, builtin, child, children, holds, is_list, tokens
from journal.domain.text import amount

_SHOWN: Final = 20
_SHOWN_DEEP: Final = 10
_LINE: Final = 300
_DEEPEST: Final = 6
_MATCHES: Final = 60
_NOT_OF_EVENTS: Final = ("stream", "version")


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """One line of the tree. A branch has `children` and `summary`; a leaf has `text`, cut and labelled where long.

    `pointer` is its JSON Pointer, `hidden` how many of a long list's first entries are left out.
    """

    name: str
    pointer: str = ""
    text: str = ""
    note: str = ""
    kind: str = "value"
    version: int | None = None
    children: tuple[Node, ...] = ()
    summary: str = ""
    hidden: int = 0
    is_open: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Matches:
    """The values that a filter found, and how many more there are."""

    nodes: tuple[Node, ...]
    more: int


def tree(look: Look) -> tuple[Node, ...]:
    """Return the state's parts in their order; of long lists and maps the newest entries."""
    return tuple(
        _node(look, name, value, "/" + escaped(name), None, depth=0)
        for name, value in look.parts.items()
        if name not in _NOT_OF_EVENTS
    )


def leaves(state: State) -> int:
    """Return how many values of a state came from an event, without looking at each."""
    look = Look(state)
    return sum(
        _count(look, value, "/" + escaped(name), None)
        for name, value in look.parts.items()
        if name not in _NOT_OF_EVENTS
    )


def node_at(look: Look, pointer: str) -> Node:
    """Return what stands at a pointer as one line, whatever is in it; its name is the whole path."""
    found = look.at(pointer)
    name = path_of(pointer)
    if found.value is MISSING:
        return Node(name=name, pointer=pointer, text="absent", kind="absent")
    if _is_large(found.value):
        return Node(name=name, pointer=pointer, text=_summary(found.value), kind="value", version=found.version)
    return _leaf(name, pointer, found.value, found.version)


def matching(look: Look, wanted: str) -> Matches:
    """Return the values whose path or text contains `wanted`, whatever its case, each with its whole path."""
    nodes: list[Node] = []
    more = 0
    for name, value in look.parts.items():
        if name in _NOT_OF_EVENTS:
            continue
        for path, pointer, found, version in _matching(look, value, _Place.of(name), wanted.casefold()):
            if len(nodes) < _MATCHES:
                nodes.append(_leaf(path, pointer, found, version))
            else:
                more += 1
    return Matches(nodes=tuple(nodes), more=more)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """Where a value stands: its pointer, its path as people write it, and the version of what is around it."""

    pointer: str
    path: str
    around: int | None = None
    depth: int = 0

    @classmethod
    def of(cls, name: str) -> _Place:
        pointer = "/" + escaped(name)
        return cls(pointer=pointer, path=path_of(pointer))


_Match = tuple[str, str, Any, int | None]


def _matching(look: Look, value: Any, place: _Place, wanted: str) -> Iterator[_Match]:
    """Yield path, pointer, value and version. A state may hold very many records: what does not match costs little."""
    version = look.version(value, place.pointer, place.around)
    if not holds(value) or place.depth >= _DEEPEST or _is_record(value):
        if wanted in place.path.casefold() or wanted in _text(value):
            yield place.path, place.pointer, value, version
        return
    is_numbered = is_list(value)
    for token, inner in children(value):
        path = f"{place.path}[{token}]" if is_numbered else f"{place.path}{_step(token, is_first=False)}"
        pointer = f"{place.pointer}/{escaped(token)}"
        if _is_record(inner):
            if wanted in _text(inner) or wanted in path.casefold():
                yield path, pointer, inner, look.version(inner, pointer, version)
        else:
            inside = _Place(pointer=pointer, path=path, around=version, depth=place.depth + 1)
            yield from _matching(look, inner, inside, wanted)


def _text(value: Any) -> str:
    """Return what a value says, that of an object by its fields, to be searched."""
    if isinstance(value, str):
        return value.casefold()
    if not holds(value):
        return "" if value is None else str(value).casefold()
    if isinstance(value, msgspec.Struct):
        return "\n".join(map(str, msgspec.structs.astuple(value))).casefold()
    return "\n".join([_text(inner) for _, inner in children(value)])


def _node(  # noqa: PLR0913 - a value, and where it stands
    look: Look, name: str, value: Any, pointer: str, around: int | None, *, depth: int
) -> Node:
    version = look.version(value, pointer, around)
    if not holds(value) or _is_record(value) or depth >= _DEEPEST:
        return _leaf(name, pointer, value, version)
    count = _length(value)
    hidden = max(0, count - (_SHOWN if name == "context" else _SHOWN_DEEP))
    return Node(
        name=name,
        pointer=pointer,
        children=tuple(
            _node(look, token, inner, f"{pointer}/{escaped(token)}", version, depth=depth + 1)
            for token, inner in _newest(value, hidden)
        ),
        kind="branch",
        summary=_summary(value),
        hidden=hidden,
        is_open=depth == 0 and (not is_list(value) or name in ("context", "open_calls")),
    )


def _newest(value: Any, hidden: int) -> Iterator[tuple[str, Any]]:
    """Yield the entries behind the first `hidden`, reading no others where the value allows it."""
    if is_list(value):
        yield from ((str(hidden + at), inner) for at, inner in enumerate(value[hidden:]))
        return
    for at, entry in enumerate(children(value)):
        if at >= hidden:
            yield entry


def _is_record(value: Any) -> bool:
    """Tell whether one event set all of an object: it names its version, and nothing in it could name another."""
    if isinstance(value, msgspec.Struct):
        return "version" in value.__struct_fields__ and not any(map(holds, msgspec.structs.astuple(value)))
    if not holds(value) or is_list(value) or not isinstance(child(value, "version"), int):
        return False
    return not any(holds(inner) for _, inner in children(value))


def _is_large(value: Any) -> bool:
    return holds(value) and not _is_record(value) and _length(value) > _SHOWN_DEEP


def _length(value: Any) -> int:
    return len(value.__struct_fields__) if isinstance(value, msgspec.Struct) else len(value)


def _count(look: Look, value: Any, pointer: str, around: int | None) -> int:
    version = look.version(value, pointer, around)
    if not holds(value):
        return version is not None
    if is_list(value) and isinstance(value[0], msgspec.Struct):
        return len(value) * _length(value[0])
    return sum(
        _length(inner) if _is_record(inner) else _count(look, inner, f"{pointer}/{escaped(token)}", version)
        for token, inner in children(value)
    )


def _leaf(name: str, pointer: str, value: Any, version: int | None) -> Node:
    text, note = value_text(value)
    return Node(name=name, pointer=pointer, text=text, note=note, kind=_kind(value), version=version)


def value_text(value: Any, most: int = _LINE) -> tuple[str, str]:
    """Return a value as JSON on one line, cut to `most` characters, and what was cut in words."""
    if value is None:
        return "not recorded", ""
    text = msgspec.json.encode(builtin(value)).decode()
    if len(text) <= most:
        return text, ""
    return f"{text[:most]}…", f"{most:,} of {len(text):,} characters"


def path_of(pointer: str) -> str:
    """Return a JSON Pointer as people write a path: `totals.decisions`, `open_calls[0]`, `known["a b"].version`."""
    path = ""
    for token in tokens(pointer):
        path += _step(token, is_first=not path)
    return path


def _step(token: str, *, is_first: bool) -> str:
    if token.isdecimal():
        return f"[{token}]"
    if token.isidentifier():
        return token if is_first else f".{token}"
    return f"[{json.dumps(token, ensure_ascii=False)}]"


def kept(value: Any) -> Any:
    """Return a value as it is now, for comparing with what it becomes: what is large only by its size, in words."""
    if not holds(value):
        return value
    return _summary(value) if _is_large(value) else builtin(value)


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


def _summary(value: Any) -> str:
    if is_list(value):
        return amount(len(value), "item")
    return amount(_length(value), "entry", "entries")

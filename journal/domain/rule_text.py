"""What can be told of a rule's expression from its text: what it refers to, how deep it loops, where names stand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import msgspec

from journal.domain import agent_run
from journal.domain.catalog import catalog
from journal.domain.event import Metadata, RecordedEvent
from journal.domain.run_state import RunState

VARIABLES: Final = ("state", "previous", "event", "version")
_STRING: Final = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'")
_PATH: Final = re.compile(r"(?<![\w.])(?:state|previous|event)\b(?:\s*\.\s*[A-Za-z_]\w*(?!\w*\s*\())*")
_MACRO: Final = re.compile(r"\.\s*(?:map|filter|all|exists|exists_one)\s*\(\s*(\w+)?")
_THERE: Final = re.compile(r"(?<!\w)has\b|[.\[]\s*\?")
_TO_OBJECT: Final = 2
"""Names that lead to an object of a variable."""

_CALL: Final = {
    "last_decision": ("version", "tool", "call_id", "arguments", "thought"),
    "answer": ("version", "response"),
    "known": ("results", "memory"),
}

Tree = dict[str, Any]
"""Names below a name; an empty one where anything may stand."""


class Path(msgspec.Struct, frozen=True, kw_only=True):
    """A chain of names that begins with a variable, and where each stands in the text."""

    names: tuple[str, ...]
    places: tuple[int, ...]
    is_indexed: bool


def masked(text: str) -> str:
    """Return the text with what is in quotes blanked, so that places stay."""
    return _STRING.sub(lambda found: '"' + " " * (len(found[0]) - 2) + '"', text)


def strings(text: str) -> Iterator[tuple[int, str]]:
    """Yield each quoted text with the place of its quote."""
    return ((found.start(), found[0][1:-1]) for found in _STRING.finditer(text))


def paths(text: str) -> list[Path]:
    """Return the chains of names in the text, in order."""
    bare, found = masked(text), []
    for match in _PATH.finditer(bare):
        names = [(name[0], match.start() + name.start()) for name in re.finditer(r"[A-Za-z_]\w*", match[0])]
        after = bare[match.end() :].lstrip()
        found.append(
            Path(
                names=tuple(name for name, _ in names),
                places=tuple(place for _, place in names),
                is_indexed=after.startswith("["),
            )
        )
    return found


def needs(text: str) -> dict[str, frozenset[str] | None]:
    """Return the fields of each variable that the text names; None where it may be any of them."""
    found: dict[str, frozenset[str] | None] = {}
    for path in paths(text):
        variable, known = path.names[0], found.get(path.names[0], frozenset())
        is_whole = len(path.names) == 1
        found[variable] = None if is_whole or known is None else known | {path.names[1]}
    return found


def fields_of(text: str, variable: str, name: str) -> frozenset[str] | None:
    """Return the fields of a variable's object, such as `event.data`, that the text names; None where it may be any."""
    found = [path.names for path in paths(text) if path.names[0] == variable]
    inner = [names for names in found if names[1:2] == (name,)]
    if any(len(names) == _TO_OBJECT for names in inner) or (variable,) in found:
        return None
    return frozenset(names[_TO_OBJECT] for names in inner)


def names_version(text: str) -> bool:
    """Return whether the text asks for the event's version by its variable."""
    return re.search(r"(?<![\w.])version\b", masked(text)) is not None


def asks_what_is_there(text: str) -> bool:
    """Return whether the text makes a value of whether something is there, by `has` or by an optional."""
    return _THERE.search(masked(text)) is not None


def bound(text: str) -> frozenset[str]:
    """Return the names that `map`, `filter`, `all` and `exists` give their elements."""
    return frozenset(name for name in _MACRO.findall(masked(text)) if name)


def loops(text: str) -> int:
    """Return how deep loops stand in each other."""
    bare = masked(text)
    begins = {match.start() + match[0].index("(") for match in _MACRO.finditer(bare)}
    stack: list[bool] = []
    deepest = 0
    for at, character in enumerate(bare):
        if character == "(":
            stack.append(at in begins)
            deepest = max(deepest, sum(stack))
        elif character == ")" and stack:
            stack.pop()
    return deepest


@cache
def schema() -> Tree:
    """Return the names that may follow each variable: of the state, of an event on the wire, of its data."""
    state: Tree = {name: {} for name in RunState("agent_run-schema").to_json()}
    state["totals"] = {name: {} for name in RunState("agent_run-schema").to_json()["totals"]}
    state |= {name: {leaf: {} for leaf in inner} for name, inner in _CALL.items()}
    data: Tree = {}
    for name in event_types():
        data |= {field.encode_name: {} for field in msgspec.structs.fields(catalog._structs[name][0])}  # noqa: SLF001 - the domain's own
    event: Tree = {field.encode_name: {} for field in msgspec.structs.fields(RecordedEvent)}
    event |= {"data": data, "metadata": {field.encode_name: {} for field in msgspec.structs.fields(Metadata)}}
    return {"state": state, "previous": state, "event": event, "version": {}}


def event_types() -> tuple[str, ...]:
    """Return the types of an agent run's events."""
    return tuple(name for name in catalog.names() if name.startswith(agent_run.CATEGORY + "."))

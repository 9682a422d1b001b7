"""One span as the dialects that fit it read it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from journal.errors import ImportRefused
from journal.ingest.dialects import DIALECTS, Meaning, Role
from journal.ingest.source import decode
from journal.ingest.spans import Span, as_int, unflatten

if TYPE_CHECKING:
    from collections.abc import Iterator

NOT_CAPTURED = frozenset(("<elided>", "<not specified>", "<redacted>", "__redacted__", "[redacted]"))
"""What producers write where content was left out."""

_LONGEST_PLACEHOLDER = 200
_MESSAGE_EVENTS = tuple(f"gen_ai.{role}.message" for role in ("system", "user", "assistant", "tool"))
_EVALUATION = "gen_ai.evaluation.result"
_CONTENT = ("gen_ai.choice", "gen_ai.content.prompt", "gen_ai.content.completion", "tool.output")
_DETAILS = "gen_ai.client.inference.operation.details"
READ = frozenset((*_MESSAGE_EVENTS, *_CONTENT, _DETAILS, _EVALUATION))
"""Span events and log records whose content goes into a run's events."""


def _said() -> frozenset[str]:
    """Return the attributes that end up in an event's own fields."""
    names = {name for known in DIALECTS for names in known.names.values() for name in names}
    single = {part for name in names for part in name.partition(" > ")[0].strip("{}").replace(" + ", " ").split()}
    roles = {attribute for known in DIALECTS for attribute in known.roles}
    return frozenset((single | roles) - {"gen_ai.response.model"})


_SAID = _said()
_SAID_BELOW = ("gen_ai.request.", *(name.removesuffix("*") for name in _SAID if name.endswith(".*")))


class Reading:
    """One span, read by the dialects that fit it."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self.flat = _flat(span)
        self.chain = tuple(known for known in DIALECTS if any(self._has(mark) for mark in known.marks))

    @property
    def dialect(self) -> str:
        """The dialect's name, or an empty text for a span of no dialect."""
        return self.chain[0].name if self.chain else ""

    @cached_property
    def role(self) -> Role:
        """What the span stands for."""
        found = self._role()
        return "other" if found == "tool" and self.is_collection else found

    @property
    def is_collection(self) -> bool:
        """Whether a tool span only gathers the results of other calls."""
        return any(self.text("tool") in known.not_tools for known in self.chain)

    def get(self, meaning: Meaning) -> Any:
        """Return the first recorded value of a meaning, or None where there is none or it was not captured."""
        for name in (name for known in self.chain for name in known.names.get(meaning, ())):
            value = self._value(name)
            if captured(value):
                return value
        return None

    def text(self, meaning: Meaning) -> str | None:
        """Return a meaning that is a name or an id."""
        value = self.get(meaning)
        return str(value) if isinstance(value, str | int) and value != "" else None

    def count(self, meaning: Meaning) -> int | None:
        """Return a meaning that is a count."""
        return as_int(self.get(meaning))

    @property
    def parameters(self) -> dict[str, Any]:
        """The request's parameters: those with a name each, and those in one object."""
        found = decoded(self.get("parameters"))
        known = dict(found) if isinstance(found, dict) else {}
        for start in (start for dialect in self.chain for start in dialect.parameters):
            known |= {key.removeprefix(start): value for key, value in self.flat.items() if key.startswith(start)}
        known.pop("model", None)
        return {key: value for key, value in known.items() if value is not None}

    @cached_property
    def leftover(self) -> dict[str, Any]:
        """The attributes no event says otherwise: provider, response id, and what only the producer understands."""
        kept = self.span.attributes.items()
        return {key: value for key, value in kept if key not in _SAID and not key.startswith(_SAID_BELOW)}

    def _role(self) -> Role:
        for known in self.chain:
            for attribute, roles in known.roles.items():
                value = self.flat.get(attribute)
                if isinstance(value, str) and value in roles:
                    return roles[value]
        shown = any(self._has(name) and captured(self._shown(name)) for known in self.chain for name in known.evidence)
        return "llm" if shown and "gen_ai.operation.name" not in self.flat else "other"

    def _shown(self, name: str) -> Any:
        return decoded(self.flat[name]) if name in self.flat else True

    def _has(self, mark: str) -> bool:
        return any(key.startswith(mark) for key in self.flat) if mark.endswith(".") else mark in self.flat

    def _value(self, name: str) -> Any:
        if name.startswith("{"):
            return {key: self.flat[key] for key in name.strip("{}").split() if key in self.flat}
        if " + " in name:
            counts = [as_int(self.flat.get(part)) for part in name.split(" + ")]
            return sum(count or 0 for count in counts) if counts[0] is not None else None
        if name.endswith(".*"):
            return unflatten(self.flat, name[:-2])
        attribute, _, path = name.partition(" > ")
        value = self.flat.get(attribute)
        return _walk(decoded(value), path) if path else value


def captured(value: object) -> bool:
    """Whether a value is content: not absent, empty, or one of the texts that stand for content left out."""
    if value is None or value == "" or value in ([], {}):
        return False
    if isinstance(value, str):
        if value[:1] in ("{", "[") and len(value) < _LONGEST_PLACEHOLDER:
            inner = decoded(value)
            return isinstance(inner, str) or inner in ([], {}) or captured(inner)
        return value.lower() not in NOT_CAPTURED
    if isinstance(value, dict):
        return not all(isinstance(held, str) and held.lower() in NOT_CAPTURED for held in value.values())
    return any(captured(held) for held in value) if isinstance(value, list) else True


def decoded(value: object) -> Any:
    """Return a structured value: as it is, or decoded where it is a JSON text; other texts stay texts."""
    if not isinstance(value, str) or value[:1] not in ("[", "{", '"'):
        return value
    try:
        return decode(value.encode())
    except (ImportRefused, UnicodeEncodeError):
        return value


def _walk(value: Any, path: str) -> Any:
    for step in path.split(".") if not (isinstance(value, dict) and path in value) else (path,):
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
            rest = path.partition(f"{step}.")[2]
            if isinstance(value, dict) and rest in value:
                return value[rest]
        else:
            return None
    return value


def _flat(span: Span) -> dict[str, Any]:
    """Return the span's attributes, below them those of its detail records, and its events and logs by name."""
    flat: dict[str, Any] = {}
    named: dict[str, list[Any]] = {}
    for name, content in _spoken(span):
        if name == _DETAILS:
            flat |= content
            named.setdefault(name, []).append(content)
        elif name in _MESSAGE_EVENTS:
            if captured({key: held for key, held in content.items() if key in ("content", "tool_calls", "parts")}):
                named.setdefault("messages", []).append({"role": name.split(".")[1], **content})
        elif name != "gen_ai.choice" or captured({k: v for k, v in content.items() if k in ("content", "message")}):
            named.setdefault(name, []).append(content)
    return flat | span.attributes | {f"event:{name}": contents for name, contents in named.items()}


def _spoken(span: Span) -> Iterator[tuple[str, dict[str, Any]]]:
    for event in span.events:
        yield event.name, event.attributes
    for log in span.logs:
        body = log.body if isinstance(log.body, dict) else {} if log.body is None else {"content": log.body}
        yield log.name, {**log.attributes, **body}

"""Reads fields that may be missing, null or of another type, and keeps the calls and results of a run together.

Shared by formats that are one JSON document; it registers none. Nothing here raises on odd input: a field of the wrong
type counts as absent.
"""

from __future__ import annotations

import math
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from journal.domain.codec import text

if TYPE_CHECKING:
    from collections.abc import Iterable

_canonical = msgspec.json.Encoder(enc_hook=str, order="sorted").encode


def as_dict(value: object) -> dict[str, Any]:
    """Return an object, or an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """Return a list, or an empty one."""
    return value if isinstance(value, list) else []


def dicts(value: object) -> list[dict[str, Any]]:
    """Return the objects of a list; anything else in it is left out."""
    return [item for item in as_list(value) if isinstance(item, dict)]


def as_text(value: object) -> str | None:
    """Return text that says something, or None."""
    return value if isinstance(value, str) and value else None


def as_int(value: object) -> int | None:
    """Return a count, or None. A whole number written as a float is one."""
    number = as_float(value)
    return int(number) if number is not None and number == int(number) else None


def as_float(value: object) -> float | None:
    """Return a finite number, or None; true and false are no numbers."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def json_text(value: object) -> str:
    """Return arguments as JSON text: text as the model wrote it, anything else encoded."""
    return value if isinstance(value, str) else text(value)


def plain_text(content: object) -> str | None:
    """Return what a chat message says: text as it is, the text of its blocks on lines of their own, or None."""
    if isinstance(content, list):
        said = [item if isinstance(item, str) else as_dict(item).get("text") for item in content]
        return "\n".join(part for part in said if isinstance(part, str)) or None
    return as_text(content)


def fingerprint(*values: object) -> str:
    """Return twelve hex digits that stand for these values, whatever the order of their keys."""
    return sha256(_canonical(values)).hexdigest()[:12]


def text_at_start(messages: Iterable[dict[str, Any]], role: str = "user") -> str | None:
    """Return the text of the first message that `role` speaks."""
    return next((plain_text(message.get("content")) for message in messages if message.get("role") == role), None)


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A call waiting for its result: the key of its event, its tool, and an id that is unique in the run."""

    key: str
    tool: str
    id: str | None


class Calls:
    """The calls of a run: makes repeated ids unique, and finds the call that a result answers."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}
        self._open: list[tuple[str | None, Call]] = []

    def open(self, source_id: object, *, key: str, tool: str) -> Call:
        """Take a call in. The second one with an id gets `#2` behind it; one without an id keeps none."""
        known = as_text(source_id)
        call = Call(key=key, tool=tool, id=self._unique(known))
        self._open.append((known, call))
        return call

    def answer(self, source_id: object) -> Call | None:
        """Return and close the oldest open call with this id; where the result names none, the oldest of all."""
        wanted = as_text(source_id)
        for place, (known, call) in enumerate(self._open):
            if wanted is None or known == wanted:
                del self._open[place]
                return call
        return None

    def _unique(self, known: str | None) -> str | None:
        if known is None:
            return None
        self._seen[known] = self._seen.get(known, 0) + 1
        return known if self._seen[known] == 1 else f"{known}#{self._seen[known]}"

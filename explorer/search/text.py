"""What of an event can be found: the values of its data as lines of text, without the names of its fields."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from journal.domain.text import parsed

LIMIT: Final = 65_536
"""Characters of one event that can be found."""

_ENCODED: Final = re.compile(r"(?:data:[\w.+/-]{1,100};base64,)?[A-Za-z0-9+/_-]{1024,}={0,2}")
"""Images and files as base64. Nobody looks for a word in them, and thousands of chance words would be found there."""


@dataclass(frozen=True, kw_only=True)
class Content:
    """The text of an event, a line for each value; `is_cut` where more is in the journal than can be found."""

    text: str
    is_cut: bool


def content_of(payload: Any) -> Content:
    """Return the text of an event's data: its strings and numbers in order, at most `LIMIT` characters.

    JSON inside a string, as arguments and results of tools are kept, counts for what it says.
    """
    lines: list[str] = []
    left = LIMIT
    for value in _values(payload):
        line = tidy(value[: left * 2])
        lines.append(line[:left])
        left -= len(line) + 1
        if left < 0 or len(value) > LIMIT * 2:
            return Content(text="\n".join(lines)[:LIMIT], is_cut=True)
    return Content(text="\n".join(lines), is_cut=False)


def tidy(text: str) -> str:
    """Return text with one space for any white space, accents joined with their letters."""
    joined = text if text.isascii() else unicodedata.normalize("NFC", text)
    return " ".join(joined.split())


def fold(text: str) -> str:
    """Return text without the difference of capital and small letters, each character in its place.

    A character that would become two, as ß does, stays as it is: what is found is marked by its offsets.
    """
    folded = text.casefold()
    if len(folded) == len(text):
        return folded
    return "".join(small if len(small := character.casefold()) == 1 else character for character in text)


def _values(payload: Any) -> Iterator[str]:
    """Yield what stands in JSON, in order. Not recursive: data may be deeper than Python's stack."""
    waiting = [payload]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(reversed(value.values()))
        elif isinstance(value, list):
            waiting.extend(reversed(value))
        elif isinstance(value, str):
            inner = parsed(value) if value[:1] in ("{", "[") else value
            if not isinstance(inner, str):
                waiting.append(inner)
            elif inner and not inner.isspace() and not _ENCODED.fullmatch(inner):
                yield inner
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield str(value)

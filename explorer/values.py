"""The values that an event brought into the record, and whether a text holds one: as a whole, never as part of another.

Pure. A number is compared as a number (`12.5` is `12.50`, and not in `112.5`); anything else letter by letter without
regard to case, between the bounds of words (`user-3` is not in `user-31`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from explorer.search.text import content_of, fold, tidy
from journal.domain.text import parsed

MOST: Final = 24
"""Values of an event that are offered."""

LONGEST: Final = 120
SHORTEST: Final = 2
_WHOLE: Final = 80
_SHORTEST_WORD: Final = 4
_DIGITS: Final = 3
"""Significant digits from which on a number tells something apart: 14 stands everywhere, 0.01084 does not."""

_NUMBER: Final = re.compile(
    r"(?<![\w.])-?(?:[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]{1,40}(?:\.[0-9]{1,40})?)(?:[eE][-+]?[0-9]{1,3})?"
    r"(?![\w]|\.[0-9]|,[0-9]{3}(?![0-9]))"
)
_CLOCK: Final = r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?"
_MOMENT: Final = re.compile(
    rf"(?<![\w.-])[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}(?:[T ]{_CLOCK}(?:Z|[+-][0-9]{{2}}:?[0-9]{{2}})?)?(?![\w]|[.:-][0-9])"
    rf"|(?<![\w.:]){_CLOCK}(?![\w]|[.:][0-9])"
)
"""A date, a time of day or both: one value, of which no part counts anything."""

_WORD: Final = re.compile(r"[\w][\w.@:/#+-]*[\w]")
_CONTENT: Final = {
    "agent_run.started": ("prompt",),
    "agent_run.message_received": ("content",),
    "agent_run.model_responded": ("content",),
    "agent_run.reasoned": ("argsJson",),
    "agent_run.tool_returned": ("responseJson",),
    "agent_run.tool_failed": ("message",),
    "agent_run.handed_off": ("instruction",),
    "agent_run.context_compacted": ("summary",),
    "agent_run.memory_written": ("value",),
    "agent_run.answered": ("response",),
}
"""Where an agent run's events hold what they brought; beside it stand names of tools, counts and ids of calls."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """A value as it was written, and the name it stood under, empty where it was part of a longer text."""

    text: str
    name: str = ""

    @property
    def number(self) -> Decimal | None:
        """Return what it counts, None where it is no number."""
        return _counted(self.text) if _NUMBER.fullmatch(self.text) else None

    @property
    def is_telling(self) -> bool:
        """Whether it is long enough to tell something: short words and round numbers stand in any text."""
        number = self.number
        if number is not None:
            return len(number.normalize().as_tuple().digits) >= _DIGITS
        return len(self.text) >= _SHORTEST_WORD and any(letter.isalnum() for letter in self.text)

    @property
    def spellings(self) -> tuple[str, ...]:
        """Return how it may be written: of a number also with another count of places, and with thousands apart."""
        number = self.number
        if number is None or abs(number) >= Decimal(10) ** 15 or "e" in self.text.lower():
            return (self.text,)
        plain = f"{number.normalize():f}"
        fewest = len(plain.partition(".")[2])
        written = [self.text, plain, *(f"{number:.{places}f}" for places in (1, 2) if places > fewest)]
        written += [f"{number:,.{places}f}" for places in {fewest, 2} if places >= fewest and abs(number) >= 1000]  # noqa: PLR2004
        return tuple(dict.fromkeys(written))


def value_of(typed: str) -> Value | None:
    """Return the value that somebody typed, None where there is nothing that can be looked for."""
    text = tidy(typed.replace("\x00", ""))[:LONGEST]
    return Value(text=text) if len(text) >= SHORTEST and any(letter.isalnum() for letter in text) else None


def values_in(type_: str, payload: Any) -> tuple[Value, ...]:
    """Return the values in an event's data, in order, each once: numbers, short texts, and the names in longer ones."""
    fields = _CONTENT.get(type_)
    said = [payload.get(field) for field in fields] if fields and isinstance(payload, dict) else [payload]
    found: dict[str, Value] = {}
    for name, leaf in _leaves(said):
        for value in _of(name, leaf):
            found.setdefault(fold(value.text), value)
            if len(found) == MOST:
                return tuple(found.values())
    return tuple(found.values())


def said_by(type_: str, payload: Any) -> str:
    """Return the text of what an event brought, without what stands beside it."""
    fields = _CONTENT.get(type_)
    said = {field: payload.get(field) for field in fields} if fields and isinstance(payload, dict) else payload
    return content_of(said).text


def figures_in(text: str, *, most: int = MOST) -> tuple[Value, ...]:
    """Return what a text states that can be looked up: its numbers, of any length, and the names that hold digits."""
    found: dict[str, Value] = {}
    places = [(number.start(), number[0]) for number in _numbers(text[:20_000])]
    places += [(moment.start(), moment[0]) for moment in _MOMENT.finditer(text[:20_000]) if not _has_both(moment[0])]
    places += [(word.start(), word[0]) for word in _WORD.finditer(text[:20_000]) if _has_both(word[0])]
    for _at, said in sorted(places):
        if len(said) <= _WHOLE:
            found.setdefault(fold(said), Value(text=said))
    return tuple(found.values())[:most]


def _numbers(text: str) -> Iterator[re.Match[str]]:
    """Find the numbers of a text: the 14 of 14 days, and not that of 12:14 or of the fourteenth."""
    return _NUMBER.finditer(_MOMENT.sub(lambda moment: " " * len(moment[0]), text))


def _has_both(word: str) -> bool:
    return any(letter.isdigit() for letter in word) and any(letter.isalpha() for letter in word)


def holds(text: str, value: Value) -> bool:
    """Return whether a text holds a value as a whole."""
    number = value.number
    if number is not None:
        return any(_counted(found[0]) == number for found in _numbers(text))
    return place(text, value) >= 0


def place(text: str, value: Value) -> int:
    """Return where in a text a value that is no number stands as a whole, -1 where it does not."""
    folded, sought = fold(text), fold(value.text)
    at = folded.find(sought)
    while at >= 0:
        if _is_apart(folded, at, at + len(sought)):
            return at
        at = folded.find(sought, at + 1)
    return -1


def _is_apart(text: str, begin: int, end: int) -> bool:
    """Whether nothing that belongs to the same word stands on either side."""
    before, first, last, after = text[max(0, begin - 2) : begin], text[begin], text[end - 1], text[end : end + 2]
    is_free_before = not _is_letter(first) or not re.search(r"\w-?\Z", before)
    is_free_after = not _is_letter(last) or not re.match(r"\w|[-.]\w", after)
    return is_free_before and is_free_after


def _is_letter(character: str) -> bool:
    return character.isalnum() or character == "_"


def _counted(written: str) -> Decimal | None:
    try:
        return Decimal(written.replace(",", ""))
    except InvalidOperation:
        return None


def _of(name: str, leaf: str) -> Iterator[Value]:
    text = tidy(leaf)
    if not text:
        return
    if len(text) <= _WHOLE:
        if (whole := value_of(text)) is not None:
            yield Value(text=whole.text, name=name)
        if " " not in text:
            return
    for word in _WORD.finditer(text[:20_000]):
        said = word[0]
        if any(letter.isdigit() for letter in said) and len(said) <= _WHOLE and Value(text=said).is_telling:
            yield Value(text=said)


def _leaves(said: Any) -> Iterator[tuple[str, str]]:
    """Yield texts and numbers with the name of their field. Not recursive: data may be deeper than Python's stack."""
    waiting: list[tuple[str, Any]] = [("", said)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict):
            waiting += reversed([(str(key), inner) for key, inner in value.items()])
        elif isinstance(value, list):
            waiting += reversed([(name, inner) for inner in value])
        elif isinstance(value, str):
            inner = parsed(value) if value[:1] in ("{", "[") else value
            if isinstance(inner, str):
                yield name, inner
            else:
                waiting.append((name, inner))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield name, str(value)

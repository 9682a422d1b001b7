"""What could come next in the query line: keys, operators and values, for the word the caret stands in.

Plain text in, options out. Each option is a whole query with the place of the caret in it, so that a script has nothing
to work out, and what is offered is what the parser takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from explorer.query_language import FLAGS, KEYS, Key, Kind, written

SHOWN: Final = 12
_OPERATORS: Final = ((">", "more than"), (">=", "at least"), ("<", "less than"), ("<=", "at most"))
_SPANS: Final = (("30m", "half an hour"), ("24h", "a day"), ("7d", "a week"), ("30d", "a month"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """What is offered: its text, what it means, and the query and caret that taking it leads to."""

    text: str
    hint: str
    query: str
    caret: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Word:
    """The word at the caret: where it begins and ends, and what of it stands before the caret."""

    start: int
    end: int
    typed: str


def key_at(text: str, caret: int) -> str:
    """Return the key whose value the caret stands in, empty where it stands in none: only then values are needed."""
    key, colon, _value = _word_at(text, caret).typed.lstrip("-").partition(":")
    return key.lower() if colon and key.lower() in KEYS else ""


def complete(
    text: str, caret: int, *, values: Sequence[tuple[str, int]] = (), days: Sequence[str] = ()
) -> list[Option]:
    """Return at most `SHOWN` ways to go on.

    `values` are those of the key at the caret with the number of runs that have each; `days` are dates for the keys
    that take a time.
    """
    word = _word_at(text, caret)
    if word.typed.lstrip("-").startswith('"'):
        return []
    key = KEYS.get(key_at(text, caret))
    found = _keys(text, word) if key is None else _values(text, word, key, values, days)
    return [option for option, _ in zip(found, range(SHOWN), strict=False)]


def _word_at(text: str, caret: int) -> _Word:
    """Find the word around the caret; white space in quotation marks is part of one."""
    caret = min(max(caret, 0), len(text))
    start, in_quotes, at = 0, False, 0
    while at < caret:
        if text[at] == "\\" and in_quotes:
            at += 1
        elif text[at] == '"':
            in_quotes = not in_quotes
        elif text[at].isspace() and not in_quotes:
            start = at + 1
        at += 1
    end = caret
    while end < len(text) and not text[end].isspace() and not in_quotes:
        end += 1
    return _Word(start=start, end=end, typed=text[start:caret])


# --- Keys -------------------------------------------------------------------------------------------------------------


def _keys(text: str, word: _Word) -> Iterator[Option]:
    """Offer keys and flags; nothing where a colon follows a key that there is none of."""
    minus = "-" if word.typed.startswith("-") else ""
    typed = word.typed.removeprefix("-").lower()
    offered = {f"{key.name}:": key.hint for key in KEYS.values()} | {f"{flag} ": hint for flag, hint in FLAGS.items()}
    for name in _ranked(typed, offered):
        yield _option(text, word, f"{minus}{name}", offered[name])


def _ranked(typed: str, names: Iterable[str]) -> list[str]:
    """Return the names that hold what was typed, those that begin with it first; otherwise in their order."""
    found = [name for name in names if typed in name.lower()]
    return sorted(found, key=lambda name: not name.lower().startswith(typed))


# --- Values -----------------------------------------------------------------------------------------------------------


def _values(
    text: str, word: _Word, key: Key, values: Sequence[tuple[str, int]], days: Sequence[str]
) -> Iterator[Option]:
    before, _comma, typed = _split(word.typed)
    match key.kind:
        case Kind.NUMBER:
            yield from (
                _option(text, word, f"{before}{sign}", f"{words} this") for sign, words in _OPERATORS if not typed
            )
        case Kind.TEXT:
            for value in _ranked(typed.strip('"').lower(), dict(values)):
                if (term := written(key.name, value).partition(":")[2]) != typed:
                    yield _option(text, word, f"{before}{term} ", _runs(dict(values)[value]))
        case _:
            offered = {Kind.WORD: [(name, "") for name in key.words], Kind.SPAN: _SPANS}.get(
                key.kind, [(day, "") for day in days]
            )
            for name, hint in offered:
                if name.startswith(typed.lower()) and name != typed:
                    yield _option(text, word, f"{before}{name} ", hint)


def _split(typed: str) -> tuple[str, str, str]:
    """Return what stands before the value at the caret, what parts them, and the value: after the last free comma."""
    cut, in_quotes = typed.index(":"), False
    for at in range(cut + 1, len(typed)):
        if typed[at] == '"' and typed[at - 1] != "\\":
            in_quotes = not in_quotes
        elif typed[at] == "," and not in_quotes:
            cut = at
    return typed[: cut + 1], typed[cut], typed[cut + 1 :]


def _runs(count: int) -> str:
    return f"{count:,} run{'' if count == 1 else 's'}" if count else ""


def _option(text: str, word: _Word, inserted: str, hint: str) -> Option:
    rest = text[word.end :]
    inserted = inserted.rstrip() if inserted.endswith(" ") and rest.startswith(" ") else inserted
    caret = (
        word.start + len(inserted) + (1 if rest.startswith(" ") and not inserted.endswith((":", "<", ">", "=")) else 0)
    )
    return Option(text=inserted.strip(), hint=hint, query=text[: word.start] + inserted + rest, caret=caret)

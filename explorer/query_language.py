"""The query line of the run list: text to terms.

    agent:coder,writer -status:aborted steps:>150 last:7d failed "line 88" refund

A term is `key:value`, a flag, or a text to find in what was said, called and answered. Commas mean or, a minus in
front means not, all terms together mean and. `*` at either end of a value stands for anything. Parsing never fails:
what cannot be understood becomes a `Problem` that points at its place, and a query with problems is not run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from enum import StrEnum
from typing import Final

MAX_LENGTH: Final = 2000
MAX_TEXTS: Final = 8
_WORD_SHOWN: Final = 80
_AROUND: Final = 120


class Kind(StrEnum):
    """What a key's values are."""

    TEXT = "text"
    WORD = "word"
    NUMBER = "number"
    SPAN = "span"
    TIME = "time"


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key of the language. `words` are the only values that a key of kind WORD takes."""

    name: str
    kind: Kind
    hint: str
    words: tuple[str, ...] = ()


KEYS: Final = {
    key.name: key
    for key in (
        Key(name="agent", kind=Kind.TEXT, hint="the agent's name"),
        Key(name="model", kind=Kind.TEXT, hint="the model's name"),
        Key(
            name="status", kind=Kind.WORD, hint="how far the run is",
            words=("running", "answered", "aborted", "recorded"),
        ),
        Key(
            name="outcome", kind=Kind.WORD, hint="how the source judged the run",
            words=("success", "failure", "error", "aborted", "running", "unknown"),
        ),
        Key(name="tool", kind=Kind.TEXT, hint="a tool that was called"),
        Key(name="source", kind=Kind.TEXT, hint="the format it came in"),
        Key(name="user", kind=Kind.TEXT, hint="the subject it was about"),
        Key(name="parent", kind=Kind.TEXT, hint="the run that handed off to it"),
        Key(name="text", kind=Kind.TEXT, hint="a text in what was said, called and answered"),
        Key(name="steps", kind=Kind.NUMBER, hint="number of events"),
        Key(name="decisions", kind=Kind.NUMBER, hint="number of model responses"),
        Key(name="cost", kind=Kind.NUMBER, hint="cost in dollars"),
        Key(name="errors", kind=Kind.NUMBER, hint="number of tool failures"),
        Key(name="last", kind=Kind.SPAN, hint="started in the last 30m, 12h, 7d or 2w"),
        Key(name="since", kind=Kind.TIME, hint="started then or later, as 2026-11-22 or 2026-11-22T12:04"),
        Key(name="until", kind=Kind.TIME, hint="started then or earlier"),
    )
}  # fmt: skip
ALIASES: Final = {"events": "steps"}
FLAGS: Final = {
    "failed": "aborted, or judged a failure or an error",
    "synthetic": "invented data, marked as such",
}

_START: Final = re.compile(r"(?P<minus>-?)(?:(?P<key>[A-Za-z_][A-Za-z0-9_-]*):)?")
_COMPARISON: Final = re.compile(r"(?P<op><=|>=|<|>|=)?\$?(?P<number>\d{1,15}(?:\.\d{1,9})?)")
_SPAN: Final = re.compile(r"(?P<amount>\d{1,6})(?P<unit>[mhdw])")
_SPAN_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_PLAIN: Final = re.compile(r'[^\s",:*\-][^\s",:*]*')


@dataclass(frozen=True, kw_only=True)
class Value:
    """One of a term's values, unquoted. `is_quoted` values are taken as they are: a star in them is a star."""

    text: str
    start: int
    end: int
    is_quoted: bool = False


@dataclass(frozen=True, kw_only=True)
class Term:
    """One condition. `key` is a name of `KEYS` or `FLAGS`; bare words are terms of the key `text`."""

    key: str
    values: tuple[Value, ...]
    is_negated: bool
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What could not be understood, where, and the query with it put right where we can guess.

    `before` and `behind` are what stands around the word, as much as shows the place.
    """

    message: str
    word: str
    start: int
    end: int
    fixed: str | None = None
    before: str = ""
    behind: str = ""


@dataclass(frozen=True, kw_only=True)
class Query:
    """A query as typed, and what it means."""

    text: str
    terms: tuple[Term, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Part:
    """One term as it was typed, and the query without it."""

    text: str
    rest: str


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """`>150`: an operator of Python and a number."""

    op: str
    number: float


# --- Parsing ----------------------------------------------------------------------------------------------------------


def parse(text: str) -> Query:
    """Return what a query means; never raises."""
    if len(text) > MAX_LENGTH:
        message = f"The query has {len(text):,} characters; {MAX_LENGTH:,} are read at most."
        return Query(text=text, problems=(_problem(text, message, MAX_LENGTH, len(text)),))
    terms: list[Term] = []
    problems: list[Problem] = []
    at = _skip(text, 0)
    while at < len(text):
        term, found = _term(text, at)
        problems += found
        terms += [term] if not found else []
        at = _skip(text, term.end)
    problems += _text_problems(text, terms)
    return Query(text=text, terms=tuple(terms), problems=tuple(problems))


def _problem(text: str, message: str, start: int, end: int, fixed: str | None = None) -> Problem:
    shown = start + _WORD_SHOWN
    before = text[:start] if start <= _AROUND else f"…{text[start - _AROUND : start]}"
    behind = text[end : end + _AROUND] if end <= shown else "…"
    return Problem(
        message=message, word=text[start:end][:_WORD_SHOWN], start=start, end=end, fixed=fixed,
        before=before, behind=behind,
    )  # fmt: skip


def _text_problems(text: str, terms: Iterable[Term]) -> Iterator[Problem]:
    """Texts are looked for by their words, each of them in one part of a query to the database."""
    values = [(term, value) for term in terms if term.key == "text" for value in term.values]
    for term, value in values[:MAX_TEXTS]:
        if not any(map(str.isalnum, value.text)):
            message = "A text is found by a letter or a digit; this has none."
            yield _problem(text, message, value.start, value.end, fixed=_without(text, term))
    for _past, value in values[MAX_TEXTS : MAX_TEXTS + 1]:
        message = f"{MAX_TEXTS} texts are looked for at most. Words that stand together go in quotation marks."
        yield _problem(text, message, value.start, value.end)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _term(text: str, at: int) -> tuple[Term, list[Problem]]:
    """Read the term at `at`, which always ends behind it."""
    start = _START.match(text, at)
    assert start is not None  # both of its parts may be empty  # noqa: S101
    problems: list[Problem] = []
    if start["key"] is None:
        return _words(text, at, is_negated=bool(start["minus"]) and _is_more(text, start.end()))
    values, end = _values(text, start.end(), problems)
    typed = start["key"].lower()
    term = Term(key=ALIASES.get(typed, typed), values=tuple(values), is_negated=bool(start["minus"]), start=at, end=end)
    return term, problems or list(_check(text, term, start.start("key"), start.end("key")))


def _is_more(text: str, at: int) -> bool:
    """Tell whether something follows a minus: alone it is a word."""
    return at < len(text) and not text[at].isspace()


def _words(text: str, at: int, *, is_negated: bool) -> tuple[Term, list[Problem]]:
    """Read one bare word, or a quoted text; a flag where the word is one."""
    problems: list[Problem] = []
    begin = at + is_negated
    if text[begin] == '"':
        value = _quoted(text, begin, problems)
        end = _word_end(text, value.end)
        problems += [_glued(text, value.end, end)] if end > value.end else []
        return Term(key="text", values=(value,), is_negated=is_negated, start=at, end=end), problems
    end = _word_end(text, begin)
    word = text[begin:end]
    if word.lower() in FLAGS:
        return Term(key=word.lower(), values=(), is_negated=is_negated, start=at, end=end), []
    value = Value(text=word, start=begin, end=end, is_quoted=True)
    return Term(key="text", values=(value,), is_negated=is_negated, start=at, end=end), []


def _values(text: str, at: int, problems: list[Problem]) -> tuple[list[Value], int]:
    """Read values separated by commas, up to white space."""
    values = []
    while True:
        value = _quoted(text, at, problems) if text[at : at + 1] == '"' else _bare(text, at)
        values += [value] if value.text else []
        at = value.end
        if text[at : at + 1] != ",":
            break
        at += 1
    end = _word_end(text, at)
    if end > at:
        problems.append(_glued(text, at, end))
    return values, end


def _word_end(text: str, at: int) -> int:
    while at < len(text) and not text[at].isspace():
        at += 1
    return at


def _glued(text: str, start: int, end: int) -> Problem:
    """Something follows a closing quotation mark without a space or a comma."""
    message = "A closing quotation mark is followed by a space or a comma."
    return _problem(text, message, start, end, fixed=f"{text[:start]} {text[start:]}")


def _bare(text: str, at: int) -> Value:
    end = at
    while end < len(text) and text[end] != "," and not text[end].isspace():
        end += 1
    return Value(text=text[at:end], start=at, end=end)


def _quoted(text: str, at: int, problems: list[Problem]) -> Value:
    """Read a quoted text; a backslash takes the next character as it is."""
    letters: list[str] = []
    end = at + 1
    while end < len(text) and text[end] != '"':
        end += text[end] == "\\" and end + 1 < len(text)
        letters.append(text[end])
        end += 1
    if end == len(text):
        message = "A quotation mark is opened here and never closed."
        problems.append(_problem(text, message, at, end, fixed=f'{text}"'))
    return Value(text="".join(letters), start=at, end=min(end + 1, len(text)), is_quoted=True)


# --- Checking ---------------------------------------------------------------------------------------------------------


def _check(text: str, term: Term, key_start: int, key_end: int) -> Iterator[Problem]:
    key = KEYS.get(term.key)
    if key is None:
        yield _unknown_key(text, term, key_start, key_end)
    elif not term.values:
        message = f"{key.name}: needs a value: {key.hint}."
        yield _problem(text, message, key_start, term.end)
    else:
        for value in term.values:
            yield from _check_value(text, key, value)


def _unknown_key(text: str, term: Term, start: int, end: int) -> Problem:
    near = nearest(term.key, [*KEYS, *ALIASES])
    if near is None:
        message = f"There is no key {term.key}. To find it as a text, put it in quotation marks."
        return _problem(
            text, message, start, end, fixed=text[:start] + quoted(text[start : term.end]) + text[term.end :]
        )
    message = f"There is no key {term.key}. Nearest: {near}."
    return _problem(text, message, start, end, fixed=text[:start] + near + text[end:])


def _check_value(text: str, key: Key, value: Value) -> Iterator[Problem]:
    match key.kind:
        case Kind.WORD if value.text.lower() not in key.words:
            yield _unknown_word(text, key, value)
        case Kind.NUMBER if comparison(value.text) is None:
            yield _wrong(text, value, f"{key.name}: takes a number, as {key.name}:>10 or {key.name}:0.")
        case Kind.SPAN if span(value.text) is None:
            yield _wrong(text, value, f"{key.name}: takes a length of time: 30m, 12h, 7d or 2w.")
        case Kind.TIME if moment(value.text, is_end=False) is None:
            yield _wrong(text, value, f"{key.name}: takes a date or a time, as 2026-11-22 or 2026-11-22T12:04.")
        case _:
            pass


def _wrong(text: str, value: Value, message: str) -> Problem:
    return _problem(text, message, value.start, value.end)


def _unknown_word(text: str, key: Key, value: Value) -> Problem:
    near = nearest(value.text, key.words)
    message = f"{key.name}: is {_either(key.words)}."
    fixed = text[: value.start] + near + text[value.end :] if near else None
    return _problem(text, message, value.start, value.end, fixed=fixed)


def _either(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def nearest(word: str, among: Iterable[str]) -> str | None:
    """Return the most similar of some words, None where none is similar. Compares without case."""
    by_lower = {candidate.lower(): candidate for candidate in among}
    found = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


# --- What values mean -------------------------------------------------------------------------------------------------


def comparison(value: str) -> Comparison | None:
    """Return what `>150`, `<=1.5` or `3` asks of a number."""
    match = _COMPARISON.fullmatch(value)
    return Comparison(op=match["op"] or "=", number=float(match["number"])) if match and value.isascii() else None


def span(value: str) -> timedelta | None:
    """Return the length of time of `7d`."""
    match = _SPAN.fullmatch(value)
    if match is None or not value.isascii():
        return None
    return timedelta(**{_SPAN_UNITS[match["unit"]]: int(match["amount"])})


def moment(value: str, *, is_end: bool) -> datetime | None:
    """Return the time of an ISO 8601 date or time; UTC where it names no zone.

    Both ends of a range are inclusive, so a date alone is its first microsecond, or its last one where it `is_end`.
    """
    try:
        if len(value) <= len("2026-11-22"):
            return datetime.combine(date.fromisoformat(value), time.max if is_end else time.min, tzinfo=UTC)
        at = datetime.fromisoformat(value)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


# --- Writing ----------------------------------------------------------------------------------------------------------


def written(key: str, value: str) -> str:
    """Return a term as a person would type it; quotes where they are needed."""
    return f"{key}:{_value(value)}"


def _value(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else quoted(text)


def quoted(value: str) -> str:
    """Return a value in quotation marks."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def with_value(query: Query, key: str, value: str) -> str:
    """Return the query text with a value switched: added as an alternative, or taken out where it is there."""
    term = next((term for term in query.terms if term.key == key and not term.is_negated), None)
    if term is None:
        return f"{query.text.strip()} {written(key, value)}".strip()
    kept = [query.text[found.start : found.end] for found in term.values if found.text != value]
    if len(kept) == len(term.values):
        several = KEYS[key].kind in (Kind.TEXT, Kind.WORD)
        kept = [*kept, _value(value)] if several else [_value(value)]
    return _with_term(query, term, ",".join(kept))


def with_flag(query: Query, flag: str) -> str:
    """Return the query text with a flag added, or taken out where it is there."""
    term = next((term for term in query.terms if term.key == flag), None)
    if term is None:
        return f"{query.text.strip()} {flag}".strip()
    return _without(query.text, term)


def parts(query: Query) -> list[Part]:
    """Return the terms of a query, each with what is left when it is taken out."""
    return [Part(text=query.text[term.start : term.end], rest=_without(query.text, term)) for term in query.terms]


def with_text(query: Query, value: Value, text: str) -> str:
    """Return the query text with one of its values exchanged."""
    return query.text[: value.start] + _value(text) + query.text[value.end :]


def _with_term(query: Query, term: Term, values: str) -> str:
    if not values:
        return _without(query.text, term)
    return query.text[: term.start] + f"{term.key}:{values}" + query.text[term.end :]


def _without(text: str, term: Term) -> str:
    return f"{text[: term.start].rstrip()} {text[term.end :].lstrip()}".strip()

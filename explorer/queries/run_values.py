"""What a project's runs can be asked for: the values that its newest runs have, for the menu, completion and advice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from explorer.completion import Option, complete, key_at
from explorer.listed import LISTED
from explorer.models import RunSummary
from explorer.query_language import KEYS, Kind, Query, Term, nearest, with_flag, with_text, with_value

_RUNS: Final = 500
_VALUES: Final = 6
_FIELDS: Final = {"agent": "agent", "model": "model", "tool": "tools", "source": "source", "user": "subject"}

Known = Mapping[str, Counter[str]]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A line of the filter menu, and the query that choosing it leads to."""

    text: str
    query: str
    is_on: bool


@dataclass(frozen=True, kw_only=True)
class Facet:
    """A key of the filter menu with its most frequent values."""

    name: str
    choices: list[Choice]


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """A value that no run has, and the nearest that some have."""

    typed: str
    near: str
    query: str


def known_values(project: str, keys: tuple[str, ...] = tuple(_FIELDS)) -> Known:
    """Return how often the newest runs have each value of some keys that take names."""
    known: dict[str, Counter[str]] = {key: Counter() for key in keys}
    newest = RunSummary.objects.filter(LISTED, project=project).order_by("-started_us", "-id")
    for row in newest.values_list(*(_FIELDS[key] for key in keys))[:_RUNS]:
        for key, found in zip(keys, row, strict=True):
            names = found if isinstance(found, list) else [found]
            known[key].update(name for name in names if name and isinstance(name, str))
    return known


def completions(project: str, text: str, caret: int, now: datetime) -> list[Option]:
    """Return what could come next in a query; asks the database only where the caret stands behind a key of names."""
    key = key_at(text, caret)
    values = known_values(project, (key,))[key].most_common() if key in _FIELDS else []
    days = [f"{now - timedelta(days=ago):%Y-%m-%d}" for ago in (0, 1, 7, 30)]
    return complete(text, caret, values=values, days=days)


# --- The menu ---------------------------------------------------------------------------------------------------------


def facets(query: Query, known: Known) -> list[Facet]:
    """Return the filter menu."""
    values = {
        "status": KEYS["status"].words[:3], "outcome": KEYS["outcome"].words[:3],
        **{key: [value for value, _count in found.most_common(_VALUES)] for key, found in known.items()},
        "last": ("24h", "7d", "30d"),
    }  # fmt: skip
    found = [
        Facet(name=f"{key}:", choices=[_choice(query, key, value) for value in of_key])
        for key, of_key in values.items()
    ]
    found.append(Facet(name="only", choices=_conditions(query)))
    return [facet for facet in found if facet.choices]


def _conditions(query: Query) -> list[Choice]:
    """Return the choices that are a whole term each."""
    numbers = [
        replace(_choice(query, key, value), text=f"{key}:{value}")
        for key, value in (("errors", ">0"), ("cost", ">1"), ("steps", ">150"))
    ]
    return [_flag(query, "failed"), *numbers, _flag(query, "synthetic")]


def _choice(query: Query, key: str, value: str) -> Choice:
    is_on = any(
        term.key == key and not term.is_negated and value in [found.text for found in term.values]
        for term in query.terms
    )
    return Choice(text=value, query=with_value(query, key, value), is_on=is_on)


def _flag(query: Query, flag: str) -> Choice:
    is_on = any(term.key == flag and not term.is_negated for term in query.terms)
    return Choice(text=flag, query=with_flag(query, flag), is_on=is_on)


# --- Advice -----------------------------------------------------------------------------------------------------------


def suggestion(query: Query, known: Known) -> Suggestion | None:
    """Return the first value of the query that none of the newest runs has but nearly has."""
    return next(filter(None, (_near(query, term, known) for term in query.terms)), None)


def _near(query: Query, term: Term, known: Known) -> Suggestion | None:
    key = KEYS.get(term.key)
    if key is None or key.kind is not Kind.TEXT or term.is_negated or term.key not in known:
        return None
    names = {name.lower() for name in known[term.key]}
    for value in term.values:
        if value.text.lower() not in names and "*" not in value.text:
            near = nearest(value.text, known[term.key])
            if near is not None:
                return Suggestion(typed=f"{term.key}:{value.text}", near=near, query=with_text(query, value, near))
    return None

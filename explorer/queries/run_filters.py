"""The query language as conditions on `RunSummary`."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable
from datetime import datetime
from functools import reduce
from typing import Final

from django.db import connection
from django.db.models import F, Q, QuerySet, TextField
from django.db.models.functions import Cast, Collate
from django.db.models.lookups import IContains, IEndsWith, IExact, IStartsWith

from explorer.models import RunSummary
from explorer.queries.run_texts import NO_TEXTS, Texts
from explorer.query_language import Query, Term, Value, comparison, moment, span

_TEXT_FIELDS: Final = {
    "agent": "agent", "model": "model", "source": "source", "user": "subject", "parent": "parent_run",
    "status": "status", "outcome": "outcome",
}  # fmt: skip
_NUMBER_FIELDS: Final = {"steps": "events", "decisions": "decisions", "cost": "cost_usd", "errors": "tool_errors"}
_LOOKUPS: Final = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte", "=": "exact"}
_IGNORING_CASE: Final = {
    "iexact": IExact, "istartswith": IStartsWith, "iendswith": IEndsWith, "icontains": IContains,
}  # fmt: skip
_FAILED: Final = Q(status="aborted") | Q(outcome__in=("failure", "error"))


def searchable(runs: QuerySet[RunSummary]) -> QuerySet[RunSummary]:
    """Add what conditions look at and no column holds: the tools' names as one text; SQLite has no set of them."""
    return runs.annotate(tool_names=Cast("tools", TextField()))


def condition(query: Query, now: datetime, texts: Texts = NO_TEXTS) -> Q:
    """Return what the terms of a query ask for together. `last:` counts back from `now`, `texts` are found before."""
    return reduce(operator.and_, (_term(term, now, texts) for term in query.terms), Q())


def _term(term: Term, now: datetime, texts: Texts) -> Q:
    wanted = reduce(operator.or_, (_value(term.key, value, now, texts) for value in term.values), Q()) or _flag(
        term.key
    )
    return ~wanted if term.is_negated else wanted


def _flag(key: str) -> Q:
    return Q(synthetic=True) if key == "synthetic" else _FAILED


def _value(key: str, value: Value, now: datetime, texts: Texts) -> Q:
    if key in _NUMBER_FIELDS:
        return _number(_NUMBER_FIELDS[key], value.text)
    if key in _TEXT_FIELDS:
        return _text(_TEXT_FIELDS[key], value)
    if key == "text":
        return alike("title", "icontains", value.text) | Q(stream__in=texts.streams(value.text))
    return _SPECIAL[key](value, now)


def _number(field: str, text: str) -> Q:
    asked = comparison(text)
    assert asked is not None  # the parser refused it otherwise  # noqa: S101
    return Q(**{f"{field}__{_LOOKUPS[asked.op]}": asked.number})


def _text(field: str, value: Value) -> Q:
    starts, ends, bare = _stars(value)
    lookup = {(False, False): "iexact", (False, True): "istartswith", (True, False): "iendswith"}
    return alike(field, lookup.get((starts, ends), "icontains"), bare)


def alike(field: str, lookup: str, text: str) -> Q:
    """Compare without regard to case: MySQL goes by the column's collation there, and ours are binary."""
    if connection.vendor == "mysql":
        return Q(_IGNORING_CASE[lookup](Collate(F(field), "utf8mb4_general_ci"), text))
    return Q(**{f"{field}__{lookup}": text})


def _stars(value: Value) -> tuple[bool, bool, str]:
    """Return whether anything may come before and behind, and the rest."""
    text = value.text
    starts = not value.is_quoted and text.startswith("*")
    ends = not value.is_quoted and text.endswith("*") and len(text) > starts
    return starts, ends, text[starts : len(text) - ends]


def _tool(value: Value, _now: datetime) -> Q:
    """Find a name in the JSON list of tools: its quotation marks are the name's ends. Databases escape differently."""
    starts, ends, bare = _stars(value)
    written = {json.dumps(bare)[1:-1], json.dumps(bare, ensure_ascii=False)[1:-1]}
    before, behind = "" if starts else '"', "" if ends else '"'
    return reduce(
        operator.or_, (alike("tool_names", "icontains", f"{before}{name}{behind}") for name in sorted(written))
    )


def _last(value: Value, now: datetime) -> Q:
    length = span(value.text)
    assert length is not None  # the parser refused it otherwise  # noqa: S101
    return Q(started_us__gte=_microseconds(now) - int(length.total_seconds()) * 1_000_000)


def _since(value: Value, _now: datetime) -> Q:
    return Q(started_us__gte=_bound(value, is_end=False))


def _until(value: Value, _now: datetime) -> Q:
    return Q(started_us__lte=_bound(value, is_end=True))


def _bound(value: Value, *, is_end: bool) -> int:
    at = moment(value.text, is_end=is_end)
    assert at is not None  # the parser refused it otherwise  # noqa: S101
    return _microseconds(at)


def _microseconds(at: datetime) -> int:
    return int(at.timestamp() // 1) * 1_000_000 + at.microsecond


_SPECIAL: Final[dict[str, Callable[[Value, datetime], Q]]] = {
    "tool": _tool, "last": _last, "since": _since, "until": _until,
}  # fmt: skip

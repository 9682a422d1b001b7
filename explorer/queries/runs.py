"""What the run list shows: one page of runs, what matches, and what can be asked.

Pages are cut by key (start, id), so that runs which arrive meanwhile neither hide a row nor show one twice. Nothing
counts the whole table: counts look at the newest `COUNTED` runs and say so.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django.db.models import Case, Count, F, IntegerField, Q, QuerySet, When

from explorer.models import RunSummary
from explorer.queries.run_filters import condition, searchable
from explorer.query_language import KEYS, Kind, Query, Term, nearest, parse, with_flag, with_text, with_value
from explorer.sparkline import Sparkline, peak_of, sparkline
from journal.store import get_store

PAGE: Final = 50
COUNTED: Final = 10_000
_FACET_RUNS: Final = 500
_FACET_VALUES: Final = 6
_LIVE_FOR: Final = timedelta(hours=1)
_BAD_OUTCOMES: Final = frozenset({"failure", "error"})
_CURSOR: Final = re.compile(r"(-?\d{1,18})\.(\d{1,18})")
_FACETS: Final = ("agent", "model", "tool", "source", "user")


@dataclass(frozen=True, kw_only=True)
class View:
    """A query that has a tab of its own."""

    slug: str
    name: str
    query: str


VIEWS: Final = (
    View(slug="all", name="All runs", query=""),
    View(slug="tool-failures", name="With tool failures", query="errors:>0"),
    View(slug="running", name="Running", query="status:running"),
    View(slug="over-1", name="Over $1", query="cost:>1"),
    View(slug="aborted", name="Aborted", query="status:aborted"),
)


@dataclass(frozen=True, kw_only=True)
class Tab:
    """A view as its tab shows it; `count` is of the newest `COUNTED` runs, with a plus where there are more."""

    view: View
    count: str
    is_here: bool


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One run. None is "not recorded"."""

    stream: str
    title: str
    status: str
    quiet_ms: float | None
    agent: str
    model: str
    shape: Sparkline
    events: int
    duration_ms: int | None
    cost_usd: float | None
    tool_errors: int
    first_error: int | None
    outcome: str
    user: str
    started_us: int | None
    parent: str
    parent_title: str
    is_synthetic: bool

    @property
    def is_live(self) -> bool:
        """Whether an unfinished run had an event lately; one of last week will get none any more."""
        is_recent = self.quiet_ms is not None and self.quiet_ms < _LIVE_FOR / timedelta(milliseconds=1)
        return self.status == "running" and is_recent

    @property
    def has_title(self) -> bool:
        """Whether somebody said something to begin with; the stream's name stands in for it otherwise."""
        return self.title != self.stream

    @property
    def ended_badly(self) -> bool:
        """Whether someone should look at it."""
        return self.status == "aborted" or self.outcome in _BAD_OUTCOMES


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


@dataclass(frozen=True, kw_only=True)
class RunPage:
    """A page of the run list. `older` and `newer` are cursors, empty where there is nothing."""

    query: Query
    rows: list[RunRow]
    older: str
    newer: str
    matching: int
    counted: int
    tabs: list[Tab]
    facets: list[Facet]
    suggestion: Suggestion | None

    @property
    def is_counted_whole(self) -> bool:
        """Whether the project has no more runs than were counted."""
        return self.counted < COUNTED

    @property
    def match_sentence(self) -> str:
        """How many match, and of how many that is known."""
        if self.is_counted_whole:
            return f"{self.matching:,} match"
        if self.matching == self.counted:
            return f"more than {COUNTED:,} match"
        return f"{self.matching:,} of the newest {COUNTED:,} runs match"

    @property
    def older_address(self) -> str:
        """Where the next page is."""
        return self._address(before=self.older)

    @property
    def newer_address(self) -> str:
        """Where the page before is."""
        return self._address(after=self.newer)

    def _address(self, **cursor: str) -> str:
        return f"?{urlencode({'q': self.query.text, **cursor} if self.query.text else cursor)}"


def run_page(project: str, *, q: str, before: str, after: str, now: datetime) -> RunPage:
    """Return the page of runs older than `before` or newer than `after`, the newest where both are empty or unknown."""
    query = parse(q)
    asked = _asked(query, now)
    counts = _counts(project, asked, now)
    found = _rows(project, asked, before, after) if not query.problems else _Found(runs=[], older="", newer="")
    known = _known_values(project)
    return RunPage(
        query=query,
        rows=_as_rows(project, found.runs, now),
        older=found.older,
        newer=found.newer,
        matching=0 if query.problems else counts["matching"],
        counted=counts["counted"],
        tabs=_tabs(query, counts),
        facets=_facets(query, known),
        suggestion=None if found.runs else _suggestion(query, known),
    )


def has_events(project: str) -> bool:
    """Tell whether the journal itself holds anything; the list is built from it and may be behind."""
    return get_store(project).head() > 0


def matching(project: str, query: Query, now: datetime) -> QuerySet[RunSummary]:
    """Return the project's runs that a query without problems asks for, newest first."""
    return _newest(project).filter(_asked(query, now))


def _newest(project: str) -> QuerySet[RunSummary]:
    return searchable(RunSummary.objects.filter(project=project)).order_by("-started_us", "-id")


def _asked(query: Query, now: datetime) -> Q:
    return condition(query, now) if not query.problems else Q()


# --- Rows -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Found:
    runs: Sequence[RunSummary]
    older: str
    newer: str


def _rows(project: str, asked: Q, before: str, after: str) -> _Found:
    runs = _newest(project).filter(asked)
    if start := _key(after):
        newer = list(runs.filter(_beyond(start, "gt")).order_by("started_us", "id")[: PAGE + 1])
        if len(newer) >= PAGE:  # fewer: the newest page shows them, and is full
            shown = newer[:PAGE][::-1]
            return _Found(runs=shown, older=_cursor(shown[-1]), newer=_cursor(shown[0]) if len(newer) > PAGE else "")
    start = _key(before)
    found = list((runs.filter(_beyond(start, "lt")) if start else runs)[: PAGE + 1])
    shown = found[:PAGE]
    return _Found(
        runs=shown,
        older=_cursor(shown[-1]) if len(found) > PAGE else "",
        newer=_cursor(shown[0]) if start and shown else "",
    )


def _beyond(key: tuple[int, int], direction: str) -> Q:
    """Return what lies behind a key. The first condition alone is what the index can walk along."""
    started, at = key
    return Q(**{f"started_us__{direction}e": started}) & (
        Q(**{f"started_us__{direction}": started}) | Q(**{f"id__{direction}": at})
    )


def _cursor(run: RunSummary) -> str:
    return f"{run.started_us}.{run.pk}"


def _key(cursor: str) -> tuple[int, int] | None:
    match = _CURSOR.fullmatch(cursor)
    return (int(match[1]), int(match[2])) if match and cursor.isascii() else None


def _as_rows(project: str, runs: Sequence[RunSummary], now: datetime) -> list[RunRow]:
    peak = peak_of([run.shape for run in runs])
    parents = {run.parent_run for run in runs if run.parent_run}
    titles = dict(RunSummary.objects.filter(project=project, stream__in=parents).values_list("stream", "title"))
    return [_as_row(run, peak, titles, now) for run in runs]


def _as_row(run: RunSummary, peak: int, titles: dict[str, str], now: datetime) -> RunRow:
    return RunRow(
        stream=run.stream, title=run.title, status=run.status, quiet_ms=_quiet_ms(run, now),
        agent=run.agent, model=run.model, shape=sparkline(run.shape, events=run.events, peak=peak), events=run.events,
        duration_ms=run.duration_ms, cost_usd=run.cost_usd, tool_errors=run.tool_errors, first_error=run.first_error,
        outcome=run.outcome, user=run.subject, started_us=run.started_us if run.time_known else None,
        parent=run.parent_run, parent_title=titles.get(run.parent_run, ""), is_synthetic=run.synthetic,
    )  # fmt: skip


def _quiet_ms(run: RunSummary, now: datetime) -> float | None:
    """Return the time since the newest event; a source without times says nothing about it."""
    return now.timestamp() * 1000 - run.newest_us / 1000 if run.time_known else None


# --- Counts -----------------------------------------------------------------------------------------------------------


def _counts(project: str, asked: Q, now: datetime) -> dict[str, int]:
    """Count, in one pass over the newest runs, how many match the query and each view."""
    conditions = {"matching": asked, **{view.slug: condition(parse(view.query), now) for view in VIEWS}}
    newest = _newest(project).annotate(
        **{f"is_{at}": _one_where(wanted) for at, wanted in enumerate(conditions.values())}
    )
    numbers = newest[:COUNTED].aggregate(
        counted=Count("pk"), **{f"n_{at}": Count(f"is_{at}") for at in range(len(conditions))}
    )
    return {"counted": numbers["counted"], **{name: numbers[f"n_{at}"] for at, name in enumerate(conditions)}}


def _one_where(wanted: Q) -> Any:
    return Case(When(wanted, then=1), output_field=IntegerField()) if wanted else F("pk")


def _tabs(query: Query, counts: dict[str, int]) -> list[Tab]:
    more = "+" if counts["counted"] >= COUNTED else ""
    typed = " ".join(query.text.split())
    return [Tab(view=view, count=f"{counts[view.slug]:,}{more}", is_here=typed == view.query) for view in VIEWS]


# --- What can be asked ------------------------------------------------------------------------------------------------


def _known_values(project: str) -> dict[str, Counter[str]]:
    """Return how often the newest runs have each value of the keys that the menu offers."""
    known: dict[str, Counter[str]] = {key: Counter() for key in _FACETS}
    newest = RunSummary.objects.filter(project=project).order_by("-started_us", "-id")
    for agent, model, tools, source, user in newest.values_list("agent", "model", "tools", "source", "subject")[
        :_FACET_RUNS
    ]:
        known["tool"].update(tool for tool in tools if isinstance(tool, str))
        for key, value in zip(("agent", "model", "source", "user"), (agent, model, source, user), strict=True):
            known[key].update([value] if value else [])
    return known


def _facets(query: Query, known: dict[str, Counter[str]]) -> list[Facet]:
    values = {
        "status": KEYS["status"].words[:3], "outcome": KEYS["outcome"].words[:3],
        **{key: [value for value, _count in found.most_common(_FACET_VALUES)] for key, found in known.items()},
        "last": ("24h", "7d", "30d"),
    }  # fmt: skip
    facets = [
        Facet(name=f"{key}:", choices=[_choice(query, key, value) for value in found]) for key, found in values.items()
    ]
    facets.append(Facet(name="only", choices=_conditions(query)))
    return [facet for facet in facets if facet.choices]


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


def _suggestion(query: Query, known: dict[str, Counter[str]]) -> Suggestion | None:
    """Return the first value of the query that none of the newest runs has but nearly has."""
    for term in query.terms:
        found = _near(query, term, known)
        if found is not None:
            return found
    return None


def _near(query: Query, term: Term, known: dict[str, Counter[str]]) -> Suggestion | None:
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

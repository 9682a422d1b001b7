"""What the run list shows: one page of runs, what matches, and what can be asked.

Pages are cut by key (start, id), so that runs which arrive meanwhile neither hide a row nor show one twice. Nothing
counts the whole table: counts look at the newest `COUNTED` runs, and what there is beyond is estimated and said so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django.db.models import Case, Count, F, IntegerField, Q, QuerySet, When

from explorer.listed import LISTED
from explorer.models import RunSummary
from explorer.queries.run_filters import condition, searchable
from explorer.queries.run_texts import Texts, texts_of
from explorer.queries.run_values import Facet, Suggestion, facets, known_values, suggestion
from explorer.queries.run_views import BUILT_IN, Tab, View, tabs
from explorer.query_language import Part, Query, parse, parts
from explorer.search import Passage
from explorer.sparkline import Sparkline, peak_of, sparkline
from explorer.verdicts import Verdicts, verdicts_of
from journal.store import get_store

PAGE: Final = 50
COUNTED: Final = 10_000
_LIVE_FOR: Final = timedelta(hours=1)
_BAD_OUTCOMES: Final = frozenset({"failure", "error"})
_CURSOR: Final = re.compile(r"(-?\d{1,18})\.(\d{1,18})")


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
    verdicts: Verdicts
    is_synthetic: bool
    hit: Passage | None

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
        """Whether it was given up, or its source says that it failed."""
        return self.status == "aborted" or self.outcome in _BAD_OUTCOMES

    @property
    def needs_a_look(self) -> bool:
        """Whether a rule fails, or the source says that the run failed."""
        return bool(self.verdicts.fails) or self.outcome in _BAD_OUTCOMES


@dataclass(frozen=True, kw_only=True)
class RunPage:
    """A page of the run list. `older` and `newer` are cursors, empty where there is nothing; `cursor` is its own."""

    query: Query
    view: str
    rows: list[RunRow]
    older: str
    newer: str
    cursor: dict[str, str]
    matching: int
    counted: int
    estimated: int
    texts: Texts
    tabs: list[Tab]
    facets: list[Facet]
    suggestion: Suggestion | None

    @property
    def is_counted_whole(self) -> bool:
        """Whether the project has no more runs than were counted."""
        return self.counted < COUNTED

    @property
    def match_sentence(self) -> str:
        """How many match: counted where that is the whole of them, else estimated from the newest."""
        if self.is_counted_whole:
            return f"{self.matching:,} match"
        return f"about {_rounded(self.matching * self.estimated / self.counted):,} match"

    @property
    def tab(self) -> Tab | None:
        """The tab the reader is in."""
        return next((tab for tab in self.tabs if tab.is_here), None)

    @property
    def parts(self) -> list[Part]:
        """The parts of the query, each with the query that is left without it."""
        return parts(self.query)

    @property
    def here(self) -> str:
        """The address of this very page, without a run beside it."""
        return self._address(**self.cursor)

    @property
    def peeking(self) -> str:
        """The same with a run beside it, up to that run's name."""
        return self._address(**self.cursor, peek="")

    @property
    def older_address(self) -> str:
        """Where the next page is."""
        return self._address(before=self.older)

    @property
    def newer_address(self) -> str:
        """Where the page before is."""
        return self._address(after=self.newer)

    def _address(self, **cursor: str) -> str:
        said = {"view": self.view, "q": self.query.text} if self.view else {"q": self.query.text}
        return f"?{urlencode({**said, **cursor} if self.query.text or self.view else cursor)}"


def run_page(  # noqa: PLR0913 - what an address of the list holds
    project: str, *, q: str, before: str, after: str, now: datetime, views: Sequence[View] = BUILT_IN, view: str = ""
) -> RunPage:
    """Return the page of runs older than `before` or newer than `after`, the newest where both are empty or unknown."""
    query = parse(q)
    texts = texts_of(project, query)
    asked = _asked(query, now, texts)
    counts = _counts(project, asked, now, views)
    found = _rows(project, asked, before, after) if not query.problems else _Found(runs=[], older="", newer="")
    known = known_values(project)
    return RunPage(
        query=query,
        view=view,
        rows=_as_rows(project, found.runs, texts, now),
        older=found.older,
        newer=found.newer,
        cursor={name: value for name, value in (("before", before), ("after", after)) if _key(value)},
        matching=0 if query.problems else counts["matching"],
        counted=counts["counted"],
        estimated=_estimated(project, counts["counted"]),
        texts=texts,
        tabs=tabs(list(views), query, view, _as_words(counts)),
        facets=facets(query, known),
        suggestion=None if found.runs else suggestion(query, known),
    )


def has_events(project: str) -> bool:
    """Tell whether the journal itself holds anything; the list is built from it and may be behind."""
    return get_store(project).head() > 0


def matching(project: str, query: Query, now: datetime) -> QuerySet[RunSummary]:
    """Return the project's runs that a query without problems asks for, newest first."""
    return _newest(project).filter(_asked(query, now, texts_of(project, query)))


def run_list(project: str, query: Query, *, cursor: str, limit: int, now: datetime) -> tuple[list[RunSummary], str]:
    """Return up to `limit` runs older than a cursor, and the cursor of the next ones; empty where there are none.

    Raises:
        ValueError: `cursor` is none.
    """
    start = _key(cursor)
    if cursor and start is None:
        raise ValueError(cursor)
    runs = matching(project, query, now)
    found = list((runs.filter(_beyond(start, "lt")) if start else runs)[: limit + 1])
    shown = found[:limit]
    return shown, _cursor(shown[-1]) if len(found) > limit else ""


def _newest(project: str) -> QuerySet[RunSummary]:
    return searchable(RunSummary.objects.filter(LISTED, project=project)).order_by("-started_us", "-id")


def _asked(query: Query, now: datetime, texts: Texts) -> Q:
    return condition(query, now, texts) if not query.problems else Q()


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


def _as_rows(project: str, runs: Sequence[RunSummary], texts: Texts, now: datetime) -> list[RunRow]:
    hits = texts.passages([run.stream for run in runs])
    peak = peak_of([run.shape for run in runs])
    parents = {run.parent_run for run in runs if run.parent_run}
    titles = dict(RunSummary.objects.filter(project=project, stream__in=parents).values_list("stream", "title"))
    return [_as_row(run, peak, titles, hits.get(run.stream), now) for run in runs]


def _as_row(run: RunSummary, peak: int, titles: dict[str, str], hit: Passage | None, now: datetime) -> RunRow:
    verdicts = verdicts_of(run.verdicts)
    first = verdicts.first
    return RunRow(
        stream=run.stream, title=run.title, status=run.status, quiet_ms=_quiet_ms(run, now),
        agent=run.agent, model=run.model, events=run.events, verdicts=verdicts,
        shape=sparkline(run.shape, events=run.events, peak=peak, rule_failure=first.version if first else None),
        duration_ms=run.duration_ms, cost_usd=run.cost_usd, tool_errors=run.tool_errors, first_error=run.first_error,
        outcome=run.outcome, user=run.subject, started_us=run.started_us if run.time_known else None,
        parent=run.parent_run, parent_title=titles.get(run.parent_run, ""), is_synthetic=run.synthetic,
        hit=hit,
    )  # fmt: skip


def _quiet_ms(run: RunSummary, now: datetime) -> float | None:
    """Return the time since the newest event; a source without times says nothing about it."""
    return now.timestamp() * 1000 - run.newest_us / 1000 if run.time_known else None


# --- Counts -----------------------------------------------------------------------------------------------------------


def _counts(project: str, asked: Q, now: datetime, views: Sequence[View]) -> dict[str, int]:
    """Count, in one pass over the newest runs, how many match the query and each view."""
    countable = [view for view in views if view.can_be_counted]
    conditions = {"matching": asked, **{view.slug: condition(parse(view.query), now) for view in countable}}
    newest = _newest(project).annotate(
        **{f"is_{at}": _one_where(wanted) for at, wanted in enumerate(conditions.values())}
    )
    numbers = newest[:COUNTED].aggregate(
        counted=Count("pk"), **{f"n_{at}": Count(f"is_{at}") for at in range(len(conditions))}
    )
    return {"counted": numbers["counted"], **{name: numbers[f"n_{at}"] for at, name in enumerate(conditions)}}


def _one_where(wanted: Q) -> Any:
    return Case(When(wanted, then=1), output_field=IntegerField()) if wanted else F("pk")


def _as_words(counts: Mapping[str, int]) -> dict[str, str]:
    more = "+" if counts["counted"] >= COUNTED else ""
    return {name: f"{count:,}{more}" for name, count in counts.items()}


def _estimated(project: str, counted: int) -> int:
    """Return about how many runs the project has.

    Three rows found by index instead of a count of all: as dense as the newest `COUNTED` runs lie among the ids, so
    dense the rest is taken to be, back to the oldest.
    """
    if counted < COUNTED:
        return counted
    rows = (
        RunSummary.objects.filter(LISTED, project=project).order_by("-started_us", "-id").values_list("pk", flat=True)
    )
    newest, last, oldest = (int(found[0]) for found in (rows, rows[counted - 1 :], rows.reverse()))
    return max(counted, round(counted * (newest - oldest + 1) / max(newest - last + 1, counted)))


def _rounded(number: float) -> int:
    """Return a number in three figures: an estimate pretends to no more."""
    if number < 1:
        return 0
    spare = max(0, math.floor(math.log10(number)) - 2)
    return round(round(number), -spare)

"""The events of a run as rows of the list and marks of the minimap.

Each function is one query whatever the run's length; a window of rows and the buckets of the minimap are bounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from django.db.models import Q

from explorer.gaps import idle_after_us
from explorer.layout import Mark
from explorer.models import EventLine, RunMap, RunSummary
from explorer.queries.run_address import Address
from explorer.run_map import marks_of as marks_in
from explorer.search import Passage
from explorer.verdicts import Verdict, verdicts_of
from journal.domain.agent_run import CATEGORY

WINDOW: Final = 80
"""Versions in the window that a page opens with, and the rows that the list goes on holding."""

CHUNK: Final = 40
"""Versions that come in, and go, together when the list is scrolled."""

QUIET: Final = frozenset({"unknown", "event", "memory_written"})
"""Kinds that say little of what an agent did: in its runs several in a row share one row, which counts them."""

_FEWEST_QUIET: Final = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One row of the list: an event, or several where `first` is not the line's own version.

    Those are a model call with its response, and `quiet` events; `idle_us` is how long nothing happened before.
    """

    line: EventLine
    first: int
    is_cursor: bool
    is_ancestor: bool
    is_rail: bool
    href: str
    quiet: int = 0
    idle_us: int | None = None
    verdict: Verdict | None = None
    hit: Passage | None = None
    lead: str = ""
    rest: str = ""

    @property
    def numbers(self) -> str:
        """Return "23", or "21–22" where the row stands for several."""
        return str(self.line.version) if self.first == self.line.version else f"{self.first}–{self.line.version}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """Rows that come and go together."""

    rows: tuple[Row, ...]
    first: int
    last: int

    @property
    def folded(self) -> int:
        """Return how many model calls share the row of their response."""
        return sum(row.first != row.line.version and not row.quiet for row in self.rows)

    @property
    def quiet(self) -> int:
        """Return how many quiet events have no row of their own."""
        return sum(row.quiet for row in self.rows)


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A contiguous part of the list. `before` and `after` are the versions next to it, None at the run's ends."""

    chunks: tuple[Chunk, ...]
    first: int
    last: int
    before: int | None
    after: int | None

    @property
    def rows(self) -> tuple[Row, ...]:
        """Return the rows of all chunks."""
        return tuple(row for chunk in self.chunks for row in chunk.rows)

    @property
    def folded(self) -> int:
        """Return how many model calls share the row of their response."""
        return sum(chunk.folded for chunk in self.chunks)

    @property
    def quiet(self) -> int:
        """Return how many quiet events have no row of their own."""
        return sum(chunk.quiet for chunk in self.chunks)


def window_of(  # noqa: PLR0913 - bounds, marks and links of one window
    run: RunSummary,
    address: Address,
    *,
    after: int,
    until: int,
    cursor: int | None,
    ancestors: Iterable[int] = (),
    hits: Mapping[int, Passage] = MappingProxyType({}),
) -> Window:
    """Return the rows of the versions in ``(after, until]``: at most `WINDOW`, none missing between them.

    Without a `cursor` no row is marked. A model call is folded into its response, quiet events into one row, unless
    the address asks for every event. `hits` are the passages of a search by version.
    """
    lines = list(
        EventLine.objects.filter(run=run, version__gte=after, version__lte=until)
        .only("version", "kind", "summary", "tool", "is_error", "folded_into", "took_ms", "occurred_us", "time_known")
        .order_by("version")
    )
    rows = _Rows(run, address, cursor=cursor, ancestors=ancestors, hits=hits).of(lines, after=after)
    chunks = _chunks(rows)
    first, last = (chunks[0].first, chunks[-1].last) if chunks else (after + 1, after)
    return Window(
        chunks=chunks,
        first=first,
        last=last,
        before=first - 1 if first > 1 else None,
        after=last + 1 if last < run.events else None,
    )


def _chunks(rows: Sequence[Row]) -> tuple[Chunk, ...]:
    parts = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    return tuple(Chunk(rows=tuple(part), first=part[0].first, last=part[-1].line.version) for part in parts)


def around(version: int, events: int) -> tuple[int, int]:
    """Return the bounds of the window that has `version` in its middle, as far as the run's ends allow."""
    after = max(0, min(version - WINDOW // 2, events - WINDOW))
    return after, after + WINDOW


class _Rows:
    """Makes rows of lines: what belongs together in one, with what the page marks on it."""

    def __init__(
        self,
        run: RunSummary,
        address: Address,
        *,
        cursor: int | None,
        ancestors: Iterable[int],
        hits: Mapping[int, Passage],
    ) -> None:
        self._hits = hits
        self._address = address
        self._cursor = cursor
        self._ancestors = frozenset(ancestors)
        self._oldest = min(self._ancestors, default=None)
        self._is_raw = address.rows == "raw"
        self._folds_quiet = not self._is_raw and run.category == CATEGORY
        self._idle_us = idle_after_us(run.gaps)
        self._verdicts = verdicts_of(run.verdicts)

    def of(self, lines: Sequence[EventLine], *, after: int) -> list[Row]:
        """Return the rows past `after`; a line before it only says when the first of them was preceded."""
        shown: list[tuple[EventLine, int]] = []
        folded: dict[int, int] = {}
        for line in lines:
            if line.folded_into is not None and not self._is_raw:
                folded[line.folded_into] = line.version
            elif line.version > after:
                shown.append((line, folded.get(line.version, line.version)))
        times = {line.version: line for line in lines}
        return [self._row(group, times) for group in self._groups(shown)]

    def _groups(self, shown: Sequence[tuple[EventLine, int]]) -> list[list[tuple[EventLine, int]]]:
        groups: list[list[tuple[EventLine, int]]] = []
        for line, first in shown:
            if groups and self._is_quiet(line) and self._is_quiet(groups[-1][-1][0]):
                groups[-1].append((line, first))
            else:
                groups.append([(line, first)])
        return groups

    def _is_quiet(self, line: EventLine) -> bool:
        return self._folds_quiet and line.kind in QUIET

    def _row(self, group: Sequence[tuple[EventLine, int]], times: dict[int, EventLine]) -> Row:
        line, first = group[-1][0], group[0][1]
        quiet = len(group) if len(group) >= _FEWEST_QUIET else 0
        cursor, oldest = self._cursor, self._oldest
        lead, rest = ("", "") if quiet else parts_of(line.kind, line.tool, line.summary)
        return Row(
            line=line,
            first=first,
            is_cursor=cursor is not None and first <= cursor <= line.version,
            is_rail=cursor is not None and oldest is not None and oldest <= line.version and first <= cursor,
            is_ancestor=any(first <= version <= line.version for version in self._ancestors),
            href=self._address.at(line.version),
            quiet=quiet,
            idle_us=self._idle(times.get(first - 1), times[first]),
            verdict=next(filter(None, map(self._verdicts.at, range(first, line.version + 1))), None),
            hit=next(filter(None, map(self._hits.get, range(first, line.version + 1))), None),
            lead=lead,
            rest=rest,
        )

    def _idle(self, before: EventLine | None, line: EventLine) -> int | None:
        """Return how long nothing had happened, where that is long for this run."""
        if before is None or self._idle_us is None or not (before.time_known and line.time_known):
            return None
        waited = line.occurred_us - before.occurred_us
        return waited if waited > self._idle_us else None


def parts_of(kind: str, tool: str, summary: str) -> tuple[str, str]:
    """Split a sentence where its weight changes: behind the tool of a decision, before the reason of a failure."""
    lead = {"reasoned": f"Call {tool}", "tool_failed": f"{tool} failed: "}.get(kind, "")
    if not tool or not lead or not summary.startswith(lead):
        return "", summary
    return (tool if kind == "reasoned" else lead.strip()), summary[len(lead) :].strip()


def marks_of(run: RunSummary) -> list[Mark]:
    """Return what the minimap draws, from the buckets that the projection keeps."""
    kept = RunMap.objects.filter(run=run).first()
    return marks_in(kept.data, run.events) if kept is not None else []


def relatives_of(run: RunSummary) -> tuple[RunSummary | None, tuple[RunSummary, ...]]:
    """Return the run that started this one, and the runs that this one started."""
    family = RunSummary.objects.filter(project=run.project).filter(
        Q(parent_run=run.stream) | Q(stream=run.parent_run or "-")
    )
    found = list(family.order_by("started_us", "id")[:12])
    parent = next((other for other in found if other.stream == run.parent_run), None)
    return parent, tuple(other for other in found if other.parent_run == run.stream)

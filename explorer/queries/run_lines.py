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

CALLS: Final = frozenset({"model_called", "reasoned"})
"""Kinds that an answer follows."""

_FEWEST_QUIET: Final = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One row of the list: an event, or several from `first` to `last`, of which `line` is the one it goes by.

    Several are a model call with its response, a tool call with its `result`, or `quiet` events; `idle_us` is how long
    nothing happened before; `waits_since_us` is when a call began that has no answer yet.
    """

    line: EventLine
    first: int
    last: int
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
    result: str = ""
    took_ms: float | None = None
    waits_since_us: int | None = None

    @property
    def numbers(self) -> str:
        """Return "23", or "21–22" where the row stands for several."""
        return str(self.last) if self.first == self.last else f"{self.first}–{self.last}"

    @property
    def folded(self) -> int:
        """Return how many events share the row of another one; quiet ones are counted apart."""
        return 0 if self.quiet else self.last - self.first


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """Rows that come and go together."""

    rows: tuple[Row, ...]
    first: int
    last: int

    @property
    def folded(self) -> int:
        """Return how many model calls and tool results share the row of a response or a call."""
        return sum(row.folded for row in self.rows)

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
        """Return how many model calls and tool results share the row of a response or a call."""
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

    Without a `cursor` no row is marked. A model call is folded into its response, a tool's result into its call, quiet
    events into one row, unless the address asks for every event. What belongs together is not torn at either end: the
    row of both may reach one version past a bound. `hits` are the passages of a search by version.
    """
    lines = list(
        EventLine.objects.filter(run=run, version__gte=after - 1, version__lte=until + 1)
        .only("version", "kind", "summary", "tool", "pair", "folded_into", "took_ms", "occurred_us", "time_known")
        .order_by("version")
    )
    rows = _Rows(run, address, cursor=cursor, ancestors=ancestors, hits=hits).of(lines, after=after, until=until)
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
    return tuple(Chunk(rows=tuple(part), first=part[0].first, last=part[-1].last) for part in parts)


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
        self._is_running = run.status == "running"
        self._folds_quiet = not self._is_raw and run.category == CATEGORY
        self._idle_us = idle_after_us(run.gaps)
        self._verdicts = verdicts_of(run.verdicts)

    def of(self, lines: Sequence[EventLine], *, after: int, until: int) -> list[Row]:
        """Return the rows of ``(after, until]``; lines beyond say what one of them shares its row with, or waited."""
        times = {line.version: line for line in lines}
        groups = self._groups(lines, ends=(after, until))
        wanted = (group for group in groups if group[-1].version > after and group[0].version <= until)
        return [self._row(group, times) for group in wanted if not self._is_torn(group)]

    def _groups(self, lines: Sequence[EventLine], *, ends: tuple[int, int]) -> list[list[EventLine]]:
        groups: list[list[EventLine]] = []
        for line in lines:
            if groups and self._shares_a_row(groups[-1][-1], line, ends):
                groups[-1].append(line)
            else:
                groups.append([line])
        return groups

    def _shares_a_row(self, before: EventLine, line: EventLine, ends: tuple[int, int]) -> bool:
        """Tell whether an event stands in the row of the one right before it; at the ends quiet ones begin anew."""
        if self._is_raw:
            return False
        if before.folded_into == line.version or is_folded_result(line):
            return True
        return self._is_quiet(line) and self._is_quiet(before) and before.version not in ends

    def _is_torn(self, group: Sequence[EventLine]) -> bool:
        """Tell whether the response that a model call stands in lies beyond what was read: it comes with that."""
        return not self._is_raw and group[-1].folded_into is not None

    def _is_quiet(self, line: EventLine) -> bool:
        return self._folds_quiet and line.kind in QUIET

    def _row(self, group: Sequence[EventLine], times: dict[int, EventLine]) -> Row:
        first, last = group[0].version, group[-1].version
        result = group[-1] if len(group) > 1 and is_folded_result(group[-1]) else None
        line = group[0] if result is not None else group[-1]
        quiet = len(group) if len(group) >= _FEWEST_QUIET and self._is_quiet(group[0]) else 0
        cursor, oldest = self._cursor, self._oldest
        lead, rest = ("", "") if quiet else parts_of(line.kind, line.tool, line.summary)
        return Row(
            line=line,
            first=first,
            last=last,
            is_cursor=cursor is not None and first <= cursor <= last,
            is_rail=cursor is not None and oldest is not None and oldest <= last and first <= cursor,
            is_ancestor=any(version in self._ancestors for version in range(first, last + 1)),
            href=self._address.at(line.version),
            quiet=quiet,
            idle_us=self._idle(times.get(first - 1), times[first]),
            verdict=next(filter(None, map(self._verdicts.at, range(first, last + 1))), None),
            hit=next(filter(None, map(self._hits.get, range(first, last + 1))), None),
            lead=lead,
            rest=rest,
            result=_result(result) if result is not None else "",
            took_ms=None if quiet else (result or line).took_ms,
            waits_since_us=line.occurred_us if self._waits(line) else None,
        )

    def _waits(self, line: EventLine) -> bool:
        """Tell whether a call has no answer yet, in a run that goes on."""
        is_open = line.pair is None and line.folded_into is None and line.took_ms is None
        return self._is_running and line.kind in CALLS and line.time_known and is_open

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


def _result(line: EventLine) -> str:
    """Return what a result says beside its call, which has named the tool."""
    return line.summary.removeprefix(f"{line.tool} returned ")


def is_folded_result(line: EventLine) -> bool:
    """Tell whether a result stands in the row of its call, right before it. A failure always has a row of its own."""
    return line.kind == "tool_returned" and line.pair == line.version - 1


def row_of(line: EventLine, address: Address) -> int:
    """Return the version that the row goes by in which an event stands; quiet rows apart, where it is its own."""
    if address.rows == "raw":
        return line.version
    return line.version - 1 if is_folded_result(line) else line.folded_into or line.version


def marks_of(run: int, events: int) -> list[Mark]:
    """Return what the minimap of a run of so many events draws, from the buckets that the projection keeps."""
    kept = RunMap.objects.filter(run=run).first()
    return marks_in(kept.data, events) if kept is not None else []


def relatives_of(run: RunSummary) -> tuple[RunSummary | None, tuple[RunSummary, ...]]:
    """Return the run that started this one, and the runs that this one started."""
    family = RunSummary.objects.filter(project=run.project).filter(
        Q(parent_run=run.stream) | Q(stream=run.parent_run or "-")
    )
    found = list(family.order_by("started_us", "id")[:12])
    parent = next((other for other in found if other.stream == run.parent_run), None)
    return parent, tuple(other for other in found if other.parent_run == run.stream)

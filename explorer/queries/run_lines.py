"""The events of a run as rows of the list, marks of the minimap and nodes of the graph.

Each function is one query whatever the run's length; a window of rows and the buckets of the minimap are bounded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from django.db.models import Count, F, Max, Q, Value

from explorer.layout import Mark, bucket_count
from explorer.models import EventLine, RunSummary
from explorer.queries.run_address import Address

WINDOW: Final = 80
"""Versions in one window of the list."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One row of the list. `first` is the folded model call's version where the row stands for two events."""

    line: EventLine
    first: int
    is_cursor: bool
    is_ancestor: bool
    is_rail: bool
    href: str
    lead: str = ""
    rest: str = ""

    @property
    def numbers(self) -> str:
        """Return "23", or "21–22" for a folded pair."""
        return str(self.line.version) if self.first == self.line.version else f"{self.first}–{self.line.version}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A contiguous part of the list. `before` and `after` are the versions next to it, None at the run's ends."""

    rows: tuple[Row, ...]
    first: int
    last: int
    folded: int
    before: int | None
    after: int | None


def window_of(  # noqa: PLR0913 - bounds, mark and links of one window
    run: RunSummary, address: Address, *, after: int, until: int, cursor: int | None, ancestors: Iterable[int] = ()
) -> Window:
    """Return the rows of the versions in ``(after, until]``: at most `WINDOW`, none missing between them.

    Without a `cursor` no row is marked.
    """
    lines = list(
        EventLine.objects.filter(run=run, version__gte=after, version__lte=until)
        .only("version", "kind", "summary", "tool", "is_error", "folded_into", "took_ms", "occurred_us", "time_known")
        .order_by("version")
    )
    folded = {line.folded_into: line.version for line in lines if line.folded_into is not None}
    above = frozenset(ancestors)
    shown = [line for line in lines if line.folded_into is None and line.version > after]
    rows = tuple(_row(line, folded.get(line.version, line.version), cursor, above, address) for line in shown)
    first, last = (rows[0].first, rows[-1].line.version) if rows else (after + 1, after)
    return Window(
        rows=rows,
        first=first,
        last=last,
        folded=sum(row.first != row.line.version for row in rows),
        before=first - 1 if first > 1 else None,
        after=last + 1 if last < run.events else None,
    )


def around(version: int, events: int) -> tuple[int, int]:
    """Return the bounds of the window that has `version` in its middle, as far as the run's ends allow."""
    after = max(0, min(version - WINDOW // 2, events - WINDOW))
    return after, after + WINDOW


def _row(line: EventLine, first: int, cursor: int | None, ancestors: frozenset[int], address: Address) -> Row:
    is_rail = cursor is not None and bool(ancestors) and min(ancestors) <= line.version and first <= cursor
    lead, rest = _parts(line)
    return Row(
        line=line,
        first=first,
        is_cursor=cursor is not None and first <= cursor <= line.version,
        is_rail=is_rail,
        is_ancestor=bool(ancestors.intersection((first, line.version))),
        href=address.at(line.version),
        lead=lead,
        rest=rest,
    )


def _parts(line: EventLine) -> tuple[str, str]:
    """Split a sentence where its weight changes: behind the tool of a decision, before the reason of a failure."""
    lead = {"reasoned": f"Call {line.tool}", "tool_failed": f"{line.tool} failed: "}.get(line.kind, "")
    if not line.tool or not lead or not line.summary.startswith(lead):
        return "", line.summary
    return (line.tool if line.kind == "reasoned" else lead.strip()), line.summary[len(lead) :].strip()


def marks_of(run: RunSummary) -> list[Mark]:
    """Return what the minimap draws: events by bucket and kind, grouped by the database."""
    columns, events = bucket_count(run.events), max(1, run.events)
    scaled = (F("version") - Value(1)) * Value(columns)
    bucket = (scaled - scaled % Value(events)) / Value(events)  # whole also where `/` of whole numbers is not
    grouped = (
        EventLine.objects.filter(run=run)
        .order_by()
        .annotate(bucket=bucket)
        .values("bucket", "kind")
        .annotate(count=Count("pk"), context=Max("context_bytes"))
        .values_list("bucket", "kind", "count", "context")
        .order_by("bucket", "kind")
    )
    return [
        Mark(bucket=min(int(place), columns - 1), kind=kind, count=count, context_bytes=context)
        for place, kind, count, context in grouped
    ]


def relatives_of(run: RunSummary) -> tuple[RunSummary | None, tuple[RunSummary, ...]]:
    """Return the run that started this one, and the runs that this one started."""
    family = RunSummary.objects.filter(project=run.project).filter(
        Q(parent_run=run.stream) | Q(stream=run.parent_run or "-")
    )
    found = list(family.order_by("started_us", "id")[:12])
    parent = next((other for other in found if other.stream == run.parent_run), None)
    return parent, tuple(other for other in found if other.parent_run == run.stream)


def lines_of(run: RunSummary, *, versions: Iterable[int], ids: Iterable[str]) -> list[EventLine]:
    """Return the run's events at `versions` and the project's events with `ids`, in the journal's order."""
    wanted = Q(run=run, version__in=list(versions)) | Q(event_id__in=list(ids), run__project=run.project)
    return list(EventLine.objects.filter(wanted).select_related("run").order_by("position"))

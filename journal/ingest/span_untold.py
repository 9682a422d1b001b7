"""Received traces of which no run was made: those that could not be told, and those that hold nothing to tell.

Nothing of them is in the journal, so that no page of runs shows them. Whoever sends spans and sees no run looks here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec
from django.db.models import Count, Min, Q, QuerySet

from journal.ingest.span_inbox import item_of, micros
from journal.ingest.span_settler import ATTEMPTS
from journal.ingest.spans import Span
from journal.models import SpanRecord, SpanTrace

LISTED: Final = 50
_SERVICE: Final = "service.name"


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """How many traces of a project wait to be told, could not be, and hold nothing to tell.

    Those that could not be and are tried again are counted among `failed` alone. `since_us` is when the first of the
    failed ones was tried last.
    """

    waiting: int
    failed: int
    empty: int
    since_us: int | None


class Untold(msgspec.Struct, frozen=True, kw_only=True):
    """A trace without a run. `problem` is empty where there was nothing to tell; times are microseconds since 1970.

    `service` is what sent it, as the first record that came says, and `began_us` when that span began, by the clock of
    the sender; 0 where it says nothing. `last_us` is when something of it came last or telling it was tried last.
    """

    trace: str
    records: int
    service: str
    began_us: int
    last_us: int
    attempts: int
    problem: str
    gave_up: bool


def tally(project: str) -> Tally:
    """Count a project's traces: one query."""
    failed = ~Q(problem="")
    found = SpanTrace.objects.filter(project=project).aggregate(
        waiting=Count("id", filter=Q(waiting_us__isnull=False, problem="")),
        failed=Count("id", filter=failed),
        empty=Count("id", filter=_EMPTY),
        since_us=Min("last_us", filter=failed),
    )
    return Tally(**found)


_EMPTY: Final = Q(waiting_us__isnull=True, is_run=False, problem="")


def untold(project: str) -> list[Untold]:
    """Return the traces that could not be told, the newest first, and after them those with nothing to tell.

    Three queries; one record of each is read.
    """
    rows = SpanTrace.objects.filter(project=project)
    traces = [*_newest(rows.exclude(problem=""))]
    traces += _newest(rows.filter(_EMPTY))[: LISTED - len(traces)]
    firsts = _firsts([trace.pk for trace in traces])
    return [_untold(trace, firsts.get(trace.pk)) for trace in traces]


def try_again(project: str, trace: str, *, now: datetime) -> bool:
    """Let a trace that could not be told be tried from the beginning. False where the project has none of this name."""
    rows = SpanTrace.objects.filter(project=project, name=trace).exclude(problem="")
    return rows.update(attempts=0, waiting_us=micros(now), last_us=micros(now)) > 0


def _newest(rows: QuerySet[SpanTrace]) -> list[SpanTrace]:
    return list(rows.order_by("-last_us", "-id")[:LISTED])


def _firsts(traces: Sequence[int]) -> dict[int, SpanRecord]:
    """Return the record of each trace that came first."""
    ids = SpanRecord.objects.filter(trace_id__in=traces).values("trace_id").annotate(first=Min("id"))
    rows = SpanRecord.objects.filter(pk__in=[row["first"] for row in ids])
    return {row.trace_id: row for row in rows}


def _untold(trace: SpanTrace, first: SpanRecord | None) -> Untold:
    item = item_of(first) if first is not None else None
    named = item.resource.get(_SERVICE) if item is not None else None
    began_ns = 0 if item is None else item.start_ns if isinstance(item, Span) else item.at_ns
    return Untold(
        trace=trace.name,
        records=trace.news,
        service=named if isinstance(named, str) else "",
        began_us=began_ns // 1_000,
        last_us=trace.last_us,
        attempts=trace.attempts,
        problem=trace.problem,
        gave_up=bool(trace.problem) and trace.attempts >= ATTEMPTS,
    )

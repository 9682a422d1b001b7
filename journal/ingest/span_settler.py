"""Received spans to runs: a trace is told once it is quiet, and what comes later is added to what was told.

What is told depends on which records there are, and on nothing else: not on their order, nor on how they were batched,
nor on how often each came. Events are immutable, so that holds for what came before a run was first told. A record that
comes later adds its events at the end, whatever its time, and a note in the run says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import structlog
from django.db import transaction
from django.db.models import Q, QuerySet

from journal.domain import agent_run as run
from journal.domain.text import amount
from journal.errors import JournalError
from journal.ingest.draft import EventDraft, Ref
from journal.ingest.span_inbox import item_of, micros
from journal.ingest.span_reading import Reading
from journal.ingest.span_runs import cut_runs, draft_of, is_run
from journal.ingest.spans import Batch, Log, Span
from journal.ingest.writer import Prepared, Written, event_id, prepare, stream_of, write
from journal.models import SpanRecord, SpanTrace
from journal.runtime import lease
from journal.store import EventStore, get_store

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

FORMAT: Final = "otlp"
LEASE: Final = "received spans"
ROOTLESS: Final = 4
"""So many times as long as others waits a trace whose root has not ended: more of it is likely on its way."""

LONGEST: Final = 10
"""So many times as long a trace waits at most, where news keep coming."""

ATTEMPTS: Final = 5
JUNK_KEPT: Final = timedelta(days=1)
"""How long what made no run is kept after its last news, should a span of a model come yet."""

_AT_ONCE: Final = 200
_ROWS: Final = 500
_NAMED: Final = 5


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What one look came to."""

    traces: int = 0
    runs: tuple[Written, ...] = ()
    failed: int = 0


def settle_due(*, now: datetime, quiet: timedelta, at_once: bool = False) -> Settled:
    """Tell the traces that are quiet, in the order their first untold record came; all that wait where `at_once`.

    One process at a time: where another is at it, nothing is done. Safe to stop anywhere: a trace waits until all of
    it is told, and telling it again adds nothing.
    """
    if not SpanTrace.objects.filter(waiting_us__isnull=False).exists() and not _junk(now).exists():
        return Settled()  # the usual answer costs no write
    found: list[Written] = []
    traces, failed = 0, 0
    with lease.guard(LEASE) as term:
        if term is None:
            return Settled()
        seen: set[int] = set()
        for trace_id in _due(now, quiet, at_once=at_once):
            if trace_id in seen:
                continue
            term.check()
            group = _group(trace_id)
            seen |= {trace.pk for trace in group}
            if not at_once and not all(_is_quiet(trace, now, quiet) for trace in group):
                continue
            written = _settled(group, now)
            traces += len(group)
            failed += written is None
            found += written or []
        _junk(now).delete()
    return Settled(traces=traces, runs=tuple(found), failed=failed)


def waiting() -> int:
    """Return how many traces wait to be told."""
    return SpanTrace.objects.filter(waiting_us__isnull=False).count()


# --- Which traces -----------------------------------------------------------------------------------------------------


def _due(now: datetime, quiet: timedelta, *, at_once: bool) -> list[int]:
    rows = SpanTrace.objects.filter(waiting_us__isnull=False)
    if not at_once:
        rows = rows.filter(
            Q(is_rooted=True, last_us__lte=micros(now - quiet))
            | Q(last_us__lte=micros(now - ROOTLESS * quiet))
            | Q(waiting_us__lte=micros(now - LONGEST * quiet))
        )
    return list(rows.order_by("waiting_us", "id").values_list("id", flat=True)[:_AT_ONCE])


def _is_quiet(trace: SpanTrace, now: datetime, quiet: timedelta) -> bool:
    if trace.waiting_us is None:
        return True
    patience = quiet if trace.is_rooted else ROOTLESS * quiet
    return trace.last_us <= micros(now - patience) or trace.waiting_us <= micros(now - LONGEST * quiet)


def _group(trace_id: int) -> list[SpanTrace]:
    """Return a trace and all that may share a run with it, told or not: they name the same conversation or session."""
    first = SpanTrace.objects.get(pk=trace_id)
    found, hints, looking = {first.pk}, set[str](), {first.pk}
    while looking:
        named = _hints(looking) - hints
        hints |= named
        looking = _sharing(first.project, named) - found
        found |= looking
    return list(SpanTrace.objects.filter(pk__in=found).order_by("id"))


def _hints(traces: set[int]) -> set[str]:
    rows = SpanRecord.objects.filter(trace_id__in=traces).exclude(hint="")
    return set(rows.values_list("hint", flat=True).distinct())


def _sharing(project: str, hints: set[str]) -> set[int]:
    if not hints:
        return set()
    rows = SpanRecord.objects.filter(project=project, hint__in=hints)
    return set(rows.values_list("trace_id", flat=True).distinct())


def _junk(now: datetime) -> QuerySet[SpanTrace]:
    return SpanTrace.objects.filter(
        waiting_us__isnull=True, is_run=False, problem="", last_us__lte=micros(now - JUNK_KEPT)
    )


# --- Telling one group ------------------------------------------------------------------------------------------------


def _settled(group: Sequence[SpanTrace], now: datetime) -> list[Written] | None:
    """Tell the runs of a group; None where that failed, which is tried again and then left with its reason."""
    try:
        return _tell(group, now)
    except (JournalError, RecursionError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"[:2_000]
        log.warning("spans_not_told", project=group[0].project, trace=group[0].name, reason=reason)
        for trace in group:
            gives_up = trace.attempts + 1 >= ATTEMPTS
            SpanTrace.objects.filter(pk=trace.pk, news=trace.news, waiting_us__isnull=False).update(
                attempts=trace.attempts + 1,
                problem=reason,
                waiting_us=None if gives_up else micros(now),
                last_us=micros(now),
            )
        return None


def _tell(group: Sequence[SpanTrace], now: datetime) -> list[Written]:
    project = group[0].project
    store = get_store(project)
    records = _Records(group)
    found = []
    told: dict[str, str] = {}
    for run_id, members in cut_runs(records.batch, known=records.runs).items():
        if not is_run(members):
            continue
        told |= {reading.span.place: run_id for reading in members}
        found.append(_tell_run(store, run_id, members, now))
    with transaction.atomic():
        records.note(told)
        for trace in group:
            is_told = trace.is_run or any(place.startswith(f"{trace.name}/") for place in told)
            SpanTrace.objects.filter(pk=trace.pk, news=trace.news).update(waiting_us=None, is_run=is_told, problem="")
    return found


class _Records:
    """All records of a group, each span once, in an order that does not tell how they came."""

    def __init__(self, group: Sequence[SpanTrace]) -> None:
        rows = list(SpanRecord.objects.filter(trace_id__in=[trace.pk for trace in group]).order_by("digest"))
        items = [(row, item_of(row)) for row in rows]
        self._places = [(row, _place(item)) for row, item in items]
        self.runs = {place: row.run for row, place in self._places if row.run}
        spans: dict[str, tuple[Any, Span]] = {}
        for row, item in items:
            if isinstance(item, Span):
                rank = (item.end_ns, len(row.body), row.digest)
                if item.place not in spans or rank > spans[item.place][0]:
                    spans[item.place] = (rank, item)
        logs = [item for _row, item in items if isinstance(item, Log)]
        self.batch = Batch(spans=[spans[place][1] for place in sorted(spans)], logs=logs)

    def note(self, told: dict[str, str]) -> None:
        """Write down which run each record was told in."""
        by_run: dict[str, list[int]] = {}
        for row, place in self._places:
            if not row.run and place in told:
                by_run.setdefault(told[place], []).append(row.pk)
        for run_id, ids in by_run.items():
            for start in range(0, len(ids), _ROWS):
                SpanRecord.objects.filter(pk__in=ids[start : start + _ROWS]).update(run=run_id)


def _place(item: Span | Log) -> str:
    return item.place if isinstance(item, Span) else f"{item.trace}/{item.span_id or item.own_id}"


def _tell_run(store: EventStore, run_id: str, members: list[Reading], now: datetime) -> Written:
    known = _Known(store, run_id)
    told = {reading.span.place for reading in members if known.has_told(reading.span.place)}
    draft = draft_of(run_id, members, format_name=FORMAT, told=told)
    prepared = prepare(draft, format_name=FORMAT, project=store.project)
    if note := _late(prepared, known, members):
        prepared.drafts.append(note)
    return write(prepared, store=store, now=now)


class _Known:
    """Which events of a run the journal holds."""

    def __init__(self, store: EventStore, run_id: str) -> None:
        self._project, self._run_id = store.project, run_id
        self._ids = store.versions_of(stream_of(store.project, FORMAT, run_id))

    def has(self, key: str) -> bool:
        """Return whether the event of this key is there."""
        return bool(self._ids) and event_id(self._project, FORMAT, self._run_id, key) in self._ids

    def has_told(self, place: str) -> bool:
        """Return whether the span at this place gave a model's response or a tool's result."""
        return self.has(f"{place}:responded") or self.has(f"{place}:result")


def _late(prepared: Prepared, known: _Known, members: Iterable[Reading]) -> EventDraft | None:
    """Return a note on events that belong before others that the run has; None where all that is new comes last."""
    behind = False
    late: list[EventDraft] = []
    for draft in reversed(prepared.drafts):
        if known.has(draft.key):
            behind = True
        elif behind:
            late.append(draft)
    if not late:
        return None
    late.reverse()
    missing = _missing(members)
    text = (
        f"{amount(len(late), 'event')} came after this run was told: they stand at the end, in the order of their"
        " spans, and not where they happened."
    )
    if missing:
        shown = ", ".join(missing[:_NAMED]) + (f" and {len(missing) - _NAMED:,} more" if missing[_NAMED:] else "")
        text += f" Spans that others name as their parent and that did not come: {shown}."
    return EventDraft(
        key=f"late:{late[0].key}",
        event=run.Annotated(by=f"import:{FORMAT}", text=text, at_version=Ref(late[0].key), label="revised"),  # type: ignore[arg-type]
        actor=f"import:{FORMAT}",
    )


def _missing(members: Iterable[Reading]) -> list[str]:
    spans = [reading.span for reading in members]
    there = {span.place for span in spans}
    return sorted(
        {span.parent_id for span in spans if span.parent_id and f"{span.trace_id}/{span.parent_id}" not in there}
    )

"""Spans and log records that came over HTTP, kept before the sender is told so. Nothing here makes events of them.

What is kept is what came, once, however often it comes: a record's digest is its identity. Runs are made of it by
`journal.ingest.span_settler`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

import msgspec
from django.db import transaction
from django.db.models import BigIntegerField, Case, F, QuerySet, Value, When
from django.db.models.functions import Coalesce

from journal.ingest.dialects import DIALECTS, Meaning
from journal.ingest.otlp_wire import Record
from journal.ingest.span_reading import Reading
from journal.ingest.spans import Log, Span
from journal.models import SpanRecord, SpanTrace
from journal.runtime import redacting

MAX_RECORDS: Final = 100_000
"""Records of one trace: telling a run reads all of it."""

_TRACE_ID: Final = 32
_ROWS: Final = 500
_BIG: Final = BigIntegerField()
_MEANINGS: Final[tuple[Meaning, ...]] = ("conversation", "session")
_NAMES: Final = frozenset(
    name.partition(" > ")[0] for known in DIALECTS for meaning in _MEANINGS for name in known.names.get(meaning, ())
)
_MICRO: Final = timedelta(microseconds=1)
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What keeping came to: how many records are new, and how many were not taken since their trace is full."""

    added: int
    refused: int


class _New(msgspec.Struct, frozen=True, kw_only=True):
    """A record on its way in."""

    trace: str
    kind: str
    digest: str
    is_root: bool
    hint: str
    body: bytes


def micros(at: datetime) -> int:
    """Return a time as microseconds since 1970."""
    return (at - _EPOCH) // _MICRO


def keep(project: str, records: Iterable[Record], *, now: datetime) -> Kept:
    """Store the records that are not there yet. When this returns they are committed, as far as the database promises.

    A trace that gets something new waits to be told, from now on if it did not wait already; what is known already
    makes nothing wait longer.
    """
    redaction = redacting.in_use()
    given = {new.digest: new for new in (_new(record, redaction.raw(project, record.body)) for record in records)}
    with transaction.atomic():
        fresh = [given[digest] for digest in given.keys() - _known(project, list(given))]
        fresh.sort(key=lambda new: new.digest)
        traces = _traces(project, sorted({new.trace for new in fresh}), micros(now))
        taken = [new for new in fresh if traces[new.trace].news < MAX_RECORDS]
        _tell_traces(traces, taken, micros(now))
        rows = [
            SpanRecord(
                project=project, trace=traces[new.trace], kind=new.kind, digest=new.digest, hint=new.hint, body=new.body
            )
            for new in taken
        ]
        SpanRecord.objects.bulk_create(rows, batch_size=_ROWS, ignore_conflicts=True)
    return Kept(added=len(taken), refused=len(fresh) - len(taken))


def item_of(row: SpanRecord) -> Span | Log:
    """Return what a row holds."""
    found: Span | Log = (_SPAN if row.kind == "span" else _LOG).decode(bytes(row.body))
    return found


_SPAN: Final = msgspec.json.Decoder(Span)
_LOG: Final = msgspec.json.Decoder(Log)


def _new(record: Record, body: bytes) -> _New:
    item = record.item
    kind = "span" if isinstance(item, Span) else "log"
    return _New(
        trace=item.trace_id if isinstance(item, Span) else _name(item.trace),
        kind=kind,
        digest=sha256(kind.encode() + b"\x00" + body).hexdigest(),
        is_root=isinstance(item, Span) and item.parent_id is None,
        hint=_hint(item),
        body=body,
    )


def _name(trace: str) -> str:
    """Return what a trace is called here: its id, or a digest of the conversation that stands for one."""
    return trace if len(trace) == _TRACE_ID else sha256(trace.encode()).hexdigest()


def _hint(item: Span | Log) -> str:
    """Return what stands for the conversation or session that a record names: records that share one may be one run."""
    span = item if isinstance(item, Span) else Span(trace_id=item.trace_id, span_id=item.span_id, logs=[item])
    if not any(_NAMES & said.keys() for said in _said(span)):
        return ""  # most spans: reading one takes as long as storing it
    reading = Reading(span)
    named = reading.text("conversation") or reading.text("session")
    return sha256(named.encode()).hexdigest() if named else ""


def _said(span: Span) -> Iterator[dict[str, Any]]:
    """Yield the attributes of a span, and those of its events and log records, which may speak for it."""
    yield span.attributes
    for event in span.events:
        yield event.attributes
    for log in span.logs:
        yield log.attributes
        if isinstance(log.body, dict):
            yield log.body


def _known(project: str, digests: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(digests), _ROWS):
        rows = SpanRecord.objects.filter(project=project, digest__in=digests[start : start + _ROWS])
        found.update(rows.values_list("digest", flat=True))
    return found


def _traces(project: str, names: Sequence[str], now_us: int) -> dict[str, SpanTrace]:
    """Return the traces by name, made where there are none."""
    found = {row.name: row for row in _named(project, names)}
    missing = [SpanTrace(project=project, name=name, last_us=now_us) for name in names if name not in found]
    if missing:
        SpanTrace.objects.bulk_create(missing, batch_size=_ROWS, ignore_conflicts=True)
        found |= {row.name: row for row in _named(project, [row.name for row in missing])}
    return found


def _named(project: str, names: Sequence[str]) -> Iterable[SpanTrace]:
    for start in range(0, len(names), _ROWS):
        yield from SpanTrace.objects.filter(project=project, name__in=names[start : start + _ROWS])


def _tell_traces(traces: dict[str, SpanTrace], taken: Sequence[_New], now_us: int) -> None:
    """Let the traces wait: in the order of their ids, so that two requests do not wait for each other."""
    counted: dict[int, int] = {}
    rooted: set[int] = set()
    for new in taken:
        row = traces[new.trace].pk
        counted[row] = counted.get(row, 0) + 1
        if new.is_root:
            rooted.add(row)
    ordered = sorted(counted)
    for start in range(0, len(ordered), _ROWS):
        part = ordered[start : start + _ROWS]
        _rows(part).update(
            news=F("news") + Case(*(When(pk=row, then=Value(counted[row])) for row in part), output_field=_BIG),
            waiting_us=Coalesce(F("waiting_us"), Value(now_us), output_field=_BIG),
            last_us=now_us,
            attempts=0,
            problem="",
        )
    if rooted:
        _rows(sorted(rooted)).update(is_rooted=True)


def _rows(ids: Sequence[int]) -> QuerySet[SpanTrace]:
    return SpanTrace.objects.filter(pk__in=ids)

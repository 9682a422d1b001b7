"""Spans and log records that came over HTTP, kept before the sender is told so. Nothing here makes events of them.

What is kept is what came, once, however often it comes: a record's digest is its identity. Runs are made of it by
`journal.ingest.span_settler`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, TypeVar

import msgspec
from django.db import connection, transaction

from journal.ingest.dialects import DIALECTS, Meaning
from journal.ingest.otlp_wire import Record
from journal.ingest.span_reading import Reading
from journal.ingest.spans import Log, Span
from journal.models import SpanRecord, SpanTrace
from journal.runtime import redacting

MAX_RECORDS: Final = 100_000
"""Records of one trace: telling a run reads all of it."""

_T = TypeVar("_T")
_TRACE_ID: Final = 32
_ROWS: Final = 500
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
        taken = list(_taken(fresh, traces))
        _tell_traces(traces, taken, micros(now))
        _add(project, traces, taken)
    return Kept(added=len(taken), refused=len(fresh) - len(taken))


def _taken(fresh: Iterable[_New], traces: Mapping[str, _Trace]) -> Iterator[_New]:
    """Yield the records for which their traces have room, also those of one request."""
    room = {name: MAX_RECORDS - trace.news for name, trace in traces.items()}
    for new in fresh:
        room[new.trace] -= 1
        if room[new.trace] >= 0:
            yield new


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


# What comes in is written by hand: through the ORM a span took five times as long as all the rest of it. Each statement
# is for as many rows as a request has, up to `_ROWS` at once.


def _known(project: str, digests: Sequence[str]) -> set[str]:
    found: set[str] = set()
    with connection.cursor() as cursor:
        for part in _parts(digests):
            sql = f"SELECT digest FROM journal_span_record WHERE project = %s AND digest IN ({_places(part)})"  # noqa: S608 - places
            cursor.execute(sql, [project, *part])
            found.update(digest for (digest,) in cursor.fetchall())
    return found


class _Trace(msgspec.Struct, frozen=True, kw_only=True):
    """A trace that something new came of, as it was before."""

    id: int
    news: int


def _traces(project: str, names: Sequence[str], now_us: int) -> dict[str, _Trace]:
    """Return the traces by name, made where there are none."""
    found = _named(project, names)
    missing = [name for name in names if name not in found]
    if missing:
        rows = [SpanTrace(project=project, name=name, last_us=now_us) for name in missing]
        SpanTrace.objects.bulk_create(rows, batch_size=_ROWS, ignore_conflicts=True)
        found |= _named(project, missing)
    return found


def _named(project: str, names: Sequence[str]) -> dict[str, _Trace]:
    found: dict[str, _Trace] = {}
    with connection.cursor() as cursor:
        for part in _parts(names):
            sql = f"SELECT name, id, news FROM journal_span_trace WHERE project = %s AND name IN ({_places(part)})"  # noqa: S608 - places
            cursor.execute(sql, [project, *part])
            found |= {name: _Trace(id=row, news=news) for name, row, news in cursor.fetchall()}
    return found


_ADD: Final = "INTO journal_span_record (project, trace_id, kind, digest, hint, run, body) VALUES"


def _add(project: str, traces: dict[str, _Trace], taken: Sequence[_New]) -> None:
    """Store records; one that another request has stored meanwhile is there once."""
    is_mysql = connection.vendor == "mysql"
    insert, unless = ("INSERT IGNORE", "") if is_mysql else ("INSERT", " ON CONFLICT DO NOTHING")
    with connection.cursor() as cursor:
        for part in _parts(taken):
            values: list[Any] = []
            for new in part:
                values += (project, traces[new.trace].id, new.kind, new.digest, new.hint, "", new.body)
            rows = ", ".join(["(%s, %s, %s, %s, %s, %s, %s)"] * len(part))
            cursor.execute(f"{insert} {_ADD} {rows}{unless}", values)


def _tell_traces(traces: dict[str, _Trace], taken: Sequence[_New], now_us: int) -> None:
    """Let the traces wait: in the order of their ids, so that two requests do not wait for each other."""
    counted: Counter[int] = Counter()
    rooted: set[int] = set()
    for new in taken:
        row = traces[new.trace].id
        counted[row] += 1
        if new.is_root:
            rooted.add(row)
    with connection.cursor() as cursor:
        for part in _parts(sorted(counted)):
            cursor.execute(*_told(part, counted, [row for row in part if row in rooted], now_us))


def _told(part: Sequence[int], counted: Mapping[int, int], rooted: Sequence[int], now_us: int) -> tuple[str, list[Any]]:
    news = " ".join(["WHEN %s THEN %s"] * len(part))
    values: list[Any] = [number for row in part for number in (row, counted[row])]
    is_rooted = f", is_rooted = CASE WHEN id IN ({_places(rooted)}) THEN TRUE ELSE is_rooted END" if rooted else ""
    sql = (
        f"UPDATE journal_span_trace SET news = news + CASE id {news} END,"  # noqa: S608 - places for values
        f" waiting_us = COALESCE(waiting_us, %s), last_us = %s, attempts = 0, problem = ''{is_rooted}"
        f" WHERE id IN ({_places(part)})"
    )
    return sql, [*values, now_us, now_us, *rooted, *part]


def _parts(rows: Sequence[_T]) -> Iterator[Sequence[_T]]:
    return (rows[start : start + _ROWS] for start in range(0, len(rows), _ROWS))


def _places(values: Sequence[Any]) -> str:
    return ", ".join(["%s"] * len(values))

"""The journal in an SQLite file, through Django's connection.

Order is free here: SQLite has one writer at a time. Every append begins with BEGIN IMMEDIATE (the connection's
`transaction_mode`), so the stream's version is read under the write lock, positions are given in commit order, and a
reader that has seen position n has seen all that are smaller. `position` is AUTOINCREMENT: it rises and is never used
again. Durability is the connection's `synchronous=FULL`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connections, transaction

from journal.domain import stream as streams
from journal.domain.dispatch import NewDispatch, resolved
from journal.domain.event import EventData, RecordedEvent
from journal.domain.stream import ExpectedVersion
from journal.errors import EventNotFound
from journal.store import checks, outbox_rows
from journal.store.protocol import Appended, Capabilities, Clock
from journal.store.tracing import traced_append, traced_read

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PAGE = 500

_COLUMNS = (
    "e.position, e.project, s.name, e.version, e.event_id, e.type, e.schema_version, e.data, e.metadata,"
    " e.occurred_us, e.recorded_us"
)
_FROM = f"SELECT {_COLUMNS} FROM journal_event e JOIN journal_stream s ON s.id = e.stream_id"  # noqa: S608 - constants
_STREAM = "SELECT id, version FROM journal_stream WHERE project = %s AND name = %s"
_NEW_STREAM = "INSERT INTO journal_stream (project, name, category, version) VALUES (%s, %s, %s, %s)"
# The head check: the row moves on only from the version that was read, so no version can be taken twice or left out.
_ADVANCE = "UPDATE journal_stream SET version = %s WHERE id = %s AND version = %s"
_INSERT = (
    "INSERT INTO journal_event (project, stream_id, version, event_id, type, schema_version, data, metadata,"
    " occurred_us, recorded_us) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)


class SqliteStore:
    """The journal of one project. `project` None reads over all projects, for the runtime, and refuses to write."""

    capabilities = Capabilities(durable=True, dense_positions=False)

    def __init__(
        self, project: str | None, *, using: str = "default", clock: Clock = lambda: datetime.now(UTC)
    ) -> None:
        self._project = project
        self._using = using
        self._clock = clock

    @property
    def project(self) -> str:
        """The project every read and write is bound to; empty for a store that reads over all of them."""
        return self._project or ""

    @traced_append
    def append(
        self,
        stream: str,
        events: Sequence[EventData],
        *,
        expected_version: ExpectedVersion,
        dispatches: Sequence[NewDispatch] = (),
    ) -> Appended:
        """Append all events or none, in a durable transaction of its own. See `EventStore.append`."""
        if self._project is None:
            raise TypeError("a store over all projects only reads; get_store(project) gives one that appends")
        now = self._clock()
        ready = checks.admitted(stream, events, now)
        asked = resolved(self._project, ready, dispatches, now_us=_microseconds(now))
        ids = tuple(str(event.id) for event in ready)
        with transaction.atomic(using=self._using, durable=True), connections[self._using].cursor() as cursor:
            cursor.execute(_STREAM, (self._project, stream))
            row = cursor.fetchone()
            version = row[1] if row else 0
            known = self._known([event.id for event in events if event.id is not None])
            if checks.is_repeat(stream, ready, known):
                return Appended(stream=stream, version=max(e.version for e in known.values()), ids=ids, is_new=False)
            checks.check_expected(stream, expected_version, version)
            if ready:
                stream_id = self._advance(cursor, stream, row, version + len(ready))
                cursor.executemany(_INSERT, self._rows(stream_id, version, ready, now))
                outbox_rows.insert(cursor, asked)
        return Appended(stream=stream, version=version + len(ready), ids=ids)

    def _advance(self, cursor: Any, stream: str, row: tuple[int, int] | None, version: int) -> int:
        if row is None:
            cursor.execute(_NEW_STREAM, (self._project, stream, streams.category(stream), version))
            return int(cursor.lastrowid)
        cursor.execute(_ADVANCE, (version, row[0], row[1]))
        if cursor.rowcount != 1:
            checks.check_expected(stream, row[1], self.stream_version(stream))
        return row[0]

    def _rows(self, stream_id: int, version: int, events: list[EventData], now: datetime) -> list[tuple[Any, ...]]:
        return [
            (
                self._project,
                stream_id,
                version + at,
                event.id,
                event.type,
                event.schema,
                event.data,
                event.metadata,
                _microseconds(event.occurred_at or now),
                _microseconds(now),
            )
            for at, event in enumerate(events, 1)
        ]

    def _known(self, ids: Sequence[str]) -> dict[str, RecordedEvent]:
        found: dict[str, RecordedEvent] = {}
        for start in range(0, len(ids), _PAGE):
            page = list(ids[start : start + _PAGE])
            marks = ", ".join(["%s"] * len(page))
            for event in self._read(f"WHERE e.project = %s AND e.event_id IN ({marks})", [self._project, *page]):
                found[event.id] = event
        return found

    @traced_read
    def read_stream(self, stream: str, *, after: int = 0, until: int | None = None) -> Iterator[RecordedEvent]:
        """Yield versions in ``(after, until]``."""
        where, values = "WHERE s.project = %s AND s.name = %s AND e.version > %s", [self._project, stream, after]
        if until is not None:
            where, values = where + " AND e.version <= %s", [*values, until]
        yield from self._read(where + " ORDER BY e.version", values)

    @traced_read
    def read_all(self, *, after: int = 0, limit: int | None = None) -> Iterator[RecordedEvent]:
        """Yield by position, past `after`."""
        yield from self._ordered("", [], after, limit)

    @traced_read
    def read_category(self, category: str, *, after: int = 0, limit: int | None = None) -> Iterator[RecordedEvent]:
        """Yield the events of a category by position, past `after`."""
        yield from self._ordered(" AND s.category = %s", [category], after, limit)

    def _ordered(self, more: str, values: list[Any], after: int, limit: int | None) -> Iterator[RecordedEvent]:
        where, bound = "WHERE e.position > %s" + more, [after, *values]
        if self._project is not None:
            where, bound = where + " AND e.project = %s", [*bound, self._project]
        where += " ORDER BY e.position"
        if limit is not None:
            where, bound = where + " LIMIT %s", [*bound, limit]
        yield from self._read(where, bound)

    def event(self, event_id: str) -> RecordedEvent:
        """Return one event by id."""
        for event in self._read("WHERE e.project = %s AND e.event_id = %s", [self._project, event_id]):
            return event
        raise EventNotFound(event_id=event_id, project=self.project)

    def versions_of(self, stream: str) -> dict[str, int]:
        """Return event id to version of a whole stream."""
        sql = (
            "SELECT e.event_id, e.version FROM journal_event e JOIN journal_stream s ON s.id = e.stream_id"
            " WHERE s.project = %s AND s.name = %s"
        )
        with connections[self._using].cursor() as cursor:
            cursor.execute(sql, (self._project, stream))
            return dict(cursor.fetchall())

    def stream_version(self, stream: str) -> int:
        """Return the stream's newest version."""
        with connections[self._using].cursor() as cursor:
            cursor.execute(_STREAM, (self._project, stream))
            row = cursor.fetchone()
        return row[1] if row else 0

    def head(self) -> int:
        """Return the highest position; on SQLite a committed event is never behind one that is not."""
        where, values = ("", []) if self._project is None else (" WHERE project = %s", [self._project])
        with connections[self._using].cursor() as cursor:
            cursor.execute("SELECT MAX(position) FROM journal_event" + where, values)  # noqa: S608 - constants
            return int(cursor.fetchone()[0] or 0)

    def _read(self, where: str, values: Sequence[Any]) -> Iterator[RecordedEvent]:
        with connections[self._using].cursor() as cursor:
            cursor.execute(f"{_FROM} {where}", values)  # every `where` above is a constant
            while rows := cursor.fetchmany(_PAGE):
                yield from map(_recorded, rows)


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _recorded(row: tuple[Any, ...]) -> RecordedEvent:
    position, project, stream, version, event_id, kind, schema, data, metadata, occurred, recorded = row
    return RecordedEvent(
        position=position,
        project=project,
        stream=stream,
        version=version,
        id=event_id,
        type=kind,
        schema=schema,
        data=bytes(data),
        metadata=bytes(metadata),
        occurred_at=_EPOCH + timedelta(microseconds=occurred),
        recorded_at=_EPOCH + timedelta(microseconds=recorded),
    )

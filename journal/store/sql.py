"""What the databases share: the tables, an append in steps, and reading in pages.

Every database keeps the same promises by the same rows; what differs, each says in its own module: how it keeps a
committed event from appearing behind a position that a reader was given (`_announce`, `horizon`), and its fastest road
for a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, ClassVar, Final

import msgspec
from django.db import IntegrityError, connections, transaction

from journal.domain import stream as streams
from journal.domain.dispatch import DispatchRow, NewDispatch, resolved
from journal.domain.event import EventData, RecordedEvent
from journal.domain.sieve import Types
from journal.domain.stream import ExpectedVersion
from journal.errors import EventNotFound
from journal.store import checks, listeners, outbox_rows, redacting, told
from journal.store.protocol import Appended, Capabilities, Clock, Horizon, Told
from journal.store.tracing import traced_append, traced_read

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_EXACT: Final = 8 * 10**15
_TRIES = 4
_MOST_NAMES: Final = 10_000
"""Names of streams that one reader keeps."""

PAGE = 1_000
"""Rows read at a time: what a reader holds in memory."""

COLUMNS = (
    "project",
    "stream_id",
    "version",
    "event_id",
    "type",
    "schema_version",
    "data",
    "metadata",
    "occurred_us",
    "recorded_us",
)
_OF_EVENT = "e.version, e.event_id, e.type, e.schema_version, e.data, e.metadata, e.occurred_us, e.recorded_us"
_SELECT = f"SELECT e.position, e.project, s.name, {_OF_EVENT}"
_SELECT_APART = f"SELECT e.position, e.project, e.stream_id, {_OF_EVENT}"
_WITH_STREAM = "journal_event e JOIN journal_stream s ON s.id = e.stream_id"


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """One append, checked and with every id filled in."""

    stream: str
    events: Sequence[EventData]
    expected: ExpectedVersion
    now: datetime
    given: tuple[str, ...]
    """Ids that the caller chose: only these may be in the journal already."""

    dispatches: Sequence[DispatchRow] = ()
    """Rows for the outbox, written in the append's own transaction."""

    @property
    def ids(self) -> tuple[str, ...]:
        """The events' ids, in order."""
        return tuple(str(event.id) for event in self.events)

    def appended(self, version: int, *, is_new: bool = True) -> Appended:
        """Return the outcome: the stream's version after it."""
        return Appended(stream=self.stream, version=version, ids=self.ids, is_new=is_new)


class SqlStore:
    """The journal of one project. `project` None reads over all projects, for the runtime, and refuses to write."""

    capabilities: ClassVar[Capabilities]

    read_stream_row: ClassVar[str] = "SELECT id, version FROM journal_stream WHERE project = %s AND name = %s"
    lock_stream_row: ClassVar[str] = read_stream_row
    """Reads the stream's row and, where writers run side by side, keeps others from it until the commit."""

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

    @property
    def _connection(self) -> Any:
        return connections[self._using]

    # --- Appending ----------------------------------------------------------------------------------------------------

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
        ready = redacting.replaced(self._project, stream, checks.admitted(stream, events, now), using=self._using)
        batch = Batch(
            stream=stream,
            events=ready,
            dispatches=resolved(self._project, ready, dispatches, now_us=microseconds(now)),
            expected=expected_version,
            now=now,
            given=tuple(event.id for event in events if event.id is not None),
        )
        if not batch.events:
            checks.check_expected(stream, expected_version, version := self.stream_version(stream))
            return batch.appended(version)
        done = self._insist(batch)
        listeners.tell()
        return done

    def _insist(self, batch: Batch) -> Appended:
        """Append, again where another writer made the stream or used an id between our look and our write.

        The second look finds what the other one wrote, and says so in the journal's words.
        """
        for at in range(_TRIES):
            try:
                with self._transaction(batch):
                    done = self._write(batch, is_first_try=at == 0)
                    if done is not None and done.is_new:
                        self._ask(batch.dispatches)
                if done is not None:
                    return done
            except IntegrityError:
                if at == _TRIES - 1:
                    raise
        raise AssertionError(f"{batch.stream!r} changed under each of {_TRIES} tries")

    def _transaction(self, batch: Batch) -> AbstractContextManager[Any]:
        """Return the transaction of one append; an error inside another one, in which nothing is durable."""
        del batch
        return transaction.atomic(using=self._using, durable=True)

    def _ask(self, rows: Sequence[DispatchRow]) -> None:
        if rows:
            with self._connection.cursor() as cursor:
                outbox_rows.insert(cursor, rows)

    def _write(self, batch: Batch, *, is_first_try: bool) -> Appended | None:
        """Write inside the transaction. None where the stream changed in between: the caller tries again."""
        del is_first_try
        with self._connection.cursor() as cursor:
            cursor.execute(self.lock_stream_row, (self._project, batch.stream))
            row = cursor.fetchone()
            if (done := self._settled(batch, row[1] if row else 0)) is not None:
                return done
            version = row[1] if row else 0
            stream_id = self._advance(cursor, batch, row)
            if stream_id is None:
                return None
            self._announce(cursor)
            self._insert(cursor, self._rows(stream_id, version, batch))
        return batch.appended(version + len(batch.events))

    def _settled(self, batch: Batch, version: int) -> Appended | None:
        """Return the outcome of the same append made before, or None where it is new and may be made."""
        known = self.events(batch.given)
        if checks.is_repeat(batch.stream, batch.events, known):
            return batch.appended(max(event.version for event in known.values()), is_new=False)
        checks.check_expected(batch.stream, batch.expected, version)
        return None

    def _advance(self, cursor: Any, batch: Batch, row: tuple[int, int] | None) -> int | None:
        """Move the stream's row on, only from the version that was read: none is taken twice or left out."""
        if row is None:
            return self._new_stream(cursor, batch.stream, len(batch.events))
        cursor.execute(
            "UPDATE journal_stream SET version = %s WHERE id = %s AND version = %s",
            (row[1] + len(batch.events), row[0], row[1]),
        )
        return row[0] if cursor.rowcount == 1 else None

    def _new_stream(self, cursor: Any, stream: str, version: int) -> int:
        cursor.execute(
            "INSERT INTO journal_stream (project, name, category, version) VALUES (%s, %s, %s, %s)",
            (self._project, stream, streams.category(stream), version),
        )
        return int(cursor.lastrowid)

    def _announce(self, cursor: Any) -> None:
        """Say, before positions are drawn, that they are about to be. Nothing to say where one writes at a time."""

    def _insert(self, cursor: Any, rows: list[tuple[Any, ...]]) -> None:
        cursor.executemany(insert_of(1), rows)

    def _rows(self, stream_id: int, version: int, batch: Batch) -> list[tuple[Any, ...]]:
        now_us = microseconds(batch.now)
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
                now_us if event.occurred_at is None else microseconds(event.occurred_at),
                now_us,
            )
            for at, event in enumerate(batch.events, 1)
        ]

    # --- Reading ------------------------------------------------------------------------------------------------------

    @traced_read
    def read_stream(self, stream: str, *, after: int = 0, until: int | None = None) -> Iterator[RecordedEvent]:
        """Yield versions in ``(after, until]``."""
        # The stream's row is found once, and its name does not travel with every event.
        source = "journal_event e"
        where = ["e.stream_id = (SELECT id FROM journal_stream WHERE project = %s AND name = %s)"]
        select = f"SELECT e.position, {_OF_EVENT}"
        named = (self.project, stream)

        def fetch(tail: str, values: list[Any]) -> list[RecordedEvent]:
            rows = self._fetch(f"{select} FROM {source} {tail}", values)
            return [recorded(row[0], *named, *row[1:]) for row in rows]

        yield from self._paged("version", fetch, where, [self._project, stream], after=after, until=until)

    @traced_read
    def read_all(self, *, after: int = 0, limit: int | None = None) -> Iterator[RecordedEvent]:
        """Yield by position, past `after`, as far as the horizon is when reading begins."""
        where, values = self._of_project()

        names: dict[int, str] = {}

        def fetch(tail: str, values: list[Any]) -> list[RecordedEvent]:
            # Streams' names are looked up apart, once for a stream: in a join they would be for each event.
            rows = self._fetch(f"{_SELECT_APART} FROM journal_event e {tail}", values)
            self._learn(names, {row[2] for row in rows})
            return [recorded(row[0], row[1], names[row[2]], *row[3:]) for row in rows]

        yield from self._paged("position", fetch, where, values, after=after, until=self._reach(), limit=limit)

    def _learn(self, names: dict[int, str], ids: set[int]) -> None:
        """Add the names of streams that are not known yet."""
        if unknown := ids - names.keys():
            if len(names) > _MOST_NAMES:
                names.clear()
                unknown = ids
            listed = ", ".join(map(str, unknown))
            names.update(self._fetch(f"SELECT id, name FROM journal_stream WHERE id IN ({listed})", []))  # noqa: S608 - numbers

    def read_told(self, runs: Mapping[str, int], *, types: Types) -> Iterator[tuple[str, Sequence[Told]]]:
        """Yield the first event and those of some types, by stream, each up to a version."""
        return told.read(self._fetch, self._project, runs, types)

    def read_places(self, places: Mapping[str, int]) -> dict[str, RecordedEvent]:
        """Return by stream the event at a version of each."""
        found = told.places(self._fetch, self._project, places, _SELECT_APART)
        return {name: recorded(row[0], row[1], name, *row[3:]) for name, row in found}

    @traced_read
    def read_newest(self, limit: int) -> Iterator[RecordedEvent]:
        """Yield the newest, by position, as far as the horizon is."""
        where, values = self._of_project()
        if (until := self._reach()) is not None:
            where, values = [*where, "e.position <= %s"], [*values, until]
        clause = f"WHERE {' AND '.join(where)} " if where else ""
        order, more = self._first(limit)
        page = f"(SELECT e.* FROM journal_event e {clause}ORDER BY e.position DESC {order}) e"  # noqa: S608 - constants
        sql = f"{_SELECT} FROM {page} JOIN journal_stream s ON s.id = e.stream_id ORDER BY e.position"
        yield from (recorded(*row) for row in self._fetch(sql, [*values, *more]))

    @traced_read
    def read_category(self, category: str, *, after: int = 0, limit: int | None = None) -> Iterator[RecordedEvent]:
        """Yield the events of a category by position, past `after`."""
        where, values = self._of_project()
        yield from self._paged(
            "position",
            self._read,
            ["s.category = %s", *where],
            [category, *values],
            after=after,
            until=self._reach(),
            limit=limit,
        )

    def _of_project(self) -> tuple[list[str], list[Any]]:
        return ([], []) if self._project is None else (["e.project = %s"], [self._project])

    def _reach(self) -> int | None:
        """Return the highest position a reader may be given now; None where that is every committed one.

        It is asked before the first page, and each page is read in a snapshot of its own: what the reach calls settled
        is in all of them.
        """
        return None

    def _paged(  # noqa: PLR0913 - what is read, from where, how far
        self,
        key: str,
        fetch: Callable[[str, list[Any]], list[RecordedEvent]],
        where: list[str],
        values: list[Any],
        *,
        after: int,
        until: int | None,
        limit: int | None = None,
    ) -> Iterator[RecordedEvent]:
        bound = [] if until is None else [until]
        clause = " AND ".join([*where, f"e.{key} > %s", *(f"e.{key} <= %s" for _ in bound)])
        while limit is None or limit > 0:
            size = PAGE if limit is None else min(PAGE, limit)
            order, more = self._first(size)
            page = fetch(f"WHERE {clause} ORDER BY e.{key} {order}", [*values, after, *bound, *more])
            yield from page
            if len(page) < size:
                return
            after = getattr(page[-1], key)
            limit = None if limit is None else limit - size

    def _first(self, size: int) -> tuple[str, list[Any]]:
        """Return how the dialect takes the first rows only, and its values."""
        return "LIMIT %s", [size]

    def event(self, event_id: str) -> RecordedEvent:
        """Return one event by id."""
        for event in self._read("WHERE e.project = %s AND e.event_id = %s", [self._project, event_id]):
            return event
        raise EventNotFound(event_id=event_id, project=self.project)

    def events(self, event_ids: Sequence[str]) -> dict[str, RecordedEvent]:
        """Return those of some events that there are, by id, read in pages."""
        found: dict[str, RecordedEvent] = {}
        for start in range(0, len(event_ids), PAGE):
            page = list(event_ids[start : start + PAGE])
            where = f"WHERE e.project = %s AND e.event_id IN ({_marks(len(page))})"
            found |= {event.id: event for event in self._read(where, [self._project, *page])}
        return found

    def versions_of(self, stream: str) -> dict[str, int]:
        """Return event id to version of a whole stream."""
        sql = (
            "SELECT e.event_id, e.version FROM journal_event e JOIN journal_stream s ON s.id = e.stream_id"
            " WHERE s.project = %s AND s.name = %s"
        )
        return dict(self._fetch(sql, [self._project, stream]))

    def stream_version(self, stream: str) -> int:
        """Return the stream's newest version."""
        rows = self._fetch(self.read_stream_row, [self._project, stream])
        return int(rows[0][1]) if rows else 0

    def head(self) -> int:
        """Return the highest position a reader may be given."""
        where, values = self._of_project()
        if (until := self._reach()) is not None:
            where, values = [*where, "e.position <= %s"], [*values, until]
        clause = f" WHERE {' AND '.join(where)}" if where else ""
        sql = f"SELECT COALESCE(MAX(e.position), 0) FROM journal_event e{clause}"  # noqa: S608 - constants
        return int(self._fetch(sql, values)[0][0])

    def horizon(self) -> Horizon:
        """Return how far a reader may read, and what is held back."""
        return Horizon(head=self.head())

    def _read(self, where: str, values: Sequence[Any]) -> list[RecordedEvent]:
        return [recorded(*row) for row in self._fetch(f"{_SELECT} FROM {_WITH_STREAM} {where}", values)]

    def _fetch(self, sql: str, values: Sequence[Any]) -> Sequence[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, values)
            rows: Sequence[tuple[Any, ...]] = cursor.fetchall()
            return rows


def _marks(count: int) -> str:
    return ", ".join(["%s"] * count)


def insert_of(rows: int) -> str:
    """Return the statement that writes so many events."""
    values = ", ".join([f"({_marks(len(COLUMNS))})"] * rows)
    return f"INSERT INTO journal_event ({', '.join(COLUMNS)}) VALUES {values}"  # noqa: S608 - constants


def microseconds(moment: datetime) -> int:
    """Return an aware time as the tables hold it."""
    return (moment - _EPOCH) // _MICROSECOND


@lru_cache(maxsize=256)
def moment(microseconds: int) -> datetime:
    """Return the time the tables hold. Events of one append share it: making it is a good part of reading one."""
    return _moment(microseconds)


def _moment(microseconds: int) -> datetime:
    # As a float, seconds are exact to the microsecond within _EXACT; adding a timedelta takes twice as long.
    if -_EXACT < microseconds < _EXACT:
        return datetime.fromtimestamp(microseconds / 1_000_000, UTC)
    return _EPOCH + timedelta(microseconds=microseconds)


def recorded(  # noqa: PLR0913, PLR0917 - a row's columns, given by place
    position: int,
    project: str,
    stream: str,
    version: int,
    event_id: str,
    kind: str,
    schema: int,
    data: bytes,
    metadata: bytes,
    occurred_us: int,
    recorded_us: int,
) -> RecordedEvent:
    """Return an event from its row."""
    at = moment(recorded_us)
    occurred_at = at if occurred_us == recorded_us else _moment(occurred_us)
    return RecordedEvent(position, project, stream, version, event_id, kind, schema, data, metadata, occurred_at, at)

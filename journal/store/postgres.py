"""The journal in PostgreSQL, by psycopg's own cursor on Django's connection.

**Order.** A position is drawn from a sequence before the commit, so a later position may become visible first. Writers
therefore announce themselves, and readers stop short of them:

- An append first reads the sequence's last value, `low`, and takes a shared advisory lock *whose key is that number*,
  until the end of its transaction; only then does it draw positions, all of them greater than `low`. A small append
  does so in one statement, a large one in a statement and a COPY.
- A reader reads the sequence's last value, `high`, and after that the keys of the locks that are held. It reads as far
  as the smallest of `high` and these keys.

Why no event can appear at or below that reach: let its position be p <= high. It was drawn before `high` was read, and
its writer had locked before it drew. When the reader looked at the locks, the writer either still held its lock, and
then the reach is at most its `low`, which is less than p; or it had ended, and since PostgreSQL makes a transaction
visible before it lets go of its locks, every snapshot taken from then on has the event, if it was committed at all.

Nobody waits: shared locks do not exclude one another, and a reader takes none. Only writers of this journal hold it
back, for as long as their own append runs; a long transaction elsewhere in the server does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from typing import Any, ClassVar, Final
from weakref import WeakSet

import psycopg

from journal.domain import stream as streams
from journal.domain.stream import ANY_VERSION
from journal.errors import ConfigurationRefused
from journal.store.postgres_arrays import Packed, PackedDumper, blobs, integers, texts
from journal.store.protocol import Appended, Capabilities, Held, Horizon
from journal.store.sql import COLUMNS, Batch, SqlStore, microseconds

KEY: Final = 0x4E47
"""The upper 16 bits of our locks' 64-bit keys ("NG"); the other 48 hold a position."""

_LOW_BITS: Final = 48

# `seen` depends on `last`, and `head` on `seen`: the announcement is made, and the stream's row is ours, before the
# first position is drawn by whatever comes after `head`.
_HEAD: Final = f"""
WITH seen AS MATERIALIZED (
    SELECT pg_advisory_xact_lock_shared(({KEY}::bigint << {_LOW_BITS}) | (last_value - (NOT is_called)::int))
    FROM journal_event_position_seq
), head AS (
    INSERT INTO journal_stream AS s (project, name, category, version)
    SELECT %(project)s::varchar, %(stream)s::varchar, %(category)s::varchar, %(count)s::bigint FROM seen
    WHERE %(expected)s::bigint <= 0
       OR EXISTS (SELECT 1 FROM journal_stream WHERE project = %(project)s::varchar AND name = %(stream)s::varchar)
    ON CONFLICT (project, name) DO UPDATE SET version = s.version + %(count)s::bigint
    WHERE %(expected)s::bigint IN (-1, s.version)
    RETURNING id, version
)"""  # noqa: S608 - constants

# A small append is one statement, one round trip. Rows go in in the order of the arrays, as a join with the one row of
# `head` keeps it.
_APPEND: Final = f"""{_HEAD}, written AS (
    INSERT INTO journal_event ({", ".join(COLUMNS)})
    SELECT %(project)s::varchar, head.id, head.version - %(count)s::bigint + e.at, e.event_id, e.type, e.schema_version,
        e.data, e.metadata, e.occurred_us, %(now)s::bigint
    FROM head, unnest(%(ids)b::text[], %(types)b::text[], %(schemas)b::bigint[], %(data)b::bytea[],
        %(metadata)b::bytea[], %(occurred)b::bigint[])
        WITH ORDINALITY AS e (event_id, type, schema_version, data, metadata, occurred_us, at)
)
SELECT version FROM head
"""  # noqa: S608 - constants

# A large one is two, in a transaction: COPY has no WITH, and draws its positions row by row.
_ADVANCE: Final = f"{_HEAD} SELECT id, version FROM head"  # noqa: S608 - constants
_COPY: Final = f"COPY journal_event ({', '.join(COLUMNS)}) FROM STDIN (FORMAT BINARY)"
_COPY_TYPES: Final = ("varchar", "int8", "int8", "varchar", "varchar", "int4", "bytea", "bytea", "int8", "int8")

_HELD: Final = f"""
pg_locks AS l
WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted AND l.pid <> pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.classid::bigint >> {_LOW_BITS - 32} = {KEY}
"""  # noqa: S608 - constants
_LOW: Final = f"((l.classid::bigint & {(1 << (_LOW_BITS - 32)) - 1}) << 32) | l.objid::bigint"

# The locks are looked at after the sequence: the subquery needs `high` to begin.
_REACH: Final = f"""
WITH latest AS MATERIALIZED (
    SELECT last_value - (NOT is_called)::int AS high FROM journal_event_position_seq
)
SELECT high, (SELECT min({_LOW}) FROM {_HELD} AND latest.high IS NOT NULL),
    current_setting('transaction_isolation'), pg_is_in_recovery()
FROM latest
"""  # noqa: S608 - constants

_HOLDERS: Final = f"""
SELECT {_LOW}, l.pid, a.application_name, a.state, a.xact_start
FROM {_HELD.replace("WHERE", "LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid WHERE", 1)}
ORDER BY a.xact_start
"""  # noqa: S608 - constants


_taught: WeakSet[Any] = WeakSet()
"""Connections that know how to send an array that is packed already."""


class PostgresStore(SqlStore):
    """Writers side by side; readers stop short of the positions that are still being written."""

    capabilities = Capabilities(durable=True, dense_positions=False, concurrent_writers=True)
    copied_from: ClassVar[int] = 400
    """Events from which COPY is quicker: it writes pages where INSERT writes rows, and needs three more round trips."""

    def _transaction(self, batch: Batch) -> AbstractContextManager[Any]:
        # A single statement is a transaction of its own. Inside another one `atomic` says what is wrong with that.
        is_single = not (self._is_copied(batch) or batch.dispatches or self._connection.in_atomic_block)
        return nullcontext() if is_single else super()._transaction(batch)

    def _is_copied(self, batch: Batch) -> bool:
        return len(batch.events) >= self.copied_from

    def _write(self, batch: Batch, *, is_first_try: bool) -> Appended | None:
        if not is_first_try and (done := self._settled(batch, self.stream_version(batch.stream))) is not None:
            return done
        if self._is_copied(batch):
            return self._copy(batch)
        rows = self._fetch(_APPEND, {**self._place(batch), **_columns(batch)})
        return batch.appended(rows[0][0]) if rows else None

    def _copy(self, batch: Batch) -> Appended | None:
        rows = self._fetch(_ADVANCE, self._place(batch))
        if not rows:
            return None
        stream_id, version = rows[0]
        with self._cursor() as cursor, cursor.copy(_COPY) as into:
            into.set_types(_COPY_TYPES)
            for row in self._rows(stream_id, version - len(batch.events), batch):
                into.write_row(row)
        return batch.appended(version)

    def _place(self, batch: Batch) -> dict[str, Any]:
        """Return where the batch belongs."""
        return {
            "project": self._project,
            "stream": batch.stream,
            "category": streams.category(batch.stream),
            "count": len(batch.events),
            "expected": -1 if batch.expected == ANY_VERSION else batch.expected,
        }

    def _reach(self) -> int | None:
        high, low, isolation, is_replica = self._fetch(_REACH, [])[0]
        _check(isolation, is_replica=is_replica)
        return int(high if low is None else min(high, low))

    def horizon(self) -> Horizon:
        """Return how far a reader may read, and which sessions hold back what lies behind."""
        high = self._fetch(_REACH, [])[0][0]
        holders = self._fetch(_HOLDERS, [])
        head = min([high, *(row[0] for row in holders)])
        held = tuple(_held(*row) for row in holders if row[0] < high)
        return Horizon(
            head=head, held_back=high - head, since=min((h.since for h in held if h.since), default=None), by=held
        )

    def _fetch(self, sql: str, values: Any) -> Sequence[tuple[Any, ...]]:
        if self._connection.queries_logged:  # as Django's own cursors do: whoever counts queries counts these too
            self._connection.queries_log.append({"sql": sql, "time": "0.000"})
        with self._cursor() as cursor:
            cursor.execute(sql, values, binary=True)
            return cursor.fetchall()

    @contextmanager
    def _cursor(self) -> Iterator[psycopg.Cursor[Any]]:
        """Give psycopg's own cursor: binary both ways and prepared, several times as fast as Django's."""
        connection = self._connection
        connection.ensure_connection()
        connection.validate_no_broken_transaction()
        raw = connection.connection
        if raw not in _taught:  # once for a connection: asking a cursor copies all it knows
            raw.adapters.register_dumper(Packed, PackedDumper)
            _taught.add(raw)
        with connection.wrap_database_errors, psycopg.Cursor(raw) as cursor:
            yield cursor


def _columns(batch: Batch) -> dict[str, Any]:
    """Return the batch as one array per column."""
    events = batch.events
    return {
        "now": microseconds(batch.now),
        "ids": texts(batch.ids),
        "types": texts([event.type for event in events]),
        "schemas": integers([event.schema for event in events]),
        "data": blobs([event.data for event in events]),
        "metadata": blobs([event.metadata for event in events]),
        "occurred": integers([microseconds(event.occurred_at or batch.now) for event in events]),
    }


def _held(low: int, pid: int, name: str | None, state: str | None, since: datetime | None) -> Held:
    return Held(
        after=low, by=f"PostgreSQL session {pid} ({name or 'unnamed'}, {state or 'state not shown'})", since=since
    )


def _check(isolation: str, *, is_replica: bool) -> None:
    """Refuse to read where the argument above does not hold."""
    if isolation != "read committed":
        raise ConfigurationRefused(
            variable="NAGARE_DATABASE_URL",
            reason=f"reading in order needs READ COMMITTED, and this transaction is {isolation}: its snapshot is older "
            "than the horizon, so events would be missed; remove isolation_level",
        )
    if is_replica:
        raise ConfigurationRefused(
            variable="NAGARE_DATABASE_URL",
            reason="names a replica, which does not know the primary's writers, so events would be missed; "
            "name the primary",
        )

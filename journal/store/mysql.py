"""The journal in MySQL 8 or MariaDB, through mysqlclient.

Order as in `announced.py`. InnoDB reads uncommitted rows only in a transaction of that isolation level, and the reader
may be inside one of another level, so each reading thread keeps a second connection for this one look.

Both draw AUTO_INCREMENT values in rising order on one server; on a multi-primary cluster, where each node has its own
series, they do not, and `nagare doctor` says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any, Final
from weakref import WeakKeyDictionary

from django.db import OperationalError

from journal.domain.stream import ANY_VERSION, NO_STREAM
from journal.errors import ConfigurationRefused, PayloadRefused
from journal.store.announced import SLOTS, AnnouncingStore
from journal.store.protocol import Appended, Capabilities
from journal.store.sql import COLUMNS, Batch

_STATEMENT: Final = 4 * 2**20
"""Bytes of one INSERT: larger ones are no faster and hold the server's memory."""

_OVERHEAD: Final = 1_300
"""Bytes of a row beside its payload, and more."""

_ESCAPED: Final = (b"\\", b'"', b"'", b"\0", b"\n", b"\r", b"\x1a")
_DEADLOCK: Final = 1213

_watchers: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
_limits: WeakKeyDictionary[Any, int] = WeakKeyDictionary()


class MySqlStore(AnnouncingStore):
    """Writers side by side, each in a row of its own."""

    capabilities = Capabilities(durable=True, dense_positions=False, concurrent_writers=True)
    lock_stream_row = AnnouncingStore.read_stream_row + " FOR UPDATE"
    # The server keeps the row's id for `lastrowid`.
    advance = (
        "UPDATE journal_stream SET version = version + %s, id = LAST_INSERT_ID(id)"
        " WHERE project = %s AND name = %s AND version = %s"
    )
    announce = (
        "UPDATE journal_writer SET ticket = ticket + 1, session_id = CONNECTION_ID(),"  # noqa: S608 - constants
        " since_us = CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED),"
        # At READ COMMITTED this subquery takes no lock.
        " low = (SELECT COALESCE(MAX(position), 0) FROM journal_event)"
        f" WHERE slot = MOD(CONNECTION_ID(), {SLOTS})"
    )

    def _insist(self, batch: Batch) -> Appended:
        """Append, once more where the server broke a deadlock by rolling this transaction back."""
        try:
            return super()._insist(batch)
        except OperationalError as error:
            if error.args[0] != _DEADLOCK:
                raise
            return super()._insist(batch)

    def _write(self, batch: Batch, *, is_first_try: bool) -> Appended | None:
        """Write as if nothing were in the way, in three statements.

        Another version moves no row, and a stream or an id that is there already is refused by its index: then the
        steps say what it was.
        """
        if not is_first_try or batch.expected == ANY_VERSION:
            return super()._write(batch, is_first_try=is_first_try)
        with self._connection.cursor() as cursor:
            stream_id = self._moved(cursor, batch)
            if stream_id is None:
                return super()._write(batch, is_first_try=is_first_try)
            self._announce(cursor)
            self._insert(cursor, self._rows(stream_id, batch.expected, batch))
        return batch.appended(batch.expected + len(batch.events))

    def _moved(self, cursor: Any, batch: Batch) -> int | None:
        """Move the stream's row on, and return its id; None where it is at another version."""
        count = len(batch.events)
        if batch.expected == NO_STREAM:
            return self._new_stream(cursor, batch.stream, count)
        cursor.execute(self.advance, (count, self._project, batch.stream, batch.expected))
        return int(cursor.lastrowid) if cursor.rowcount else None

    def _insert(self, cursor: Any, rows: list[tuple[Any, ...]]) -> None:
        for chunk in _chunks(rows, self._largest(cursor)):
            cursor.execute(self._statement(chunk))

    def _statement(self, rows: list[tuple[Any, ...]]) -> str:
        """Return the INSERT with its values in it; the driver, given them beside it, takes as long as the server does.

        Ids and types are letters, digits and marks that need no escape: `checks.admitted` lets in no other. Payloads
        are UTF-8, and so is the statement.
        """
        quoted = self._connection.connection.string_literal
        values = b",".join(
            [
                b"(%b,%d,%d,'%b','%b',%d,_binary%b,_binary%b,%d,%d)"
                % (
                    quoted(project),
                    stream,
                    version,
                    event_id.encode(),
                    kind.encode(),
                    schema,
                    quoted(data),
                    quoted(metadata),
                    occurred,
                    recorded,
                )
                for project, stream, version, event_id, kind, schema, data, metadata, occurred, recorded in rows
            ]
        )
        return f"INSERT INTO journal_event ({', '.join(COLUMNS)}) VALUES {values.decode()}"  # noqa: S608 - see above

    def _largest(self, cursor: Any) -> int:
        """Return `max_allowed_packet`, asked once per connection."""
        raw = self._connection.connection
        if raw not in _limits:
            cursor.execute("SELECT @@max_allowed_packet")
            _limits[raw] = int(cursor.fetchone()[0])
        limit: int = _limits[raw]
        return limit

    def _dirty(self) -> Sequence[tuple[Any, ...]]:
        with self._watcher().cursor() as cursor:
            cursor.execute("SELECT slot, ticket, low, session_id, since_us FROM journal_writer")
            rows: Sequence[tuple[Any, ...]] = cursor.fetchall()
            return rows

    def _watcher(self) -> Any:
        """Return the connection that reads uncommitted rows; it lives as long as this thread's connection does."""
        connection = self._connection
        connection.ensure_connection()
        if connection.isolation_level != "read committed":
            raise ConfigurationRefused(
                variable="NAGARE_DATABASE_URL",
                reason=f"reading in order needs READ COMMITTED, and this connection has {connection.isolation_level}",
            )
        watcher = _watchers.get(connection.connection)
        if watcher is None or not watcher.is_usable():
            watcher = connection.copy()
            watcher.settings_dict = deepcopy(connection.settings_dict)
            watcher.settings_dict["OPTIONS"]["isolation_level"] = "read uncommitted"
            watcher.connect()
            _watchers[connection.connection] = watcher
        return watcher


def _chunks(rows: list[tuple[Any, ...]], largest: int) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows in parts, each of which fits into one statement.

    Escapes make a payload twice as long at the most, so parts of half the room need no count of them; what does not fit
    into that goes alone, and is counted.
    """
    chunk: list[tuple[Any, ...]] = []
    size, room = 0, min(largest // 2, _STATEMENT)
    for at, row in enumerate(rows, 1):
        needs = _OVERHEAD + len(row[6]) + len(row[7])
        if needs > room:
            _check_size(row, at, largest)
        if chunk and size + needs > room:
            yield chunk
            chunk, size = [], 0
        chunk.append(row)
        size += needs
    if chunk:
        yield chunk


def _check_size(row: tuple[Any, ...], at: int, largest: int) -> None:
    """Refuse a row whose statement the server would, where quotes and the like are written as two."""
    needs = _OVERHEAD + sum(len(p) + sum(p.count(byte) for byte in _ESCAPED) for p in (row[6], row[7]))
    if needs > largest:
        raise PayloadRefused(
            what=f"event {at} of the append ({row[4][:80]})",
            reason=f"it needs {needs:,} bytes in a statement, and the server takes {largest:,}",
            way_out="raise max_allowed_packet on the server",
        )

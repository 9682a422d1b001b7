"""The journal in an SQLite file, through Django's connection.

Order is free here: SQLite has one writer at a time. Every append begins with BEGIN IMMEDIATE (the connection's
`transaction_mode`), so the stream's version is read under the write lock, positions are given in commit order, and a
reader that has seen position n has seen all that are smaller. `position` is AUTOINCREMENT: it rises and is never used
again. Durability is the connection's `synchronous=FULL`.
"""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from journal.domain import stream as streams
from journal.domain.stream import ANY_VERSION, NO_STREAM
from journal.store.protocol import Appended, Capabilities
from journal.store.sql import Batch, SqlStore, insert_of

_RETURNS: Final = sqlite3.sqlite_version_info >= (3, 35)
"""Whether SQLite knows RETURNING."""

_ADVANCE: Final = """
UPDATE journal_stream SET version = version + ? WHERE project = ? AND name = ? AND ? IN (version, -1)
RETURNING id, version
"""
_CREATE: Final = """
INSERT INTO journal_stream (project, name, category, version) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING
RETURNING id, version
"""
_INSERT: Final = insert_of(1).replace("%s", "?")


class SqliteStore(SqlStore):
    """One file, one writer at a time, no horizon: what is committed is behind nothing that is not."""

    capabilities = Capabilities(durable=True, dense_positions=False, concurrent_writers=False)

    def _write(self, batch: Batch, *, is_first_try: bool) -> Appended | None:
        """Write as if nothing were in the way, in two statements.

        Another version moves no row, and ids that are known are refused by their index: then the steps say what it was.
        """
        row = self._moved(batch) if is_first_try and _RETURNS else None
        if row is None:
            return super()._write(batch, is_first_try=is_first_try)
        stream_id, version = row
        self._run(_INSERT, self._rows(stream_id, version - len(batch.events), batch), is_many=True)
        return batch.appended(version)

    def _moved(self, batch: Batch) -> tuple[int, int] | None:
        """Move the stream's row on, and return its id and its version then; None where that is another one."""
        count, expected = len(batch.events), -1 if batch.expected == ANY_VERSION else batch.expected
        moved: list[tuple[int, int]] = []
        if expected != NO_STREAM:
            moved = self._run(_ADVANCE, (count, self._project, batch.stream, expected)).fetchall()
        if not moved and expected <= NO_STREAM:
            made = (self._project, batch.stream, streams.category(batch.stream), count)
            moved = self._run(_CREATE, made).fetchall()
        return moved[0] if moved else None

    def _run(self, sql: str, values: Any, *, is_many: bool = False) -> sqlite3.Cursor:
        """Execute with sqlite3's own cursor: Django's rewrites each statement, which takes as long as running it."""
        connection = self._connection
        if connection.queries_logged:  # whoever counts queries counts these too
            connection.queries_log.append({"sql": sql, "time": "0.000"})
        with connection.wrap_database_errors:
            raw: sqlite3.Connection = connection.connection
            return raw.executemany(sql, values) if is_many else raw.execute(sql, values)

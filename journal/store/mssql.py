"""The journal in SQL Server, through mssql-django. Its SQL is parsed by a test; it has not been run on a server yet.

Order as in `announced.py`. Table hints say per table what is read: NOLOCK sees uncommitted rows; READPAST leaves out
rows that another transaction has locked, which are those of writers that are not through.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from journal.domain import stream as streams
from journal.store.announced import SLOTS, AnnouncingStore
from journal.store.protocol import Capabilities
from journal.store.sql import COLUMNS, insert_of

_PARAMETERS: Final = 2_000
"""SQL Server takes 2,100 in one statement."""


class SqlServerStore(AnnouncingStore):
    """Writers side by side, each in a row of its own."""

    capabilities = Capabilities(durable=True, dense_positions=False, concurrent_writers=True)
    lock_stream_row = "SELECT id, version FROM journal_stream WITH (UPDLOCK, ROWLOCK) WHERE project = %s AND name = %s"
    announce = (
        "UPDATE journal_writer SET ticket = ticket + 1, session_id = @@SPID,"  # noqa: S608 - constants
        " since_us = DATEDIFF_BIG(MICROSECOND, '1970-01-01', SYSUTCDATETIME()),"
        # READPAST: another writer's uncommitted events are not waited for; `low` only has to be less than our own.
        " low = (SELECT COALESCE(MAX(position), 0) FROM journal_event WITH (READCOMMITTEDLOCK, READPAST))"
        f" WHERE slot = @@SPID % {SLOTS}"
    )
    read_settled = "SELECT slot, ticket FROM journal_writer WITH (READCOMMITTEDLOCK, READPAST, ROWLOCK)"
    read_announced = "SELECT slot, ticket, low, session_id, since_us FROM journal_writer WITH (NOLOCK)"
    new_stream = (
        "INSERT INTO journal_stream (project, name, category, version) OUTPUT INSERTED.id VALUES (%s, %s, %s, %s)"
    )

    def _new_stream(self, cursor: Any, stream: str, version: int) -> int:
        cursor.execute(self.new_stream, (self._project, stream, streams.category(stream), version))
        return int(cursor.fetchone()[0])

    def _insert(self, cursor: Any, rows: list[tuple[Any, ...]]) -> None:
        size = _PARAMETERS // len(COLUMNS)
        for start in range(0, len(rows), size):
            chunk = rows[start : start + size]
            cursor.execute(insert_of(len(chunk)), [value for row in chunk for value in row])

    def _first(self, size: int) -> tuple[str, list[Any]]:
        return "OFFSET 0 ROWS FETCH NEXT %s ROWS ONLY", [size]

    def _dirty(self) -> Sequence[tuple[Any, ...]]:
        return self._fetch(self.read_announced, [])

"""The journal in an SQLite file, through Django's connection.

Order is free here: SQLite has one writer at a time. Every append begins with BEGIN IMMEDIATE (the connection's
`transaction_mode`), so the stream's version is read under the write lock, positions are given in commit order, and a
reader that has seen position n has seen all that are smaller. `position` is AUTOINCREMENT: it rises and is never used
again. Durability is the connection's `synchronous=FULL`.
"""

from __future__ import annotations

from journal.store.protocol import Capabilities
from journal.store.sql import SqlStore


class SqliteStore(SqlStore):
    """One file, one writer at a time, no horizon: what is committed is behind nothing that is not."""

    capabilities = Capabilities(durable=True, dense_positions=False, concurrent_writers=False)

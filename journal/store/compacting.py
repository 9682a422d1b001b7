"""Giving up what was freed: bytes that no row holds any more and the database's files still do.

What each database can do differs, and so does what is left. SQLite writes the file anew and empties its write-ahead
log. PostgreSQL writes small tables anew and lets large ones be vacuumed, since writing them anew locks them; its own
write-ahead log keeps what it was told until its segments are used again. MySQL and MariaDB write the tables anew beside
themselves; their logs do the same. Nothing here reaches backups.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import structlog
from django.apps import apps
from django.db import DatabaseError, connections

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

SMALL_BYTES: Final = 2**30
"""A table of PostgreSQL up to this size is written anew; a larger one is vacuumed in place."""


class Compacted(msgspec.Struct, frozen=True, kw_only=True):
    """Whether freed pages are gone, and what is to be said of it."""

    is_done: bool
    words: str


def compact(*, using: str = "default") -> Compacted:
    """Give up freed pages as far as the database can. Never fails: what it could not do, it says."""
    connection = connections[using]
    if connection.in_atomic_block:
        return Compacted(is_done=False, words="not done: it is inside another transaction")
    try:
        return _OF.get(connection.vendor, _other)(connection)
    except DatabaseError as error:
        log.warning("compacting_failed", reason=type(error).__name__)
        return Compacted(is_done=False, words=f"not done: {error}; `nagare purge --compact` tries again")


def _sqlite(connection: Any) -> Compacted:
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        busy = cursor.fetchone()[0]
    if busy:
        return Compacted(
            is_done=False,
            words="the file was written anew; a reader still holds the write-ahead log, which is emptied when it ends"
            " (`nagare purge --compact` tries again)",
        )
    return Compacted(is_done=True, words="the file was written anew, and the write-ahead log is empty")


def _postgresql(connection: Any) -> Compacted:
    large = []
    with connection.cursor() as cursor:
        for table in _tables(connection):
            cursor.execute("SELECT pg_total_relation_size(to_regclass(%s))", [table])
            is_small = (cursor.fetchone()[0] or 0) <= SMALL_BYTES
            cursor.execute(f"VACUUM {'(FULL) ' if is_small else ''}{connection.ops.quote_name(table)}")
            if not is_small:
                large.append(table)
        cursor.execute("CHECKPOINT") if _may_checkpoint(cursor) else None
    log_words = "the server's write-ahead log keeps old bytes until its segments are used again"
    if large:
        words = f"vacuumed; {', '.join(large)} are large and were not written anew (VACUUM FULL does it); {log_words}"
        return Compacted(is_done=False, words=words)
    return Compacted(is_done=True, words=f"the tables were written anew; {log_words}")


def _may_checkpoint(cursor: Any) -> bool:
    cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    row = cursor.fetchone()
    return bool(row and row[0])


def _mysql(connection: Any) -> Compacted:
    with connection.cursor() as cursor:
        for table in _tables(connection):
            cursor.execute(f"OPTIMIZE TABLE {connection.ops.quote_name(table)}")
            cursor.fetchall()
    words = "the tables were written anew; the server's redo and binary logs keep old bytes until they are used again"
    return Compacted(is_done=True, words=words)


def _other(connection: Any) -> Compacted:
    del connection
    return Compacted(is_done=False, words="this database is told nothing; rebuild its tables as its manual says")


_OF: Final = {"sqlite": _sqlite, "postgresql": _postgresql, "mysql": _mysql}


def _tables(connection: Any) -> list[str]:
    """Return the tables of the project's own apps that hold texts of events or copies of them."""
    ours = ("journal", "explorer", "audits")
    with connection.cursor() as cursor:
        there = set(connection.introspection.table_names(cursor))
    named = {model._meta.db_table for name in ours for model in apps.get_app_config(name).get_models()}
    return sorted(named & there)

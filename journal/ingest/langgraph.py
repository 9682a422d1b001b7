"""LangGraph's checkpoints: the database file of `langgraph-checkpoint-sqlite`. Each thread is a run, or several.

`langgraph_saved` reads the tables, `langgraph_values` what is in them, `langgraph_thread` makes runs of it.
`journal.ingest.bridge` reads a database that is still written, SQLite's or PostgreSQL's, in the same way.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Final

from journal.errors import ImportRefused
from journal.ingest import Format, register
from journal.ingest.draft import RunDraft
from journal.ingest.langgraph_saved import SqliteCheckpoints, cannot_be_read, has_checkpoints, open_bytes, value_bytes
from journal.ingest.langgraph_thread import SOURCE, runs_of
from journal.ingest.source import Source

MAGIC: Final = b"SQLite format 3\x00"
_TOO_MUCH: Final = (
    "the database's values come to more than the file holds; it is damaged, or made to exhaust its reader"
)


def detect(source: Source) -> bool:
    """Whether the file is an SQLite database with a saver's tables."""
    if not source.data.startswith(MAGIC) or b"checkpoint_ns" not in source.data:
        return False
    try:
        with closing(open_bytes(source.data)) as connection:
            return has_checkpoints(connection)
    except ImportRefused:
        return False


def companion(source: Source) -> str | None:
    """Say that a database among other files is none of a saver's; one that is named alone is refused."""
    if source.data.startswith(MAGIC) and source.siblings() and not detect(source):
        return "an SQLite database without the tables of a LangGraph saver"
    return None


def read(source: Source) -> Iterator[RunDraft]:
    """Yield the runs of each thread."""
    if not source.data.startswith(MAGIC):
        raise ImportRefused("the file is no SQLite database")
    with closing(open_bytes(source.data)) as connection:
        if not has_checkpoints(connection):
            raise ImportRefused("the database has no tables `checkpoints` and `writes` as a LangGraph saver makes them")
        try:
            if value_bytes(connection) > len(source.data):
                raise ImportRefused(_TOO_MUCH)
            database = SqliteCheckpoints(connection=connection)
            for thread in sorted(database.marks()):
                yield from runs_of(database.read(thread, source.note))
        except sqlite3.Error as error:
            raise ImportRefused(cannot_be_read(error)) from error


FORMAT = register(
    Format(
        name=SOURCE,
        title="LangGraph checkpoints (.sqlite)",
        detect=detect,
        read=read,
        order=10,
        example="SQLite format 3 (tables `checkpoints` and `writes`)",
        companion=companion,
    )
)

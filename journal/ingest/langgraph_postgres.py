"""The PostgreSQL saver's tables: `checkpoints`, `checkpoint_blobs` and `checkpoint_writes`.

A checkpoint names the version of each channel; the values stand in blobs, one for each version, and small ones in the
checkpoint itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from journal.errors import ImportRefused
from journal.ingest.langgraph_saved import Note, Saved, Sharing, Write, saved, written
from journal.ingest.langgraph_values import plain_value
from journal.ingest.lenient import as_dict

_MARKS: Final = """
SELECT thread_id, kind || count(*) || '/' || max(xmin::text::bigint) || ' ' AS mark FROM (
    SELECT thread_id, 'c' AS kind, xmin FROM checkpoints
    UNION ALL SELECT thread_id, 'w', xmin FROM checkpoint_writes
) AS rows GROUP BY thread_id, kind ORDER BY thread_id, kind
"""
"""The transaction that wrote a row last stands in its `xmin`: a write that is written over has another one."""

_CHECKPOINTS: Final = """
SELECT thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata FROM checkpoints
WHERE thread_id = %s ORDER BY checkpoint_id COLLATE "C", checkpoint_ns COLLATE "C"
"""
_BLOBS: Final = """
SELECT checkpoint_ns, channel, version, type, blob FROM checkpoint_blobs
WHERE thread_id = %s ORDER BY checkpoint_ns, channel, version COLLATE "C"
"""
_AT_ONCE: Final = 50
_WRITES: Final = """
SELECT checkpoint_ns, checkpoint_id, task_id, {path} AS task_path, channel, type, blob FROM checkpoint_writes
WHERE thread_id = %s ORDER BY checkpoint_id, checkpoint_ns, {path} COLLATE "C", task_id COLLATE "C", idx
"""
_HAS_PATH: Final = """
SELECT 1 FROM information_schema.columns
WHERE table_name = 'checkpoint_writes' AND column_name = 'task_path' AND table_schema = ANY (current_schemas(false))
"""


@dataclass(kw_only=True)
class PostgresCheckpoints:
    """The tables of `langgraph-checkpoint-postgres`, read in one snapshot a thread."""

    connection: psycopg.Connection[Any]

    def marks(self) -> dict[str, str]:
        """Return a mark of each thread: how much of it there is, and the last transaction that wrote to it."""
        found: dict[str, str] = {}
        for thread, mark in self.connection.execute(_MARKS):
            found[thread] = found.get(thread, "") + mark
        return found

    def read(self, thread: str, note: Note) -> list[Saved]:
        """Return a thread's checkpoints in the order of their ids."""
        with self.connection.transaction(), self.connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            has_path = cursor.execute(_HAS_PATH).fetchone() is not None
            rows = cursor.execute(_CHECKPOINTS, (thread,)).fetchall()
            with self.connection.cursor(name="nagare_blobs", row_factory=dict_row) as blobs:
                blobs.itersize = _AT_ONCE
                values = _blobs(blobs.execute(_BLOBS, (thread,)), note)
            query = _WRITES.format(path="task_path" if has_path else "''")
            writes = _writes(cursor.execute(query, (thread,)), note)
        return [
            saved(
                row,
                _with_values(as_dict(row["checkpoint"]), row["checkpoint_ns"], values),
                row["metadata"],
                writes.get((row["checkpoint_ns"], row["checkpoint_id"]), []),
            )
            for row in rows
        ]


_Blobs = dict[tuple[str, str, str], Any]


def _blobs(rows: Iterable[dict[str, Any]], note: Note) -> _Blobs:
    found: _Blobs = {}
    sharing = Sharing()
    for row in rows:
        if row["type"] == "empty":
            continue
        try:
            value = plain_value(row["type"], row["blob"])
        except ImportRefused as refusal:
            note(f"channel {row['channel']} at version {row['version']}: {refusal}")
        else:
            own = sharing.value(row["checkpoint_ns"], row["channel"], value)
            found[row["checkpoint_ns"], row["channel"], row["version"]] = own
    return found


def _with_values(checkpoint: dict[str, Any], namespace: str, blobs: _Blobs) -> dict[str, Any]:
    """Return the checkpoint with the values of its channels, wherever they were kept."""
    versions = as_dict(checkpoint.get("channel_versions"))
    kept = {
        channel: blobs[namespace, channel, str(version)]
        for channel, version in versions.items()
        if (namespace, channel, str(version)) in blobs
    }
    return {**checkpoint, "channel_values": {**as_dict(checkpoint.get("channel_values")), **kept}}


def _writes(rows: Iterable[dict[str, Any]], note: Note) -> dict[tuple[str, str], list[Write]]:
    found: dict[tuple[str, str], list[Write]] = {}
    for row in rows:
        try:
            one = written(row, row["blob"])
        except ImportRefused as refusal:
            note(f"a write at checkpoint {row['checkpoint_id']}: {refusal}")
        else:
            found.setdefault((row["checkpoint_ns"], row["checkpoint_id"]), []).append(one)
    return found

"""A LangGraph checkpoint database as the importer and the bridge read it: threads, their checkpoints, their writes.

The SQLite and the PostgreSQL saver keep the same things in different tables; what comes out here is the same. Both are
read with plain queries and decoded by `langgraph_values`: no code of LangGraph runs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

from journal.errors import ImportRefused
from journal.ingest.langgraph_messages import messages_in
from journal.ingest.langgraph_values import plain_value
from journal.ingest.lenient import as_dict, as_int, as_list, as_text
from journal.ingest.source import moment

Note = Callable[[str], None]
_LARGEST_VALUE_BYTES: Final = 256 * 2**20
_WAL_FLAGS: Final = slice(18, 20)
_STEPS_AT_ONCE: Final = 100_000
_LEAST_STEPS: Final = 20_000_000
_STEPS_A_BYTE: Final = 50
"""Steps of SQLite's machine that reading a file may take: a saver's needs about one for each byte."""

_READ: Final = {
    "checkpoints": (
        "thread_id", "checkpoint_ns", "checkpoint_id", "parent_checkpoint_id", "type", "checkpoint", "metadata",
    ),
    "writes": ("thread_id", "checkpoint_ns", "checkpoint_id", "task_id", "idx", "channel", "type", "value"),
}  # fmt: skip
"""The columns that are read, as every saver's tables have them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Write:
    """What a task wrote to a channel on the way to the next checkpoint; `path` names the task's node."""

    task: str
    path: str
    channel: str
    value: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Saved:
    """A checkpoint: the channels after a step, as plain data. `writes` are those of the tasks it led to.

    `format` is the number of the checkpoint's own format, which it calls `v`.
    """

    thread: str
    namespace: str
    id: str
    parent: str | None
    values: dict[str, Any]
    versions: dict[str, Any]
    updated: tuple[str, ...]
    metadata: dict[str, Any]
    at: datetime | None
    format: int = 1
    writes: tuple[Write, ...] = ()

    @property
    def source(self) -> str | None:
        """What made it: `input`, `loop`, `update` or `fork`."""
        return as_text(self.metadata.get("source"))


class CheckpointDatabase(Protocol):
    """Where a saver keeps its checkpoints."""

    def marks(self) -> dict[str, str]:
        """Return every thread with a mark that differs once there is more of it."""

    def read(self, thread: str, note: Note) -> list[Saved]:
        """Return a thread's checkpoints in the order of their ids; what cannot be read is told to `note`."""


def saved(row: Mapping[str, Any], checkpoint: Any, metadata: Any, writes: list[Write]) -> Saved:
    """Return a checkpoint from its row and its decoded parts."""
    held = as_dict(checkpoint)
    return Saved(
        thread=row["thread_id"],
        namespace=row["checkpoint_ns"],
        id=row["checkpoint_id"],
        parent=row["parent_checkpoint_id"] or None,
        values=as_dict(held.get("channel_values")),
        versions=as_dict(held.get("channel_versions")),
        updated=tuple(name for name in as_list(held.get("updated_channels")) if isinstance(name, str)),
        metadata=as_dict(metadata),
        at=moment(held.get("ts")),
        format=as_int(held.get("v")) or 1,
        writes=tuple(writes),
    )


def written(row: Mapping[str, Any], raw: bytes | None) -> Write:
    """Return a write from its row.

    Raises:
        ImportRefused: its value cannot be read.
    """
    value = plain_value(row["type"], raw)
    return Write(task=row["task_id"], path=row["task_path"], channel=row["channel"], value=value)


class Sharing:
    """Lets the checkpoints of a thread share their messages: each one repeats those of the one before."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], list[Any]] = {}

    def value(self, namespace: str, channel: str, value: Any) -> Any:
        """Return the value, with the messages of the channel's last one in the places where they are equal."""
        last = self._last.get((namespace, channel))
        if last and isinstance(value, list) and messages_in(value):
            value[: len(last)] = [old if old == new else new for old, new in zip(last, value, strict=False)]
        self._last[namespace, channel] = value if isinstance(value, list) else []
        return value


# --- SQLite -----------------------------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class SqliteCheckpoints:
    """The tables `checkpoints` and `writes` of `langgraph-checkpoint-sqlite`."""

    connection: sqlite3.Connection
    _path_column: str = field(init=False, default="''")

    def __post_init__(self) -> None:
        """Learn which columns there are: older databases do not have all of them."""
        self.connection.row_factory = sqlite3.Row
        self.connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        if "task_path" in _columns(self.connection, "writes"):
            self._path_column = "task_path"

    def marks(self) -> dict[str, str]:
        """Return a mark of each thread: how much of it there is, and the last row that was put in for it."""
        found: dict[str, str] = {}
        for table in ("checkpoints", "writes"):
            rows = self.connection.execute(
                f"SELECT CAST(thread_id AS TEXT), count(*), max(rowid) FROM {table}"  # noqa: S608 - two names
                " WHERE thread_id IS NOT NULL GROUP BY thread_id"
            )
            for thread, count, last in rows:
                found[thread] = f"{found.get(thread, '')}{table[0]}{count}/{last} "
        return found

    def read(self, thread: str, note: Note) -> list[Saved]:
        """Return a thread's checkpoints in the order of their ids, all as of one moment."""
        self.connection.execute("BEGIN")
        try:
            return self._read(thread, note)
        finally:
            self.connection.execute("ROLLBACK")

    def _read(self, thread: str, note: Note) -> list[Saved]:
        rows = self.connection.execute(
            "SELECT CAST(thread_id AS TEXT) AS thread_id, CAST(checkpoint_ns AS TEXT) AS checkpoint_ns,"
            " CAST(checkpoint_id AS TEXT) AS checkpoint_id, CAST(parent_checkpoint_id AS TEXT) AS parent_checkpoint_id,"
            " type, checkpoint, metadata FROM checkpoints WHERE thread_id = ? ORDER BY checkpoint_id, checkpoint_ns",
            (thread,),
        )
        writes = self._writes(thread, note)
        return list(self._decoded(rows, writes, note))

    def _decoded(
        self, rows: Iterable[sqlite3.Row], writes: dict[tuple[str, str], list[Write]], note: Note
    ) -> Iterator[Saved]:
        sharing = Sharing()
        for row in rows:
            place = (row["checkpoint_ns"], row["checkpoint_id"])
            try:
                checkpoint = plain_value(as_text(row["type"]), _bytes(row["checkpoint"]))
                metadata = _metadata(row["metadata"])
            except ImportRefused as refusal:
                note(f"checkpoint {row['checkpoint_id']}: {refusal}")
                continue
            values = as_dict(as_dict(checkpoint).get("channel_values"))
            values.update((name, sharing.value(place[0], name, value)) for name, value in values.items())
            yield saved(dict(row), checkpoint, metadata, writes.get(place, []))

    def _writes(self, thread: str, note: Note) -> dict[tuple[str, str], list[Write]]:
        found: dict[tuple[str, str], list[Write]] = {}
        rows = self.connection.execute(
            "SELECT CAST(checkpoint_ns AS TEXT) AS checkpoint_ns, CAST(checkpoint_id AS TEXT) AS checkpoint_id,"  # noqa: S608 - one of two names
            f" CAST(task_id AS TEXT) AS task_id, CAST({self._path_column} AS TEXT) AS task_path,"
            " CAST(channel AS TEXT) AS channel, type, value FROM writes WHERE thread_id = ?"
            " ORDER BY checkpoint_id, checkpoint_ns, task_path, task_id, idx",
            (thread,),
        )
        for row in rows:
            try:
                one = written(row, _bytes(row["value"]))
            except ImportRefused as refusal:
                note(f"a write at checkpoint {row['checkpoint_id']}: {refusal}")
            else:
                found.setdefault((row["checkpoint_ns"], row["checkpoint_id"]), []).append(one)
        return found


def open_bytes(data: bytes) -> sqlite3.Connection:
    """Open a database that came as bytes, in memory, with nothing in it trusted.

    Raises:
        ImportRefused: it is no database that can be read.
    """
    if data[_WAL_FLAGS] == b"\x02\x02":  # a database in memory has no write-ahead log
        data = data[: _WAL_FLAGS.start] + b"\x01\x01" + data[_WAL_FLAGS.stop :]
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        connection.deserialize(data)
        _distrust(connection)
        connection.set_progress_handler(_Patience(len(data)), _STEPS_AT_ONCE)
        connection.execute("SELECT name FROM sqlite_schema").fetchall()
    except sqlite3.Error as error:
        connection.close()
        raise ImportRefused(cannot_be_read(error)) from error
    return connection


def cannot_be_read(error: sqlite3.Error) -> str:
    """Say why a database file is refused."""
    return f"the SQLite database cannot be read ({error}); copy it with the program stopped"


class _Patience:
    """Ends a query once more was done for a file than its size can call for: pages may lead to each other in a ring."""

    def __init__(self, size: int) -> None:
        self._left = (_LEAST_STEPS + _STEPS_A_BYTE * size) // _STEPS_AT_ONCE

    def __call__(self) -> bool:
        """Return whether to end it."""
        self._left -= 1
        return self._left < 0


def open_file(path: str) -> sqlite3.Connection:
    """Open a database that another program may be writing, to read only.

    Raises:
        ImportRefused: it cannot be opened.
    """
    try:
        connection = sqlite3.connect(
            f"{Path(path).absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=10
        )
        _distrust(connection)
        connection.execute("SELECT name FROM sqlite_schema").fetchall()
    except sqlite3.Error as error:
        raise ImportRefused(f"the SQLite database {path} cannot be read ({error})") from error
    return connection


def _distrust(connection: sqlite3.Connection) -> None:
    """Let nothing in the file run: no functions of its schema, no views, no triggers, and no value without end."""
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_VALUE_BYTES)
    connection.execute("PRAGMA trusted_schema=OFF")
    connection.execute("PRAGMA cell_size_check=ON")
    connection.execute("PRAGMA query_only=ON")


def has_checkpoints(connection: sqlite3.Connection) -> bool:
    """Whether both tables are there with their columns, and are tables: a view could be a query without end.

    What a column is computed by, or a table without row ids, no saver makes.
    """
    try:
        found = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name IN ('checkpoints', 'writes')"
            " AND upper(sql) LIKE 'CREATE TABLE%'"
        ).fetchall()
        if len(found) != len(_READ) or any(not _columns(connection, table).issuperset(_READ[table]) for table in _READ):
            return False
        for table in _READ:
            connection.execute(f"SELECT rowid FROM {table} LIMIT 0")  # noqa: S608 - two names
    except sqlite3.Error:
        return False
    return True


def value_bytes(connection: sqlite3.Connection) -> int:
    """Return how much comes out of the tables of `has_checkpoints`, without holding it."""
    sizes = {
        table: " + ".join(f"coalesce(length({name}), 0)" for name in names if name != "idx")
        for table, names in _READ.items()
    }
    return sum(
        connection.execute(f"SELECT coalesce(sum({size}), 0) FROM {table}").fetchone()[0]  # noqa: S608 - two names
        for table, size in sizes.items()
    )


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    """Return the names of the columns that are stored: computed ones are not among them."""
    return {str(row[1]) for row in connection.execute(f"PRAGMA table_info({table})")}


def _bytes(value: object) -> bytes | None:
    return value.encode() if isinstance(value, str) else value if isinstance(value, bytes) else None


def _metadata(value: object) -> Any:
    """Return a checkpoint's metadata; those of old databases were written by the serializer."""
    raw = _bytes(value)
    try:
        return plain_value("json", raw)
    except ImportRefused:
        return plain_value("msgpack", raw)

"""The store against its own database driver: the same rows in the same transactions, without our promises.

The floor is the quickest way the driver has (COPY in binary on PostgreSQL, one INSERT of many rows on MySQL and
MariaDB, `executemany` on SQLite) into a table of the same columns, unique constraints and indexes, in as many
transactions on a connection that is as durable. What it leaves out is what the journal adds: the stream's row and
expected version, the check of payloads, the answer to an append that was made before, the foreign key, and an order
that readers can follow. Reading, it gives bare rows. Store and floor take turns; a ratio is the median over the rounds
of "store's rate divided by the floor's of the same round", so 1.0 is as quick as the driver and smaller is slower.

Everything is written to a scratch database beside the journal's own, which is removed at the end.
"""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import psycopg
from django.core.management import call_command
from django.db import connections, transaction
from uuid_utils.compat import uuid7

from journal.domain import codec
from journal.domain.agent_run import ToolReturned
from journal.domain.event import EventData, Metadata
from journal.store import every_project, get_store
from journal.store.sql import COLUMNS, PAGE, insert_of

ALIAS: Final = "bench"
_WRITERS: Final = 8
_TEXT: Final = "def refund(amount: Decimal) -> Decimal: return amount.quantize(CENT, ROUND_HALF_UP)  # line by line. "
_METADATA: Final = codec.encode(
    Metadata(
        correlation_id="01992f0c-0000-7000-8000-000000000000",
        causation_id="01992f0c-0000-7000-8000-000000000001",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
)
_FLOOR: Final = {
    "sqlite": (
        (
            "CREATE TABLE bench_floor (position integer PRIMARY KEY AUTOINCREMENT, project text, stream_id bigint,"
            " version bigint, event_id text, type text, schema_version int, data blob, metadata blob,"
            " occurred_us bigint,"
            " recorded_us bigint, UNIQUE (stream_id, version), UNIQUE (project, event_id))"
        ),
        "CREATE INDEX bench_floor_order ON bench_floor (project, position)",
    ),
    "postgresql": (
        "CREATE TABLE bench_floor (LIKE journal_event INCLUDING IDENTITY INCLUDING INDEXES INCLUDING STORAGE)",
    ),
    "mysql": ("CREATE TABLE bench_floor LIKE journal_event",),
}
_TIMES: Final = (1_764_000_000_000_000,) * 2
_TYPES: Final = ("varchar", "int8", "int8", "varchar", "varchar", "int4", "bytea", "bytea", "int8", "int8")


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the report: events a second of the store and of the floor, the median ratio, and its goal."""

    operation: str
    store_per_s: float
    floor_per_s: float
    ratio: float
    goal: float


class _Side:
    """What both sides can do; a stream is a number."""

    def append(self, stream: int, version: int, count: int) -> None:
        raise NotImplementedError

    def read(self, stream: int) -> int:
        raise NotImplementedError

    def replay(self, stream: int) -> int:
        raise NotImplementedError

    def catch_up(self) -> int:
        raise NotImplementedError


_Measure = Callable[[_Side, int], float]


class _Store(_Side):
    def __init__(self) -> None:
        self._store = get_store("bench", using=ALIAS)

    def append(self, stream: int, version: int, count: int) -> None:
        self._store.append(f"run-{stream}", _events(count), expected_version=version)

    def read(self, stream: int) -> int:
        return sum(1 for _ in self._store.read_stream(f"run-{stream}"))

    def replay(self, stream: int) -> int:
        return sum(len(event.payload) for event in self._store.read_stream(f"run-{stream}"))

    def catch_up(self) -> int:
        return sum(1 for _ in every_project(using=ALIAS).read_all())


class _Floor(_Side):
    """The driver: Django's connection underneath, opened as Django does, so that both sides are equally durable."""

    _select = f"SELECT position, {', '.join(COLUMNS)} FROM bench_floor"  # noqa: S608 - constants

    def _rows(self, stream: int, version: int, count: int) -> list[tuple[Any, ...]]:
        return [
            (
                "bench",
                stream,
                version + at,
                e.id,
                e.type,
                e.schema,
                e.data,
                e.metadata,
                *_TIMES,
            )
            for at, e in enumerate(_events(count), 1)
        ]

    def append(self, stream: int, version: int, count: int) -> None:
        with transaction.atomic(using=ALIAS), connections[ALIAS].cursor() as cursor:
            self._write(cursor, self._rows(stream, version, count))

    def _write(self, cursor: Any, rows: list[tuple[Any, ...]]) -> None:
        cursor.executemany(insert_of(1).replace("journal_event", "bench_floor"), rows)

    def _fetch(self, where: str, values: Sequence[Any]) -> Sequence[tuple[Any, ...]]:
        with connections[ALIAS].cursor() as cursor:
            cursor.execute(f"{self._select} {where}", values)
            rows: Sequence[tuple[Any, ...]] = cursor.fetchall()
            return rows

    def read(self, stream: int) -> int:
        return len(self._fetch("WHERE stream_id = %s ORDER BY version", [stream]))

    def replay(self, stream: int) -> int:
        rows = self._fetch("WHERE stream_id = %s ORDER BY version", [stream])
        return sum(len(msgspec.json.decode(row[7])) for row in rows)

    def catch_up(self) -> int:
        count = after = 0
        while rows := self._fetch("WHERE position > %s ORDER BY position LIMIT %s", [after, PAGE]):
            count, after = count + len(rows), rows[-1][0]
        return count


class _MySqlFloor(_Floor):
    def _write(self, cursor: Any, rows: list[tuple[Any, ...]]) -> None:
        sql = insert_of(len(rows)).replace("journal_event", "bench_floor")
        cursor.execute(sql, [value for row in rows for value in row])


class _PostgresFloor(_Floor):
    def append(self, stream: int, version: int, count: int) -> None:
        copy = f"COPY bench_floor ({', '.join(COLUMNS)}) FROM STDIN (FORMAT BINARY)"
        with self._cursor() as cursor, cursor.copy(copy) as into:
            into.set_types(_TYPES)
            for row in self._rows(stream, version, count):
                into.write_row(row)

    def _fetch(self, where: str, values: Sequence[Any]) -> Sequence[tuple[Any, ...]]:
        with self._cursor() as cursor:
            return cursor.execute(f"{self._select} {where}", values, binary=True).fetchall()

    def _cursor(self) -> psycopg.Cursor[Any]:
        connections[ALIAS].ensure_connection()
        return psycopg.Cursor(connections[ALIAS].connection)


_FLOORS: Final = {"sqlite": _Floor, "postgresql": _PostgresFloor, "mysql": _MySqlFloor}


def _events(count: int) -> list[EventData]:
    return [
        EventData(
            id=str(uuid7()),
            type="agent_run.tool_returned",
            data=codec.encode(
                ToolReturned(tool_name="read_file", call_id=f"c_{at}", response_json=codec.text(_TEXT * 5))
            ),
            metadata=_METADATA,
        )
        for at in range(count)
    ]


# --- Measuring --------------------------------------------------------------------------------------------------------


def run(
    using: str = "default", *, rounds: int = 3, scale: int = 1, say: Callable[[str], None] = lambda _: None
) -> list[Ratio]:
    """Measure every operation on the kind of database that `using` is. `scale` multiplies the amounts."""
    with _scratch(using) as vendor:
        sides: tuple[_Side, _Side] = (_Store(), _FLOORS[vendor]())
        report = []
        for operation, (measure, goal) in _OPERATIONS.items():
            say(operation)
            report.append(_ratio(operation, measure, sides, rounds, scale, goal))
        return report


def _ratio(  # noqa: PLR0913, PLR0917 - what is measured, and how often
    operation: str, measure: _Measure, sides: tuple[_Side, _Side], rounds: int, scale: int, goal: float
) -> Ratio:
    store: list[float] = []
    floor: list[float] = []
    for at in range(rounds):
        # Turn about, so that neither always comes after the other.
        for side in sides if at % 2 == 0 else sides[::-1]:
            (store if side is sides[0] else floor).append(measure(side, scale))
    return Ratio(
        operation=operation,
        store_per_s=round(statistics.median(store)),
        floor_per_s=round(statistics.median(floor)),
        ratio=round(statistics.median(ours / theirs for ours, theirs in zip(store, floor, strict=True)), 2),
        goal=goal,
    )


_streams = iter(range(1, 1_000_000))


def _appends(count: int, size: int) -> Callable[[_Side, int], float]:
    def measure(side: _Side, scale: int) -> float:
        stream, total = next(_streams), count * scale
        side.append(stream, 0, size)
        began = time.perf_counter()
        for at in range(1, total + 1):
            side.append(stream, at * size, size)
        return total * size / (time.perf_counter() - began)

    return measure


def _side_by_side(count: int, size: int) -> Callable[[_Side, int], float]:
    """Measure eight processes; they open connections of their own, and begin together."""

    def measure(side: _Side, scale: int) -> float:
        connections.close_all()
        fork = multiprocessing.get_context("fork")
        barrier = fork.Barrier(_WRITERS + 1)
        streams = [next(_streams) for _ in range(_WRITERS)]
        writers = [
            fork.Process(target=_writer, args=(side, barrier, stream, count * scale, size)) for stream in streams
        ]
        for writer in writers:
            writer.start()
        barrier.wait(60)
        began = time.perf_counter()
        for writer in writers:
            writer.join()
        if any(writer.exitcode for writer in writers):
            raise RuntimeError("a writer of the benchmark failed, see above")
        return _WRITERS * count * scale * size / (time.perf_counter() - began)

    return measure


def _writer(side: _Side, barrier: Any, stream: int, count: int, size: int) -> None:
    side.append(stream, 0, size)
    barrier.wait(60)
    for at in range(1, count + 1):
        side.append(stream, at * size, size)
    connections.close_all()


_READ: Final = 2_000


def _reads(how: str) -> Callable[[_Side, int], float]:
    """Measure reading one stream of 2,000 events, ten times."""

    def measure(side: _Side, scale: int) -> float:
        stream = next(_streams)
        for version in range(0, _READ, 500):
            side.append(stream, version, 500)
        read = getattr(side, how)
        read(stream)
        began = time.perf_counter()
        for _ in range(10 * scale):
            read(stream)
        return 10 * scale * _READ / (time.perf_counter() - began)

    return measure


def _catches_up(side: _Side, scale: int) -> float:
    """Measure reading all that the earlier measurements wrote, in order."""
    del scale
    began = time.perf_counter()
    return side.catch_up() / (time.perf_counter() - began)


_OPERATIONS: Final[dict[str, tuple[_Measure, float]]] = {
    "append 1 per transaction, 1 writer": (_appends(150, 1), 1.0),
    "append 1 per transaction, 8 writers": (_side_by_side(60, 1), 0.9),
    "append 1,000 per transaction, 1 writer": (_appends(4, 1000), 0.85),
    "append 1,000 per transaction, 8 writers": (_side_by_side(2, 1000), 0.85),
    "read a stream of 2,000": (_reads("read"), 0.95),
    "replay a stream of 2,000, decoded": (_reads("replay"), 0.95),
    f"catch up from 0, pages of {PAGE:,}": (_catches_up, 0.8),
}
"""What is measured, and the ratio it should reach."""


# --- The scratch database ---------------------------------------------------------------------------------------------


@contextmanager
def _scratch(using: str) -> Iterator[str]:
    """Make a database of the same kind, with the journal's tables and the floor's; remove it at the end."""
    connection = connections[using]
    vendor = connection.vendor
    name = f"nagare_bench_{uuid7().hex[-8:]}"
    with tempfile.TemporaryDirectory() as folder:
        if vendor == "sqlite":
            name = str(Path(folder) / "bench.sqlite3")
        else:
            with connection._nodb_cursor() as cursor:  # noqa: SLF001 - as Django's own test runner makes databases
                cursor.execute(f"CREATE DATABASE {name}")
        try:
            settings = {**connections.settings[using], "NAME": name}
            connections.settings.update(connections.configure_settings({**connections.settings, ALIAS: settings}))
            call_command("migrate", database=ALIAS, verbosity=0)
            with connections[ALIAS].cursor() as cursor:
                for statement in _FLOOR[vendor]:
                    cursor.execute(statement)
            yield vendor
        finally:
            connections[ALIAS].close()
            del connections[ALIAS], connections.settings[ALIAS]
            if vendor != "sqlite":
                with connection._nodb_cursor() as cursor:  # noqa: SLF001
                    cursor.execute(f"DROP DATABASE {name}")

"""Import against its floor: the same files decoded, and the same rows inserted into a bare SQLite table.

The journal is one of the benchmark's own, made as the real one is; the sessions are made up.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import msgspec
from django.core.management import call_command
from django.db import connections

from journal.domain import codec
from journal.ingest.files import from_memory
from journal.ingest.importer import Importer
from journal.store.sqlite import SqliteStore

_ALIAS: Final = "bench"
_SESSIONS, _TURNS, _ROUNDS = 20, 60, 3
_TABLE: Final = (
    "CREATE TABLE event (position INTEGER PRIMARY KEY AUTOINCREMENT, stream, version, event_id UNIQUE, type, data BLOB,"
    " metadata BLOB, occurred_us, UNIQUE (stream, version))"
)
_INSERT: Final = (
    "INSERT INTO event (stream, version, event_id, type, data, metadata, occurred_us) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_ROWS: Final = (
    "SELECT s.name, e.version, e.event_id, e.type, e.data, e.metadata, e.occurred_us"
    " FROM journal_event e JOIN journal_stream s ON s.id = e.stream_id ORDER BY e.position"
)
_USAGE: Final = {"input_tokens": 1200, "output_tokens": 80, "cache_read_input_tokens": 1000}


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One benchmark: the best of some rounds, and the best of the floor's rounds between them."""

    name: str
    events: int
    bytes: int
    seconds: float
    floor_seconds: float
    events_per_second: float
    ratio: float


def run() -> Measured:
    """Import and floor take turns, so that a machine that is busy for a while is so for both."""
    files = {f"{at:02}.jsonl": _session(f"s-{at}") for at in range(_SESSIONS)}
    took, floor, rows = [], [], []
    for _ in range(_ROUNDS):
        with tempfile.TemporaryDirectory(prefix="nagare-bench-") as folder, _journal(Path(folder)) as journal:
            importer = Importer(store=journal)
            began = perf_counter()
            importer.run(from_memory(files))
            took.append(perf_counter() - began)
            with connections[_ALIAS].cursor() as cursor:
                rows = cursor.execute(_ROWS).fetchall()
            floor.append(_floor(Path(folder) / "floor.sqlite3", files, rows))
    return Measured(
        name="import",
        events=len(rows),
        bytes=sum(map(len, files.values())),
        seconds=min(took),
        floor_seconds=min(floor),
        events_per_second=len(rows) / min(took),
        ratio=min(took) / min(floor),
    )


def _floor(path: Path, files: dict[str, bytes], rows: list[tuple[Any, ...]]) -> float:
    """Return the seconds that decoding and inserting take, with the journal's durability and a commit for each run."""
    by_stream: dict[str, list[tuple[Any, ...]]] = {}
    for row in rows:
        by_stream.setdefault(row[0], []).append(row)
    bare = sqlite3.connect(path)
    bare.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; {_TABLE};")
    began = perf_counter()
    for data in files.values():
        for line in data.splitlines():
            msgspec.json.decode(line)
    for run in by_stream.values():
        with bare:
            bare.executemany(_INSERT, run)
    took = perf_counter() - began
    bare.close()
    return took


@contextmanager
def _journal(folder: Path) -> Iterator[SqliteStore]:
    """Give a journal of the benchmark's own, made as the real one is."""
    connections.settings[_ALIAS] = {**connections.settings["default"], "NAME": str(folder / "bench.sqlite3")}
    try:
        call_command("migrate", database=_ALIAS, verbosity=0)
        yield SqliteStore("bench", using=_ALIAS)
    finally:
        connections[_ALIAS].close()
        del connections[_ALIAS], connections.settings[_ALIAS]


def _session(name: str) -> bytes:
    """Return a made-up Claude Code session: a decision, a call and a result a turn."""
    said = f"I will read the next file and see what it says about {name}. " * 4
    records = [_record(name, 0, "user", {"role": "user", "content": f"Fix the rounding in {name}"})]
    for turn in range(1, _TURNS + 1):
        call = {"type": "tool_use", "id": f"{name}-{turn}", "name": "Read", "input": {"file_path": f"src/{turn}.py"}}
        content = [{"type": "text", "text": said}, call]
        response = {"role": "assistant", "id": f"m{turn}", "model": "orion-3", "content": content, "usage": _USAGE}
        result = {"type": "tool_result", "tool_use_id": call["id"], "content": f"line {turn}\n" * 40}
        records.append(_record(name, 2 * turn - 1, "assistant", response))
        records.append(_record(name, 2 * turn, "user", {"role": "user", "content": [result]}))
    return b"\n".join(records)


def _record(name: str, at: int, kind: str, message: dict[str, Any]) -> bytes:
    return codec.encode(
        {
            "type": kind,
            "uuid": f"{name}-u{at}",
            "parentUuid": f"{name}-u{at - 1}" if at else None,
            "sessionId": name,
            "timestamp": f"2026-11-22T12:{at // 60:02}:{at % 60:02}.000Z",
            "version": "2.0.1",
            "cwd": "/srv/app",
            "message": message,
        }
    )

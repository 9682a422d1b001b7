"""`nagare bench`: how fast, against the least that the same work costs on the same machine in the same minute."""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import msgspec
from django.core.management import call_command
from django.core.management.base import CommandParser
from django.db import connections

from journal.benches import store, whowhen
from journal.domain import codec
from journal.ingest.files import from_memory
from journal.ingest.importer import Importer
from journal.management.base import Command as Base
from journal.management.base import wrong_usage
from journal.store.sqlite import SqliteStore

_ALIAS: Final = "bench"
_STORE: Final = "store"
_WHOWHEN: Final = "whowhen"
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


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One benchmark: the best of some rounds, and the best of the floor's rounds between them."""

    name: str
    events: int
    bytes: int
    seconds: float
    floor_seconds: float
    events_per_second: float
    ratio: float


class Command(Base):
    """Run a benchmark."""

    help = (
        "Measure the project's own work against a floor measured in the same run. import: made-up sessions into a"
        " journal of its own; the floor decodes the same files and inserts the same rows into a bare SQLite table."
        " store: append, read, replay and catch-up on the configured kind of database, in a scratch one of its own; the"
        " floor is the raw driver. whowhen: how often the built-in rules' first failing event is the annotated"
        " mistake of a"
        " Who&When conversation, beside the first error and a random step."
    )
    example = "nagare bench import --json"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        parser.add_argument(
            "name",
            nargs="?",
            choices=[*_BENCHMARKS, _STORE, _WHOWHEN],
            metavar="NAME",
            help="%(choices)s; default: all but the last two",
        )
        parser.add_argument("--data", metavar="FOLDER", help="for whowhen: the folder with the conversations")

    def run(self, **options: Any) -> None:
        """Measure and print."""
        if options["name"] == _STORE:
            self._store(as_json=options["json"])
            return
        if options["name"] == _WHOWHEN:
            self._whowhen(options["data"], as_json=options["json"])
            return
        names = [options["name"]] if options["name"] else list(_BENCHMARKS)
        found = [_BENCHMARKS[name]() for name in names]
        if options["json"]:
            self.print_json({"benchmarks": found})
            return
        for one in found:
            self.say(
                f"{one.name}: {one.events:,} events of {one.bytes:,} bytes in {one.seconds:.2f} s,"
                f" {one.events_per_second:,.0f} events/s; {one.ratio:.1f} times the floor of {one.floor_seconds:.2f} s"
            )

    def _store(self, *, as_json: bool) -> None:
        def tell(operation: str) -> None:
            sys.stderr.write(f"measuring {operation}\n")

        ratios = store.run(say=tell)
        if as_json:
            self.print_json({"benchmarks": [{"name": _STORE, "ratios": ratios}]})
            return
        for one in ratios:
            self.say(
                f"{one.operation:<28} {one.store_per_s:>12,.0f} events/s  {one.ratio:.2f} of the raw driver's"
                f" {one.floor_per_s:,.0f}"
            )

    def _whowhen(self, folder: str | None, *, as_json: bool) -> None:
        if not folder or not Path(folder).is_dir():
            raise wrong_usage(f"whowhen needs the conversations: --data {folder or 'FOLDER'} is no folder")
        found = whowhen.scores(whowhen.run(folder))
        if as_json:
            self.print_json({"benchmarks": [{"name": _WHOWHEN, "scores": found}]})
            return
        for one in found:
            self.say(
                f"{one.name:<16}{one.cases:>4} conversations, {one.guessed:>4} with a guess: at the mistake"
                f" {one.exact:.1%}, within 1 step {one.within_1:.1%}, within 3 {one.within_3:.1%}"
            )


def _import() -> Measured:
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


_USAGE: Final = {"input_tokens": 1200, "output_tokens": 80, "cache_read_input_tokens": 1000}
_BENCHMARKS: Final[dict[str, Callable[[], Measured]]] = {"import": _import}

"""The delivery proof: whatever writers do, a reader that follows the journal is given every event once and in order.

Eight writer processes append with pauses inside their transactions: between the statements and before the commit. Some
of their transactions are held open for long, some are rolled back, and some writers are killed by SIGKILL in the middle
of one and replaced. One reader follows by position the whole time. In the end what it was given is compared with what
the tables hold.

Run as a program it is the writers: ``python -m tests.journal.store.delivery <alias> <url> <events> <seed>``. It forks
them, replaces those that are killed, and prints how many were, and how many appends were rolled back.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterator
from multiprocessing.sharedctypes import RawArray
from pathlib import Path
from typing import Any, Final, Self

import msgspec

WRITERS: Final = 8
_PATIENCE: Final = 600
_ROOT: Final = Path(__file__).resolve().parents[3]


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What was committed, what the reader was given of it, and what befell the writers."""

    committed: int
    missed: int
    repeated: int
    out_of_order: int
    foreign: int
    """Given to the reader, but not in the journal: an event that was rolled back."""
    killed: int
    rolled_back: int
    seconds: float

    @property
    def holds(self) -> bool:
        """Every committed event was delivered exactly once and in order."""
        return (self.missed, self.repeated, self.out_of_order, self.foreign) == (0, 0, 0, 0)


# --- The writer -------------------------------------------------------------------------------------------------------


class RolledBack(Exception):
    """The writer's own change of mind."""


def write(alias: str, writer: int, events: int, counts: Any, seed: int) -> None:
    """Append until `events` are committed, in batches of 1 to 9, to a stream of one's own and to shared ones."""
    from django.db import connections  # noqa: PLC0415 - Django is set up by now, and not when this module is read

    from journal.domain.event import EventData  # noqa: PLC0415
    from journal.store import get_store  # noqa: PLC0415

    chance = random.Random(seed)
    store: Any = get_store("proof", using=alias)
    store.__class__ = _jittered(type(store), chance)
    with connections[alias].execute_wrapper(_pausing(chance)):
        while counts[writer] < events:
            batch = [EventData(type="proof.noted", data=b'{"n": 1}')] * chance.randint(1, 9)
            stream = f"run-{writer}" if chance.random() < 0.8 else f"shared-{chance.randint(1, 3)}"
            try:
                store.append(stream, batch, expected_version="any")
                counts[writer] += len(batch)
            except RolledBack:
                counts[WRITERS] += 1  # near enough: two writers may count at once


def write_all(alias: str, events: int, seed: int) -> None:
    """Fork the writers, replace those that are killed, and print how many were, and how many appends rolled back."""
    counts, killed, seeds, running = RawArray("l", WRITERS + 1), 0, itertools.count(seed), {}
    for writer in range(WRITERS):
        running[_fork(alias, writer, events // WRITERS, counts, next(seeds))] = writer
    while running:
        pid, status = os.wait()
        writer = running.pop(pid)
        if os.WIFSIGNALED(status):
            killed += 1
            running[_fork(alias, writer, events // WRITERS, counts, next(seeds))] = writer
        elif status:
            sys.exit(f"writer {writer} failed")
    sys.stdout.write(f"{killed} {counts[WRITERS]}")


def _fork(alias: str, writer: int, events: int, counts: Any, seed: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        write(alias, writer, events, counts, seed)
        os._exit(0)
    except BaseException:  # noqa: BLE001 - whatever it is, this process must not go on as the one it was forked from
        traceback.print_exc()
    os._exit(1)


def _jittered(kind: type, chance: random.Random) -> type:
    """Return the store with a pause before each commit, and now and then another end than that."""

    class Jittered(kind):  # type: ignore[misc]
        @contextlib.contextmanager
        def _transaction(self, _batch: Any) -> Iterator[None]:
            from django.db import transaction  # noqa: PLC0415

            with transaction.atomic(using=self._using, durable=True):
                yield
                pause(chance)
                fate = chance.random()
                if fate < 0.03:
                    raise RolledBack
                if fate < 0.033:
                    os.kill(os.getpid(), signal.SIGKILL)

    return Jittered


def _pausing(chance: random.Random) -> Any:
    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001 - Django's signature
        result = execute(sql, params, many, context)
        if "journal_" in sql and chance.random() < 0.2:
            pause(chance)
        return result

    return wrapper


def pause(chance: random.Random) -> None:
    """Wait not at all, a little, or, one time in three hundred, long."""
    draw = chance.random()
    if draw < 0.003:
        time.sleep(0.4)
    elif draw < 0.5:
        time.sleep(chance.random() * 0.006)


# --- The proof --------------------------------------------------------------------------------------------------------


def prove(alias: str, url: str, *, events: int, reader: Any = None, seed: int = 0) -> Proof:
    """Run the writers, follow them, and compare. `reader` is the store to follow with, the shipped one if None."""
    from journal.store import get_store  # noqa: PLC0415

    store = reader or get_store("proof", using=alias)
    began, start = time.monotonic(), store.head()
    writers = _Writers(alias, url, events, seed)
    given: list[Any] = []
    position, quiet = start, False
    with writers:
        while True:
            page = list(store.read_all(after=position, limit=500))
            given += [(event.position, event.stream, event.version, event.id) for event in page]
            position = page[-1].position if page else position
            if not page and quiet:
                break
            # One more look after the last writer has ended: what it committed last is there by then.
            quiet = not page and not writers.running()
            if not page:
                time.sleep(0.001)
            if time.monotonic() - began > _PATIENCE:
                raise TimeoutError(f"the reader is at {position} after {_PATIENCE} s")
    return _compared(given, _committed(alias, start), writers, time.monotonic() - began)


class _Writers:
    """The process that has the writers."""

    def __init__(self, alias: str, url: str, events: int, seed: int) -> None:
        self._command = [sys.executable, "-m", __name__, alias, url, str(events), str(seed)]
        self.killed = self.rolled_back = 0

    def __enter__(self) -> Self:
        environment = {key: value for key, value in os.environ.items() if key != "NAGARE_TEST_DATABASE"}
        self._process = subprocess.Popen(
            self._command, cwd=_ROOT, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()

    def running(self) -> bool:
        """Return whether a writer is still at work."""
        if self._process.poll() is None:
            return True
        if self._process.returncode:
            raise RuntimeError(f"the writers failed with {self._process.returncode}, see above")
        if self._process.stdout and (said := self._process.stdout.read()):
            self.killed, self.rolled_back = map(int, said.split())
        return False


def _committed(alias: str, start: int) -> list[Any]:
    from django.db import connections  # noqa: PLC0415

    with connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT e.position, s.name, e.version, e.event_id FROM journal_event e JOIN journal_stream s"
            " ON s.id = e.stream_id WHERE e.project = 'proof' AND e.position > %s ORDER BY e.position",
            [start],
        )
        return list(cursor.fetchall())


def _compared(given: list[Any], committed: list[Any], writers: _Writers, seconds: float) -> Proof:
    times, there = Counter(given), set(committed)
    versions: dict[str, int] = defaultdict(int)
    disorder = sum(1 for earlier, later in itertools.pairwise(given) if later[0] <= earlier[0])
    for _, stream, version, _ in given:
        # Streams go on from an earlier proof on the same database.
        disorder += versions[stream] not in (0, version - 1)
        versions[stream] = version
    return Proof(
        committed=len(committed),
        missed=sum(1 for event in committed if event not in times),
        repeated=sum(count - 1 for count in times.values()),
        out_of_order=disorder,
        foreign=sum(1 for event in times if event not in there),
        killed=writers.killed,
        rolled_back=writers.rolled_back,
        seconds=round(seconds, 1),
    )


if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    from tests.databases import register

    _alias, _url, _events, _seed = sys.argv[1:]
    register(_alias, _url)
    write_all(_alias, int(_events), int(_seed))

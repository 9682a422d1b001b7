"""The writers of the delivery proof: eight processes that append, and everything that can befall one.

``python -m tests.journal.store.writers <alias> <url> <events> <seed>`` forks them, replaces those that are killed, and
prints what befell them as JSON. What does, happens by chance at every step of an append:

- It pauses between its statements and before its commit; some transactions are held open for long.
- It changes its mind before its commit, and the transaction is rolled back.
- It is killed by SIGKILL between two statements, before its commit, after its commit and before it was answered, or at
  any moment whatever, by the process that forked it: then the server may be in the middle of a statement, or of the
  commit.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from enum import IntEnum
from multiprocessing.sharedctypes import RawArray
from typing import Any, Final

import msgspec

WRITERS: Final = 8
_SHIPPED: Final = 0.2
"""How many appends go the road of every other program: their transaction is the store's own."""

_KILLED_BETWEEN, _KILLED_BEFORE, _KILLED_AFTER = 0.0007, 0.002, 0.001
_ROLLED_BACK: Final = 0.03
_SECONDS_BETWEEN_KILLS: Final = 1.5
_LOOK: Final = 0.02
_LARGEST: Final = 100
_SESSIONS: Final = {
    "postgresql": ("SELECT pg_backend_pid()", "SELECT pid FROM pg_stat_activity"),
    "mysql": ("SELECT CONNECTION_ID()", "SELECT id FROM information_schema.processlist"),
    "microsoft": ("SELECT @@SPID", "SELECT session_id FROM sys.dm_exec_sessions"),
}


class Befallen(msgspec.Struct, frozen=True, kw_only=True):
    """What befell the writers."""

    killed: int
    killed_between_statements: int
    killed_before_commit: int
    killed_after_commit: int
    rolled_back: int
    held_open: int
    refused: int
    """Appends that the database gave up, as it may where many wait for one lock; the writer tried another one."""


class _At(IntEnum):
    """What a writer keeps in memory that outlives it."""

    COMMITTED = 0
    ROLLED_BACK = 1
    HELD_OPEN = 2
    REFUSED = 3
    KILLED_BETWEEN_STATEMENTS = 4
    KILLED_BEFORE_COMMIT = 5
    KILLED_AFTER_COMMIT = 6
    SESSION = 7


class RolledBack(Exception):
    """The writer's own change of mind."""


class _Writer:
    """One writer. Its counts are shared with the process that forked it."""

    def __init__(self, alias: str, number: int, counts: Any, seed: int) -> None:
        self._alias, self._number, self._counts = alias, number, counts
        self.chance = random.Random(seed)

    def count(self, at: _At, by: int = 1) -> None:
        """Add to a count of this writer, which is the only one that does."""
        self._counts[self._number * len(_At) + at] += by

    def write(self, events: int) -> None:
        """Append until `events` are committed, to a stream of one's own and to shared ones."""
        from django.db import OperationalError, connections  # noqa: PLC0415 - Django is set up by now

        from journal.domain.event import EventData  # noqa: PLC0415
        from journal.store import get_store  # noqa: PLC0415

        store: Any = get_store("proof", using=self._alias)
        store.__class__ = _perilous(type(store), self)
        self._tell_session()
        crew = os.getppid()
        with connections[self._alias].execute_wrapper(self._between_statements):
            while self._counts[self._number * len(_At) + _At.COMMITTED] < events and os.getppid() == crew:
                batch = [EventData(type="proof.noted", data=b'{"n": 1}')] * self._size()
                stream = f"run-{self._number}" if self.chance.random() < 0.8 else f"shared-{self.chance.randint(1, 3)}"
                try:
                    store.append(stream, batch, expected_version="any")
                    self.count(_At.COMMITTED, len(batch))
                except RolledBack:
                    self.count(_At.ROLLED_BACK)
                except OperationalError:
                    self.count(_At.REFUSED)

    def _size(self) -> int:
        """Return how many events to append: mostly 1 to 9, and one time in fifty up to 100."""
        return self.chance.randint(10, _LARGEST) if self.chance.random() < 0.02 else self.chance.randint(1, 9)

    def _tell_session(self) -> None:
        from django.db import connections  # noqa: PLC0415

        connection = connections[self._alias]
        if connection.vendor in _SESSIONS:
            with connection.cursor() as cursor:
                cursor.execute(_SESSIONS[connection.vendor][0])
                self._counts[self._number * len(_At) + _At.SESSION] = cursor.fetchone()[0]

    def _between_statements(self, execute: Any, sql: str, params: Any, many: Any, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if "journal_" in sql:
            self.risk(_KILLED_BETWEEN, _At.KILLED_BETWEEN_STATEMENTS)
            if self.chance.random() < 0.2:
                self.pause()
        return result

    def before_commit(self) -> None:
        """Pause, go on, roll back, or be killed."""
        self.pause()
        self.risk(_KILLED_BEFORE, _At.KILLED_BEFORE_COMMIT)
        if self.chance.random() < _ROLLED_BACK:
            raise RolledBack

    def after_commit(self) -> None:
        """Go on, or be killed before the caller learns of the commit."""
        self.risk(_KILLED_AFTER, _At.KILLED_AFTER_COMMIT)

    def risk(self, probability: float, at: _At) -> None:
        """Be killed, or not."""
        if self.chance.random() < probability:
            self.count(at)
            os.kill(os.getpid(), signal.SIGKILL)

    def pause(self) -> None:
        """Wait not at all, a little, or, one time in three hundred, long; one time in three thousand, very long."""
        draw = self.chance.random()
        if draw < 0.0033:
            self.count(_At.HELD_OPEN)
            time.sleep(2 if draw < 0.00033 else 0.4)
        elif draw < 0.5:
            time.sleep(self.chance.random() * 0.006)


def _perilous(kind: type, writer: _Writer) -> type:
    """Return the store with a transaction in which much happens, but for some appends, which are as they are."""

    class Perilous(kind):  # type: ignore[misc]
        copied_from = 50  # so that batches of a proof's size go both roads that PostgreSQL has

        @contextlib.contextmanager
        def _transaction(self, batch: Any) -> Iterator[None]:
            from django.db import transaction  # noqa: PLC0415

            if writer.chance.random() < _SHIPPED:
                with super()._transaction(batch):
                    yield
            else:
                with transaction.atomic(using=self._using, durable=True):
                    yield
                    writer.before_commit()
            writer.after_commit()

    return Perilous


class _Crew:
    """The writers that run, and who comes in for one that was killed."""

    def __init__(self, alias: str, events: int, seed: int) -> None:
        self._alias, self._share, self._seeds = alias, events // WRITERS, itertools.count(seed)
        self._chance = random.Random(seed)
        self._counts = RawArray("l", WRITERS * len(_At))
        self._running = {self._fork(number): number for number in range(WRITERS)}
        self._killed = 0
        self._sessions: set[int] = set()
        self._proof = os.getppid()

    def work(self) -> Befallen:
        """Return when every writer has done its share, and nothing of a killed one is left in the server."""
        next_kill = self._next_kill()
        while self._running:
            if os.getppid() != self._proof:
                sys.exit("the proof has ended before its writers; they end when they see this process gone")
            if time.monotonic() > next_kill:
                self._kill_one()
                next_kill = self._next_kill()
            self._replace_the_ended()
            time.sleep(_LOOK)
        self._outlast_the_killed()
        told = Counter({at: sum(self._counts[at :: len(_At)]) for at in _At})
        return Befallen(
            killed=self._killed,
            killed_between_statements=told[_At.KILLED_BETWEEN_STATEMENTS],
            killed_before_commit=told[_At.KILLED_BEFORE_COMMIT],
            killed_after_commit=told[_At.KILLED_AFTER_COMMIT],
            rolled_back=told[_At.ROLLED_BACK],
            held_open=told[_At.HELD_OPEN],
            refused=told[_At.REFUSED],
        )

    def _kill_one(self) -> None:
        """Kill the writer of a number drawn from all, so that the last one at work is not killed more often."""
        drawn = self._chance.randrange(WRITERS)
        for pid, number in self._running.items():
            if number == drawn:
                os.kill(pid, signal.SIGKILL)

    def _next_kill(self) -> float:
        return time.monotonic() + self._chance.uniform(0.5, 1.5) * _SECONDS_BETWEEN_KILLS

    def _replace_the_ended(self) -> None:
        while self._running and (ended := os.waitpid(-1, os.WNOHANG))[0]:
            number = self._running.pop(ended[0])
            if os.WIFSIGNALED(ended[1]):
                self._killed += 1
                self._sessions.add(self._counts[number * len(_At) + _At.SESSION])
                self._running[self._fork(number)] = number
            elif ended[1]:
                sys.exit(f"writer {number} failed")

    def _fork(self, number: int) -> int:
        seed = next(self._seeds)
        pid = os.fork()
        if pid:
            return pid
        try:
            _Writer(self._alias, number, self._counts, seed).write(self._share)
            os._exit(0)
        except BaseException:  # noqa: BLE001 - whatever it is, this process must not go on as the one it was forked from
            traceback.print_exc()
        os._exit(1)

    def _outlast_the_killed(self) -> None:
        """Wait for the server to notice: a statement that was sent may still be committed after its sender's death."""
        from django.db import connections  # noqa: PLC0415 - and no connection was open before the forks

        connection = connections[self._alias]
        while connection.vendor in _SESSIONS:
            with connection.cursor() as cursor:
                cursor.execute(_SESSIONS[connection.vendor][1])
                if self._sessions.isdisjoint(row[0] for row in cursor.fetchall()):
                    return
            time.sleep(_LOOK)


if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    from tests.databases import register

    _alias, _url, _events, _seed = sys.argv[1:]
    register(_alias, _url)
    sys.stdout.write(msgspec.json.encode(_Crew(_alias, int(_events), int(_seed)).work()).decode())

"""What the journal promises of writers that die, race, repeat themselves and dawdle, on every database.

Small by default; FULL=1 runs as many rounds as the promise is worth. Writers that are killed are processes of their
own, forked from this one with no connection open.
"""

from __future__ import annotations

import atexit
import functools
import os
import random
import shutil
import signal
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections, transaction

from journal.domain.stream import ANY_VERSION, NO_STREAM
from journal.errors import WrongExpectedVersion
from journal.store import EventStore, get_store
from tests import servers
from tests.builders import identity, raw
from tests.databases import alias, register
from tests.journal.store.contract import versions

FULL = bool(os.environ.get("FULL"))
WRITERS = 8
_PATIENCE = 120

pytestmark = pytest.mark.slow

_serial = count(1)


@functools.cache
def _sqlite() -> str:
    folder = tempfile.mkdtemp(prefix="nagare-reliability-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    register("reliability", f"sqlite:///{folder}/journal.sqlite3")
    call_command("migrate", database="reliability", verbosity=0)
    return "reliability"


@pytest.fixture(params=["sqlite", *(pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in servers.URLS)])
def backend(request: Any, django_db_blocker: Any) -> Iterator[str]:
    """Give the alias of a migrated database of each kind."""
    with django_db_blocker.unblock():
        try:
            name = _sqlite() if request.param == "sqlite" else alias(request.param)
        except servers.Missing as missing:
            pytest.skip(f"no {request.param}: {missing}")
        yield name
        connections[name].close()


@pytest.fixture
def store(backend: str) -> EventStore:
    """An empty journal of one project."""
    return get_store(f"reliable-{next(_serial)}", using=backend)


def test_what_was_acknowledged_survives_kill_9_and_batches_are_whole(
    backend: str, store: EventStore, tmp_path: Path
) -> None:
    """A writer of batches of three, killed at odd moments: no acknowledged batch is lost, none is half there."""
    acknowledged = tmp_path / "acknowledged"
    acknowledged.touch()
    chance = random.Random(7)

    def write() -> None:
        told = os.open(acknowledged, os.O_WRONLY | os.O_APPEND)
        while True:
            done = store.append("run-7", [raw(), raw(), raw()], expected_version=ANY_VERSION)
            os.write(told, f"{done.version}\n".encode())

    for _ in range(50 if FULL else 5):
        enough = len(_lines(acknowledged)) + chance.randrange(1, 5)
        writer = forked(backend, write)
        wait_until(lambda enough=enough: len(_lines(acknowledged)) >= enough)  # type: ignore[misc]
        time.sleep(chance.random() * 0.01)
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
        found = versions(store, "run-7")
        assert found == list(range(1, len(found) + 1))
        assert len(found) % 3 == 0
        assert len(found) >= int(_lines(acknowledged)[-1])
    if connections[backend].vendor == "sqlite":
        with connections[backend].cursor() as cursor:
            assert cursor.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_writers_that_share_streams_leave_no_hole_and_no_double(backend: str, store: EventStore) -> None:
    """Eight processes, five streams, each append at the version it has just read, again where it was late."""
    appends = 500 if FULL else 25

    def write(writer: int) -> None:
        chance = random.Random(writer)
        for _ in range(appends):
            stream = f"run-{chance.randint(1, 5)}"
            while not _appended_at_the_end(store, stream):
                pass

    for writer in [forked(backend, functools.partial(write, number)) for number in range(WRITERS)]:
        assert os.waitpid(writer, 0)[1] == 0
    found = {stream: versions(store, f"run-{stream}") for stream in range(1, 6)}
    assert all(there == list(range(1, len(there) + 1)) for there in found.values())
    assert sum(map(len, found.values())) == WRITERS * appends
    assert len(list(store.read_all())) == WRITERS * appends


def _appended_at_the_end(store: EventStore, stream: str) -> bool:
    try:
        store.append(stream, [raw()], expected_version=store.stream_version(stream))
    except WrongExpectedVersion:
        return False
    return True


def test_of_writers_that_expect_the_same_version_one_wins(backend: str, store: EventStore) -> None:
    """Eight writers decide on the same version at the same time: one success each, and the others learn the version."""
    rounds = 200 if FULL else 10
    barrier = Barrier(WRITERS)

    def race(expected: int) -> int:
        try:
            barrier.wait(_PATIENCE)
            store.append("run-7", [raw()], expected_version=expected)
        except WrongExpectedVersion as late:
            return late.actual
        finally:
            connections[backend].close()
        return 0

    with ThreadPoolExecutor(WRITERS) as pool:
        for expected in range(rounds):
            assert sorted(pool.map(race, [expected] * WRITERS)) == [0, *[expected + 1] * (WRITERS - 1)]
    assert versions(store, "run-7") == list(range(1, rounds + 1))


def test_the_same_append_from_many_at_once_is_one_event(backend: str, store: EventStore) -> None:
    """A retry that overtakes its first try changes nothing, and all are told the same."""

    def append(at: int) -> tuple[bool, int]:
        try:
            done = store.append("run-7", [raw(id=identity(at))], expected_version=ANY_VERSION)
        finally:
            connections[backend].close()
        return done.is_new, done.version

    with ThreadPoolExecutor(WRITERS) as pool:
        for at in range(1, (100 if FULL else 4) + 1):
            told = Counter(pool.map(append, [at] * WRITERS))
            assert told == {(True, at): 1, (False, at): WRITERS - 1}


def test_an_append_is_sent_again_after_its_writer_was_killed_between_commit_and_reply(
    backend: str, store: EventStore
) -> None:
    """Whoever was never told sends it again: the answer is the one that was lost, and there is one event."""
    for at in range(1, (50 if FULL else 3) + 1):
        events = [raw(id=identity((at, part))) for part in range(2)]
        dying = _dying(store, backend, before_commit=False)
        assert _killed(backend, lambda: dying.append("run-7", events, expected_version=2 * at - 2))  # noqa: B023
        again = store.append("run-7", events, expected_version=2 * at - 2)
        assert (again.is_new, again.version) == (False, 2 * at)
    assert versions(store, "run-7") == list(range(1, 2 * at + 1))


def test_an_append_is_sent_again_after_its_writer_was_killed_before_the_commit(backend: str, store: EventStore) -> None:
    """Nothing of the first try is left, no lock of it either: the second one is the first."""
    events = [raw(id=identity("one")), raw(id=identity("two"))]
    dying = _dying(store, backend, before_commit=True)
    assert _killed(backend, lambda: dying.append("run-7", events, expected_version=NO_STREAM))
    again = store.append("run-7", events, expected_version=NO_STREAM)
    assert (again.is_new, again.version) == (True, 2)
    assert [event.version for event in store.read_all()] == [1, 2]


def test_a_reader_skips_nothing_while_a_transaction_is_held_open(backend: str, store: EventStore) -> None:
    """One writer has its positions and dawdles, others commit: every event is given once, in one order."""
    drawn, go_on = Event(), Event()
    slow = _holding(store, backend, drawn, go_on)

    def append(stream: str, by: EventStore) -> None:
        try:
            by.append(stream, [raw(), raw()], expected_version=NO_STREAM)
        finally:
            drawn.set()
            connections[backend].close()

    given: list[Any] = []
    with ThreadPoolExecutor(WRITERS) as pool:
        held = pool.submit(append, "run-1", slow)
        assert drawn.wait(_PATIENCE)
        others = [pool.submit(append, f"run-{at}", store) for at in range(2, WRITERS)]
        if store.capabilities.concurrent_writers:
            for other in others:
                other.result(_PATIENCE)
        until = time.monotonic() + (2 if FULL else 0.1)
        while time.monotonic() < until:
            given += store.read_all(after=given[-1].position if given else 0)
        go_on.set()
        for writer in (held, *others):
            writer.result(_PATIENCE)
    given += store.read_all(after=given[-1].position if given else 0)
    assert [event.id for event in given] == [event.id for event in store.read_all()]
    assert Counter(event.stream for event in given) == {f"run-{at}": 2 for at in range(1, WRITERS)}


def _holding(store: EventStore, backend: str, drawn: Event, go_on: Event) -> EventStore:
    """Return the store that stops before its commit until it is told to go on."""

    class Holding(type(store)):  # type: ignore[misc]
        @contextmanager
        def _transaction(self, _batch: Any) -> Iterator[None]:
            with transaction.atomic(using=backend, durable=True):
                yield
                drawn.set()
                assert go_on.wait(_PATIENCE)

    holding: EventStore = Holding(store.project, using=backend)
    return holding


def _dying(store: EventStore, backend: str, *, before_commit: bool) -> EventStore:
    """Return the store that kills its process right before, or right after, the commit of an append."""

    class Dying(type(store)):  # type: ignore[misc]
        @contextmanager
        def _transaction(self, _batch: Any) -> Iterator[None]:
            with transaction.atomic(using=backend, durable=True):
                yield
                if before_commit:
                    os.kill(os.getpid(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)

    dying: EventStore = Dying(store.project, using=backend)
    return dying


def _killed(backend: str, work: Callable[[], object]) -> bool:
    """Return whether the process that did the work was killed in it."""
    return os.WTERMSIG(os.waitpid(forked(backend, work), 0)[1]) == signal.SIGKILL


def forked(backend: str, work: Callable[[], object]) -> int:
    """Return the id of a process that does the work and ends with 0, or with 1 where it fails."""
    connections[backend].close()
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
        os._exit(0)
    except BaseException:  # noqa: BLE001 - whatever it is, this process must not go on as the one it was forked from
        traceback.print_exc()
    os._exit(1)


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, with a deadline."""
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.003)


def _lines(path: Path) -> list[str]:
    """Return the whole lines of a file; a writer may have died in the middle of one."""
    return path.read_text().split("\n")[:-1]

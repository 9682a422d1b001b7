"""`nagare run-outbox` as real processes: one works, another takes over when that is killed or stopped."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from tests.journal.runtime.receiver import receiving
from tests.journal.runtime.stopping import stop_between_transactions

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 60.0
APPEND = """
import django; django.setup()
import sys
from journal.domain import agent_run as run
from journal.domain.stream import ANY_VERSION
from journal.store import get_store
from tests.builders import event
for name in sys.argv[1:]:
    get_store().append(f"agent_run-{name}", [event(run.Started()), event(run.Aborted())], expected_version=ANY_VERSION)
"""
# The command itself; only the lease is shorter, so that nobody waits for it.
SHORT_LEASE = """
import sys
from datetime import timedelta
from functools import partial
import django; django.setup()
from django.core.management import execute_from_command_line
from journal.runtime import lease
lease.terms = partial(lease.terms, ttl=timedelta(seconds=float(sys.argv.pop())))
execute_from_command_line(sys.argv)
"""
DISPATCHES = "SELECT id, state, attempts, token FROM journal_dispatch WHERE effect = 'webhook'"
TTL_S = 5.0 if os.environ.get("FULL") else 1.5
"""FULL=1 has the lease time that is shipped."""


def nagare(environ: dict[str, str], *arguments: str) -> str:
    """Run a program of the project to its end and return what it printed."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environ, check=True, capture_output=True, text=True).stdout


@contextmanager
def outboxes(environ: dict[str, str], count: int) -> Iterator[dict[int, subprocess.Popen[bytes]]]:
    """Run so many at once, by process id, and end those that are left."""
    command = [sys.executable, "manage.py", "run-outbox", "--poll", "0.1"]
    started = [subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.DEVNULL) for _ in range(count)]
    try:
        yield {one.pid: one for one in started}
    finally:
        for one in started:
            one.kill()
            one.wait()


def until(holds: Callable[[], bool]) -> None:
    """Wait for a condition, not for ever."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.05)


@pytest.fixture
def folder(migrated: Path, tmp_path: Path) -> Path:
    """A data directory with an empty journal."""
    return shutil.copytree(migrated, tmp_path / "data")


@pytest.fixture
def environ(folder: Path) -> dict[str, str]:
    """The environment of an installation there."""
    return {name: value for name, value in os.environ.items() if not name.startswith("NAGARE_")} | {
        "NAGARE_DATA_DIR": str(folder),
        "NAGARE_ALLOW_PRIVATE_WEBHOOKS": "1",
        "DJANGO_SETTINGS_MODULE": "nagare_web.settings",
        "PYTHONPATH": str(ROOT),
    }


def read(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    """Return rows of the journal's file."""
    (file,) = folder.glob("*.sqlite3")
    with closing(sqlite3.connect(file, timeout=20)) as connection:
        return connection.execute(sql).fetchall()


def holder(folder: Path) -> int:
    """Return the process that has the lease."""
    ((name,),) = read(folder, "SELECT holder FROM journal_lease WHERE name = 'outbox'")
    return int(name.rpartition("-")[2])


@pytest.mark.slow
def test_when_the_working_process_is_killed_the_idle_one_takes_over(environ: dict[str, str], folder: Path) -> None:
    """Every alert arrives; asked to stop, the last one ends in order."""
    with receiving() as receiver, outboxes(environ, 2) as running:
        nagare(environ, "manage.py", "webhook", "add", receiver.url)
        nagare(environ, "-c", APPEND, "1", "2")
        until(lambda: len(set(receiver.ids)) == 2)
        owner = holder(folder)
        running[owner].kill()
        nagare(environ, "-c", APPEND, "3")
        until(lambda: len(set(receiver.ids)) == 3)
        (idle,) = (one for pid, one in running.items() if pid != owner)
        idle.terminate()
        assert idle.wait(PATIENCE_S) == 0
    assert len(receiver.ids) == 3


@contextmanager
def outbox(environ: dict[str, str], said: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run one with a short lease; what it logs goes to a file."""
    command = [sys.executable, "-c", SHORT_LEASE, "run-outbox", "--poll", "0.1", str(TTL_S)]
    with said.open("wb") as log, subprocess.Popen(command, cwd=ROOT, env=environ, stderr=log) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.slow
def test_a_process_that_was_stopped_past_its_lease_ends_nothing_any_more(
    environ: dict[str, str], folder: Path, tmp_path: Path
) -> None:
    """SIGSTOP while the receiver answers, another takes over and delivers that under the same id, SIGCONT.

    The one that was stopped then has its answer, and is refused when it writes down so; the new owner's word stays. A
    receiver that knows ids has each effect once.
    """
    is_asked, may_answer = Event(), Event()

    def slowly(handler: Any) -> None:
        is_asked.set()
        may_answer.wait(PATIENCE_S)
        handler.send_response(200)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    log = tmp_path / "first.log"
    with receiving(slowly) as receiver, outbox(environ, log) as first:
        nagare(environ, "manage.py", "webhook", "add", receiver.url)
        nagare(environ, "-c", APPEND, "1")
        assert is_asked.wait(PATIENCE_S)
        stop_between_transactions(first, folder)
        with outbox(environ, tmp_path / "second.log") as second:
            until(lambda: len(receiver.ids) == 2)
            (once,) = set(receiver.ids)
            until(lambda: read(folder, DISPATCHES) == [(once, "delivered", 2, 2)])
            may_answer.set()
            first.send_signal(signal.SIGCONT)
            until(lambda: "dispatch_lost" in log.read_text() and once in log.read_text())
            nagare(environ, "-c", APPEND, "2", "3")
            until(lambda: len(set(receiver.ids)) == 3)
            assert holder(folder) == second.pid
            assert (once, "delivered", 2, 2) in read(folder, DISPATCHES)
            assert first.poll() is None
    assert Counter(receiver.ids) == {once: 2, **dict.fromkeys(set(receiver.ids) - {once}, 1)}

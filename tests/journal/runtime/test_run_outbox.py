"""`nagare run-outbox` as real processes: one works, the other takes over when it is killed, and nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.journal.runtime.receiver import receiving

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
HOLDER = """
import django; django.setup()
from journal.models import Lease
print(Lease.objects.get(name="outbox").holder)
"""


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


@pytest.mark.slow
def test_when_the_working_process_is_killed_the_idle_one_takes_over(tmp_path: Path) -> None:
    """Every alert arrives; asked to stop, the last one ends in order."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("NAGARE_")} | {
        "NAGARE_DATA_DIR": str(tmp_path),
        "NAGARE_ALLOW_PRIVATE_WEBHOOKS": "1",
        "DJANGO_SETTINGS_MODULE": "nagare_web.settings",
    }
    nagare(environ, "manage.py", "migrate", "--verbosity", "0")
    with receiving() as receiver, outboxes(environ, 2) as running:
        nagare(environ, "manage.py", "webhook", "add", receiver.url)
        nagare(environ, "-c", APPEND, "1", "2")
        until(lambda: len(set(receiver.ids)) == 2)
        owner = int(nagare(environ, "-c", HOLDER).strip().rpartition("-")[2])
        running[owner].kill()
        nagare(environ, "-c", APPEND, "3")
        until(lambda: len(set(receiver.ids)) == 3)
        (idle,) = (one for pid, one in running.items() if pid != owner)
        idle.terminate()
        assert idle.wait(PATIENCE_S) == 0
    assert len(receiver.ids) == 3

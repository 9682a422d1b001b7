"""Real processes that are stopped, continued and killed: who may write, who takes over and when, what is lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.journal.runtime.stopping import stop_between_transactions

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[3]
OWNER = Path(__file__).with_name("owner.py")
TTL_S = 5.0 if os.environ.get("FULL") else 1.5
"""FULL=1 measures with the lease time that is shipped."""

SLACK_S = 2.0
KILLS = 10 if os.environ.get("FULL") else 4
"""A busy machine is slow to start Python and to schedule it; the promise is about leases, not about that."""


class Owner:
    """One process of `owner.py`."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._folder = folder
        self.process = subprocess.Popen(
            [sys.executable, str(OWNER), *arguments],
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("NAGARE_")},
                "NAGARE_DATA_DIR": str(folder),
                "NAGARE_LOG_LEVEL": "ERROR",
                "DJANGO_SETTINGS_MODULE": "nagare_web.settings",
                "PYTHONPATH": str(ROOT),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def says(self) -> list[str]:
        """Return the next line it prints, as words; nothing when it has ended."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().split()

    def asked(self) -> list[str]:
        """Send a line, and return the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        return self.says()

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def stop(self) -> None:
        """Stop it between two transactions."""
        stop_between_transactions(self.process, self._folder)

    def end(self) -> None:
        """Kill it, wherever it is, and let go of it."""
        self.process.kill()
        self.process.communicate()


Start = Callable[..., Owner]


@pytest.fixture
def folder(migrated: Path, tmp_path: Path) -> Path:
    """A data directory with an empty journal."""
    return shutil.copytree(migrated, tmp_path / "data")


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """Start processes; whatever is left of them is killed."""
    started: list[Owner] = []

    def starting(*arguments: str) -> Owner:
        started.append(Owner(folder, *arguments))
        return started[-1]

    yield starting
    for owner in started:
        owner.end()


def test_a_stopped_owner_is_replaced_in_two_lease_times_and_can_write_no_more(start: Start) -> None:
    """SIGSTOP past the lease, another takes over, SIGCONT: what the first still writes is refused."""
    first = start("hold", "sub", str(TTL_S))
    assert first.says() == ["owned", "1"]
    assert first.asked() == ["wrote", "1", "1"]
    second = start("hold", "sub", str(TTL_S))
    time.sleep(TTL_S)  # let it come to wait for the lease: two lease times are counted from the stop
    first.stop()
    stopped_at = time.monotonic()
    assert second.says() == ["owned", "2"]
    assert time.monotonic() - stopped_at < 2 * TTL_S + SLACK_S
    assert second.asked() == ["wrote", "2", "2"]
    first.send(signal.SIGCONT)
    assert first.asked() == ["refused", "Fenced", "False"]
    assert second.asked() == ["wrote", "3", "2"]


def test_a_stopped_owner_is_refused_even_where_its_position_still_fits(start: Start) -> None:
    """The new owner has stamped the checkpoint, though it has written nothing yet."""
    first = start("hold", "sub", str(TTL_S))
    assert first.says() == ["owned", "1"]
    first.stop()
    second = start("hold", "sub", str(TTL_S))
    assert second.says() == ["owned", "2"]
    first.send(signal.SIGCONT)
    assert first.asked() == ["refused", "Fenced", "False"]
    assert second.asked() == ["wrote", "1", "2"]


def test_a_killed_owner_is_replaced_in_two_lease_times(start: Start) -> None:
    """And the new one goes on from the last position that was written."""
    first = start("hold", "sub", str(TTL_S))
    assert first.says() == ["owned", "1"]
    second = start("hold", "sub", str(TTL_S))
    assert first.asked() == ["wrote", "1", "1"]
    time.sleep(TTL_S)
    first.send(signal.SIGKILL)
    killed_at = time.monotonic()
    assert second.says() == ["owned", "2"]
    assert time.monotonic() - killed_at < 2 * TTL_S + SLACK_S
    assert second.asked() == ["wrote", "2", "2"]


def test_a_rebuild_survives_kills_and_appends(start: Start) -> None:
    """SIGKILL in the middle of batches, again and again, while events come in; the outcome equals an undisturbed one.

    Progress never goes back.
    """
    assert start("fill", "1500").says()[0] == "filled"
    assert start("verify").says()[0] == "agrees"
    job = start("submit").says()[0]
    progress = start("done", job)
    seen = [int(progress.asked()[0])]
    writer = start("fill", "600")
    for _ in range(KILLS):
        worker = start("rebuild", job)
        if worker.says()[0] == "ended":
            break
        until = time.monotonic() + 20
        while int(progress.asked()[0]) <= seen[-1] and time.monotonic() < until:
            time.sleep(0.02)
        worker.send(signal.SIGKILL)
        seen.append(int(progress.asked()[0]))
    assert writer.says()[0] == "filled"
    last = start("rebuild", job)
    while (told := last.says())[0] != "ended":
        pass
    assert told[1] == "done"
    assert seen == sorted(seen)
    assert int(told[2]) > 1
    assert start("verify").says()[0] == "agrees"

"""Re-grades by real processes: killed again and again, and two at one job. What comes out is the same."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[3]
GRADER = Path(__file__).with_name("grader.py")
FULL = bool(os.environ.get("FULL"))
RUNS = 600 if FULL else 90
KILLS = 10


class Grader:
    """One process of `grader.py`."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        own = {name: value for name, value in os.environ.items() if not name.startswith("NAGARE_")}
        self.process = subprocess.Popen(
            [sys.executable, str(GRADER), *arguments],
            env={
                **own,
                "NAGARE_DATA_DIR": str(folder),
                "NAGARE_LOG_LEVEL": "ERROR",
                "DJANGO_SETTINGS_MODULE": "nagare_web.settings",
                "PYTHONPATH": str(ROOT),
            },
            stdout=subprocess.PIPE,
            text=True,
        )

    def lines(self) -> Iterator[list[str]]:
        """Yield the lines it prints, as words."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            yield line.split()

    def last(self) -> list[str]:
        """Let it come to its end, and return the last line."""
        return self.all()[-1]

    def all(self) -> list[list[str]]:
        """Let it come to its end, and return all it said."""
        out, _ = self.process.communicate()
        assert self.process.returncode == 0, out
        return [line.split() for line in out.splitlines()]

    def kill(self) -> None:
        """End it, wherever it is, with SIGKILL."""
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for a journal with runs and a rule."""
    return tmp_path_factory.mktemp("graded")


@pytest.fixture(scope="module")
def undisturbed(journal: Path) -> list[str]:
    """What one worker comes to that nobody disturbs: how it ended, counts, and a digest of all verdicts."""
    found = Grader(journal, "fill", str(RUNS)).last()
    assert found[:2] == ["done", str(RUNS)]
    assert int(found[3]) == len([number for number in range(RUNS) if number % 15 == 0])
    return found


def test_a_worker_that_is_killed_ten_times_comes_to_the_same(journal: Path, undisturbed: list[str]) -> None:
    """Each verdict is told once, whatever the worker was at; progress never goes back."""
    (job,) = Grader(journal, "submit").last()
    chosen, reached = random.Random(11), 0
    for _ in range(KILLS):
        worker, last = Grader(journal, "work", job), chosen.randint(0, 3)
        for at, words in enumerate(worker.lines()):
            if words[0] == "working":
                assert int(words[2]) >= reached
                reached = int(words[2])
            if at >= last:
                break
        worker.kill()
    *_, attempts, found = Grader(journal, "work", job).all()
    assert int(attempts[1]) > 1  # it was taken over
    assert found == undisturbed


def test_two_workers_at_one_job_share_it_and_come_to_the_same(journal: Path, undisturbed: list[str]) -> None:
    """No part is told by both."""
    (job,) = Grader(journal, "submit").last()
    said = [worker.all() for worker in [Grader(journal, "work", job) for _ in range(2)]]
    parts = sorted(int(words[1]) for each in said for words in each if words[0] == "told")
    assert parts == list(range(-(-RUNS // 4)))
    assert [each[-1] for each in said] == [undisturbed, undisturbed]

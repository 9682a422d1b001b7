"""Re-grade against its floor: the same events scanned in order and each decoded to its type, and nothing else.

Each side runs in processes of its own, in a scratch journal on SQLite that is removed at the end; floor and job take
turns. The job is the whole of it: freezing the runs, folding, judging, telling the verdicts and adding them up.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import msgspec

_CHILD: Final = Path(__file__).with_name("regrade_child.py")
_ROUNDS: Final = 3
RULES: Final = {
    "built in, events alone": "no-failure-loop",
    "saved, events alone": 'event.type != "agent_run.tool_returned" || event.data.latencyMs < 5000',
    "saved, over the state": "state.totals.cost_usd < 1000.0",
}


class Graded(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the report. `ratio` is the floor's time divided by the job's, in seconds of the clock.

    `cpu_ratio` is the same in seconds of the processor over all processes, which a busy machine changes less.
    """

    rule: str
    workers: int
    events: int
    events_per_s: float
    ratio: float
    cpu_ratio: float


def run(events: int, *, say: Callable[[str], None] = lambda _: None, rounds: int = _ROUNDS) -> list[Graded]:
    """Measure each of `RULES` with one worker and with two."""
    with tempfile.TemporaryDirectory(prefix="nagare-bench-") as folder:
        say(f"{events:,} events being written")
        _ask(folder, "fill", str(events))
        return [
            _measured(folder, name, rule, workers, rounds, say) for name, rule in RULES.items() for workers in (1, 2)
        ]


def _measured(  # noqa: PLR0913, PLR0917 - what is measured, how often
    folder: str, name: str, rule: str, workers: int, rounds: int, say: Callable[[str], None]
) -> Graded:
    say(f"{name}, {workers} worker{'s' if workers > 1 else ''}")
    pairs = [(_ask(folder, "floor"), _job(folder, rule, workers)) for _ in range(rounds)]
    return Graded(
        rule=name,
        workers=workers,
        events=pairs[0][1]["events"],
        events_per_s=round(statistics.median(job["events"] / job["seconds"] for _, job in pairs)),
        ratio=round(statistics.median(floor["seconds"] / job["seconds"] for floor, job in pairs), 3),
        cpu_ratio=round(statistics.median(floor["cpu_s"] / job["cpu_s"] for floor, job in pairs), 3),
    )


def _job(folder: str, rule: str, workers: int) -> dict[str, Any]:
    """Let workers, begun together, do one job; return the time until the last was through and what all of them used."""
    job = _ask(folder, "submit", rule)["job"]
    with ExitStack() as stack:
        started = [stack.enter_context(_start(folder, ("work", job))) for _ in range(workers)]
        for worker in started:
            _line(worker)
        for worker in started:
            assert worker.stdin is not None  # it is a pipe  # noqa: S101
            worker.stdin.write("go\n")
            worker.stdin.flush()
        told = [msgspec.json.decode(_line(worker)) for worker in started]
    return {
        "events": told[0]["events"],
        "seconds": max(each["seconds"] for each in told),
        "cpu_s": sum(each["cpu_s"] for each in told),
    }


def _ask(folder: str, *arguments: str) -> dict[str, Any]:
    with _start(folder, arguments) as child:
        said: dict[str, Any] = msgspec.json.decode(_line(child))
        return said


def _line(child: subprocess.Popen[str]) -> str:
    line = child.stdout.readline() if child.stdout else ""
    if not line:
        raise RuntimeError(f"a process of the benchmark ended with {child.wait()}, see above")
    return line


def _start(folder: str, arguments: Sequence[str]) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NAGARE_")}
    root = str(Path(__file__).resolve().parents[2])
    own = {"NAGARE_DATA_DIR": folder, "NAGARE_LOG_LEVEL": "ERROR", "PYTHONPATH": root}
    return subprocess.Popen(  # noqa: S603 - our own file, no shell
        [sys.executable, "-P", str(_CHILD), *arguments],
        env={**kept, **own, "DJANGO_SETTINGS_MODULE": "nagare_web.settings"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

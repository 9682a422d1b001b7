"""The supervisor, with small children that do on purpose what real ones do by accident."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nagare_web.supervisor import Patience, Program, Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 30
QUICK = Patience(
    tick=timedelta(milliseconds=10),
    first_delay=timedelta(milliseconds=20),
    longest_delay=timedelta(milliseconds=100),
    grace=timedelta(seconds=DEADLINE_S),
)
SLEEPS = "import time; time.sleep(600)"
IGNORES_SIGTERM = """
    import os, pathlib, signal, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pathlib.Path(sys.argv[1]).touch()
    time.sleep(600)
"""
COUNTS_STARTS_AND_DIES = """
    import sys
    with open(sys.argv[1], "a") as file:
        file.write("x")
    sys.exit(3)
"""
STARTS_A_GRANDCHILD = """
    import pathlib, subprocess, sys, time
    grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    unfinished = pathlib.Path(sys.argv[1] + ".unfinished")
    unfinished.write_text(str(grandchild.pid))
    unfinished.rename(sys.argv[1])
    time.sleep(600)
"""


def program(code: str, *arguments: object, name: str = "child") -> Program:
    """Return a program that runs `code` in a Python of its own."""
    return Program(name=name, command=(sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)))


def supervise(*programs: Program, until: Callable[[Supervisor], bool], patience: Patience = QUICK) -> Supervisor:
    """Run a supervisor until a condition holds, or fail at the deadline."""
    supervisor = Supervisor(programs, environ=os.environ, patience=patience)
    deadline = time.monotonic() + DEADLINE_S
    seen = []

    def stop_when_seen() -> bool:
        seen.append(until(supervisor))
        if seen[-1] or time.monotonic() > deadline:
            supervisor.stop()
        return False

    supervisor.run(is_ready=stop_when_seen, announce=lambda: None)
    assert seen[-1], "the condition never held"
    return supervisor


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that waits for its parent to notice its death does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(holds: Callable[[], bool]) -> None:
    """Look again and again, up to the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, "the condition never held"
        time.sleep(0.01)


def test_children_are_stopped_when_it_stops() -> None:
    """After `run` no child is left, and none needed killing."""
    pids: list[int] = []

    def all_run(supervisor: Supervisor) -> bool:
        pids[:] = [child.pid for child in supervisor.children if child.pid is not None]
        return len(pids) == 2

    supervise(program(SLEEPS, name="one"), program(SLEEPS, name="two"), until=all_run)
    assert len(pids) == 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_child_that_dies_is_started_again(tmp_path: Path) -> None:
    """Death is noticed and mended, as often as it comes."""
    starts = tmp_path / "starts"
    supervise(program(COUNTS_STARTS_AND_DIES, starts), until=lambda _: starts.exists() and len(starts.read_text()) >= 3)


def test_one_childs_death_leaves_the_others_alone(tmp_path: Path) -> None:
    """The neighbour keeps its process through a restart."""
    starts = tmp_path / "starts"
    neighbours: set[int | None] = set()

    def restarted_twice(supervisor: Supervisor) -> bool:
        neighbours.add(supervisor.children[1].pid)
        return starts.exists() and len(starts.read_text()) >= 3

    supervise(program(COUNTS_STARTS_AND_DIES, starts), program(SLEEPS), until=restarted_twice)
    assert len(neighbours) == 1


def test_restarts_come_ever_later() -> None:
    """The delay doubles with each death in a row, up to the longest, however many there were."""
    patience = Patience(first_delay=timedelta(seconds=1), longest_delay=timedelta(seconds=5))
    assert [patience.delay(deaths).total_seconds() for deaths in (1, 2, 3, 4, 1000)] == [1, 2, 4, 5, 5]


def test_a_child_that_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    """A hung child cannot keep the tree alive."""
    started = tmp_path / "started"
    patience = Patience(tick=timedelta(milliseconds=10), grace=timedelta(milliseconds=100))
    supervisor = supervise(program(IGNORES_SIGTERM, started), until=lambda _: started.exists(), patience=patience)
    assert supervisor.children[0].pid is None


def test_a_second_signal_ends_the_waiting(tmp_path: Path) -> None:
    """Whoever presses Ctrl-C twice does not wait for the grace to end."""
    started = tmp_path / "started"
    patience = Patience(tick=timedelta(milliseconds=10), grace=timedelta(hours=1))
    supervisor = Supervisor([program(IGNORES_SIGTERM, started)], environ=os.environ, patience=patience)

    def press_ctrl_c_twice() -> None:
        wait_until(started.exists)
        supervisor.stop()
        supervisor.stop()

    interrupt = threading.Thread(target=press_ctrl_c_twice)
    interrupt.start()
    supervisor.run(is_ready=lambda: False, announce=lambda: None)
    interrupt.join()
    assert supervisor.children[0].pid is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_what_a_child_started_goes_with_it(tmp_path: Path) -> None:
    """A grandchild in the same session is not left behind."""
    grandchild = tmp_path / "pid"
    supervise(program(STARTS_A_GRANDCHILD, grandchild), until=lambda _: grandchild.exists())
    wait_until(lambda: not is_alive(int(grandchild.read_text())))


def test_readiness_is_announced_once() -> None:
    """The line with the address is printed when the probe first succeeds and not again."""
    announced: list[str] = []
    probes = 0
    supervisor = Supervisor([program(SLEEPS)], environ=os.environ, patience=QUICK)

    def ready_at_the_third_probe() -> bool:
        nonlocal probes
        probes += 1
        return probes == 3

    def announce() -> None:
        announced.append("ready")
        threading.Timer(0.1, supervisor.stop).start()

    supervisor.run(is_ready=ready_at_the_third_probe, announce=announce)
    assert announced == ["ready"]
    assert probes == 3


def test_sigterm_stops_it_and_the_old_handler_comes_back() -> None:
    """A signal is taken while it runs and is the caller's again afterwards."""
    before = signal.getsignal(signal.SIGTERM)
    supervisor = Supervisor([program(SLEEPS)], environ=os.environ, patience=QUICK)
    supervisor.run(is_ready=lambda: True, announce=lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert signal.getsignal(signal.SIGTERM) == before


OUTER = """
    import os, pathlib, sys
    from nagare_web.supervisor import Program, Supervisor
    supervisor = Supervisor(
        [Program(name="child", command=(sys.executable, "-c", "import time; time.sleep(600)"))], environ=os.environ
    )
    supervisor.run(is_ready=lambda: True, announce=lambda: print("child", supervisor.children[0].pid, flush=True))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends children with their parent")
def test_children_die_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    """SIGKILL leaves no time to tidy up; the kernel does it."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "NAGARE_DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-c", textwrap.dedent(OUTER)]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as outer:
        assert outer.stdout is not None
        child = next(int(line.split()[1]) for line in outer.stdout if line.startswith(b"child "))
        assert is_alive(child)
        outer.kill()
        wait_until(lambda: not is_alive(child))

"""One supervised process tree: starts programs, restarts those that die, and leaves none behind.

Everything happens in one thread: a loop looks at the children, and signals only set flags that the loop reads. On Linux
the kernel ends the children even where this process is killed outright; elsewhere a killed supervisor leaves them
running.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import functools
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import FrameType

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

PR_SET_PDEATHSIG: Final = 1
"""From <sys/prctl.h>."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Program:
    """A command to keep running."""

    name: str
    command: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to wait, and for what."""

    tick: timedelta = timedelta(milliseconds=100)
    first_delay: timedelta = timedelta(milliseconds=500)
    longest_delay: timedelta = timedelta(seconds=30)
    settled_after: timedelta = timedelta(seconds=60)
    """A child that lived this long is given the first delay again."""
    grace: timedelta = timedelta(seconds=10)
    """From SIGTERM to SIGKILL."""

    def delay(self, deaths: int) -> timedelta:
        """Return how long to wait before the restart after `deaths` deaths in a row: doubling, up to the longest."""
        doublings = min(deaths - 1, 30)
        return min(self.first_delay * (1 << doublings), self.longest_delay)


class Child:
    """A program and, while it runs, its process."""

    def __init__(self, program: Program, *, environ: Mapping[str, str], patience: Patience) -> None:
        self.program = program
        self._environ = environ
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._restart_at = 0.0
        self._deaths = 0

    @property
    def pid(self) -> int | None:
        """The id of the running process."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start the program in a session of its own, so that a terminal's Ctrl-C reaches us alone."""
        self._started_at = time.monotonic()
        self._process = subprocess.Popen(  # noqa: S603 -- the commands are ours
            self.program.command,
            env=self._environ,
            stdout=sys.stderr,  # standard output is for what we announce
            start_new_session=True,
            preexec_fn=_die_with_parent(),  # noqa: PLW1509 -- one system call, looked up before the fork
        )
        log.info("child_started", child=self.program.name, pid=self._process.pid)

    def tend(self) -> None:
        """Notice a death, and restart once the delay for it is over."""
        if self._process is not None:
            status = self._process.poll()
            if status is not None:
                self._note_death(status)
        elif time.monotonic() >= self._restart_at:
            self.start()

    def _note_death(self, status: int) -> None:
        now = time.monotonic()
        lived = timedelta(seconds=now - self._started_at)
        self._deaths = 1 if lived >= self._patience.settled_after else self._deaths + 1
        delay = self._patience.delay(self._deaths)
        self._restart_at = now + delay.total_seconds()
        self._kill_group()  # what the child itself started must not outlive it
        self._process = None
        log.error(
            "child_died",
            child=self.program.name,
            status=status,
            deaths=self._deaths,
            restart_in_s=delay.total_seconds(),
        )

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        if self._process is not None and self.is_running:
            self._process.terminate()

    @property
    def is_running(self) -> bool:
        """Whether the process is there and has not ended."""
        return self._process is not None and self._process.poll() is None

    def end(self) -> None:
        """Kill the child, where it still runs, and everything it started."""
        if self._process is None:
            return
        if self.is_running:
            log.warning("child_killed", child=self.program.name, pid=self._process.pid)
        self._kill_group()
        self._process.wait()
        self._process = None

    def _kill_group(self) -> None:
        """Kill the child's session. Its leader's id names it, also after the leader's own death."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)


class Supervisor:
    """Keeps its children running until it is told to stop."""

    def __init__(
        self, programs: Sequence[Program], *, environ: Mapping[str, str], patience: Patience | None = None
    ) -> None:
        self._patience = patience or Patience()
        self.children = [Child(program, environ=environ, patience=self._patience) for program in programs]
        self._stopping = threading.Event()
        self._hurry = False

    def stop(self) -> None:
        """Make `run` return after it has stopped the children; asked twice, it no longer waits for them."""
        self._hurry = self._stopping.is_set()
        self._stopping.set()

    def run(self, *, is_ready: Callable[[], bool], announce: Callable[[], None]) -> None:
        """Start the children and tend them until `stop`, SIGINT or SIGTERM.

        Calls `announce` once, as soon as `is_ready` says so. Call it on the main thread: only there can signals be
        taken, and on Linux the children live as long as the thread that started them.
        """
        with _handled_signals(self.stop):
            try:
                self._tend_until_stopped(is_ready, announce)
            finally:
                self._stop_children()

    def _tend_until_stopped(self, is_ready: Callable[[], bool], announce: Callable[[], None]) -> None:
        for child in self.children:
            child.start()
        is_announced = False
        while not self._stopping.wait(self._patience.tick.total_seconds()):
            for child in self.children:
                child.tend()
            if not is_announced and is_ready():
                is_announced = True
                announce()

    def _stop_children(self) -> None:
        """Ask all at once, wait in short steps so that a second signal ends the waiting, then kill what is left."""
        for child in reversed(self.children):
            child.ask_to_stop()
        deadline = time.monotonic() + self._patience.grace.total_seconds()
        while not self._hurry and time.monotonic() < deadline and any(child.is_running for child in self.children):
            time.sleep(self._patience.tick.total_seconds())
        for child in self.children:
            child.end()


@contextlib.contextmanager
def _handled_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Let SIGINT and SIGTERM call `stop`, and put back what was there before."""

    def handler(_number: int, _frame: FrameType | None) -> None:
        stop()

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def _die_with_parent() -> Callable[[], None] | None:
    """Return what a child must do after the fork so that the kernel kills it when we die, or None where none can."""
    prctl = _prctl()
    if prctl is None:
        return None
    parent = os.getpid()

    def after_fork() -> None:
        prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != parent:  # we died between the fork and the call above
            os._exit(1)

    return after_fork


@functools.cache
def _prctl() -> Callable[[int, int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    return ctypes.CDLL(None).prctl

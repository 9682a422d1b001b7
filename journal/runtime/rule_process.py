"""Saved rules evaluated in a child process under a deadline. One that misses it is killed, and the next one made."""

from __future__ import annotations

import atexit
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any, Final

import msgspec

from journal.domain import codec
from journal.domain.rule import Answer, RuleTimeout

DEADLINE: Final = timedelta(seconds=2)
_STARTING: Final = timedelta(seconds=20)
_CHILD: Final = Path(__file__).with_name("rule_child.py")
_CHUNK: Final = 1 << 16


class _Lines:
    """The lines of an answer, as they come in."""

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._rest = b""
        self.whole: list[bytes] = []

    @property
    def is_done(self) -> bool:
        return len(self.whole) >= self._expected

    def take(self, part: bytes) -> None:
        *whole, self._rest = (self._rest + part).split(b"\n")
        self.whole += whole


_SHORT: Final = {b"1": Answer(value=True), b"0": Answer(value=False)}


def _read(line: bytes) -> Answer:
    return _SHORT.get(line) or msgspec.json.decode(line, type=Answer)


class RuleProcess:
    """Evaluates expressions. Starts a child when it is first asked, and after it had to end one."""

    def __init__(self, *, deadline: timedelta = DEADLINE) -> None:
        self.deadline = deadline
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = Lock()
        self.started = 0

    def __call__(self, text: str, variables: Any) -> Answer:
        """Return what an expression gives.

        Raises:
            RuleTimeout: it was not done at the deadline, or its process ended, as one does that runs out of memory.
        """
        (answer,) = self._alone(text, [codec.encode(variables)])
        if answer.stopped is not None:
            raise RuleTimeout(answer.stopped)
        return answer

    def many(self, text: str, variables: Sequence[bytes]) -> Sequence[Answer]:
        """Return what an expression gives for each of several variables, in one exchange with the child.

        The deadline is each one's own: the child says as it goes along how far it is. Which of them it did not come
        to the end of is found out by asking again, one by one.
        """
        answers: list[Answer] = []
        with self._lock:
            _, lines = self._ask(text, variables)
        answers += map(_read, lines)
        while len(answers) < len(variables):
            answers += self._alone(text, variables[len(answers) : len(answers) + 1])
        return answers

    def _alone(self, text: str, variables: Sequence[bytes]) -> list[Answer]:
        with self._lock:
            problem, lines = self._ask(text, variables)
        return [Answer(stopped=problem)] if problem else list(map(_read, lines))

    def _ask(self, text: str, variables: Sequence[bytes]) -> tuple[str, list[bytes]]:
        """Return the lines of the answer, and why there are fewer than were asked for."""
        request = codec.encode({"text": text, "count": len(variables)}) + b"\n" + b"\n".join(variables) + b"\n"
        child = self._running()
        lines = _Lines(len(variables))
        try:
            self._exchange(child, request, lines, self.deadline)
        except (RuleTimeout, OSError) as error:
            self._end()
            return str(error) or type(error).__name__, lines.whole
        return "", lines.whole

    def close(self) -> None:
        """End the child, if there is one."""
        with self._lock:
            self._end()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            self._end()
            self._child = subprocess.Popen(  # noqa: S603 - our own file, no shell
                [sys.executable, "-I", str(_CHILD)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={"PATH": os.defpath},
                bufsize=0,
            )
            self.started += 1
            # The first answer waits for the child's imports, which are no part of what the expression may take.
            self._exchange(self._child, b'{"text": "true", "count": 1}\n{}\n', _Lines(1), _STARTING)
        return self._child

    def _exchange(self, child: subprocess.Popen[bytes], request: bytes, lines: _Lines, allowed: timedelta) -> None:
        """Write a request and read its answers. Silence for as long as `allowed` ends it.

        Raises:
            RuleTimeout: nothing came for so long, or the process ended; `lines` has what came before.
        """
        if child.stdin is None or child.stdout is None:
            raise RuleTimeout("the evaluating process has no pipes")
        until = monotonic() + allowed.total_seconds()
        out, into = child.stdout.fileno(), child.stdin.fileno()
        os.set_blocking(into, False)
        rest = memoryview(request)
        while not lines.is_done:
            readable, writable, _ = select.select([out], [into] if rest else [], [], max(until - monotonic(), 0))
            if writable:
                rest = rest[os.write(into, rest[:_CHUNK]) :]
            if readable:
                part = os.read(out, _CHUNK)
                if not part:
                    raise RuleTimeout("the process that evaluated the rule ended: it may have used up its memory")
                lines.take(part)
            if not readable and not writable:
                raise RuleTimeout(f"not done after {allowed.total_seconds():g} s, and stopped")
            until = monotonic() + allowed.total_seconds()

    def _end(self) -> None:
        if self._child is None:
            return
        self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()
        self._child = None


class _Idle:
    """Processes that nobody uses at the moment: starting one takes longer than most that is asked of it.

    They belong to the process that made them. One that was forked has the same pipes and must not write into them.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._pid = os.getpid()
        self._waiting: list[RuleProcess] = []

    def take(self, deadline: timedelta) -> RuleProcess:
        with self._lock:
            if self._pid != os.getpid():
                self._pid, self._waiting = os.getpid(), []
            at = next((at for at, process in enumerate(self._waiting) if process.deadline == deadline), None)
            return RuleProcess(deadline=deadline) if at is None else self._waiting.pop(at)

    def give_back(self, process: RuleProcess) -> None:
        with self._lock:
            if self._pid == os.getpid() and len(self._waiting) < _MOST_IDLE:
                self._waiting.append(process)
                return
        process.close()

    def close(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for process in waiting if self._pid == os.getpid() else ():
            process.close()


_MOST_IDLE: Final = 2
_idle = _Idle()


def close_idle() -> None:
    """End the processes that nobody uses."""
    _idle.close()


atexit.register(close_idle)


@contextmanager
def rule_process(*, deadline: timedelta = DEADLINE) -> Iterator[RuleProcess]:
    """Give a process to evaluate rules in, to nobody else meanwhile."""
    process = _idle.take(deadline)
    try:
        yield process
    finally:
        _idle.give_back(process)

"""Saved rules evaluated in a child process under a deadline. One that misses it is killed, and the next one made."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Iterator
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


class RuleProcess:
    """Evaluates expressions one at a time. Starts a child when it is first asked, and after it had to end one."""

    def __init__(self, *, deadline: timedelta = DEADLINE) -> None:
        self._deadline = deadline
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = Lock()
        self.started = 0

    def __call__(self, text: str, variables: dict[str, Any]) -> Answer:
        """Return what an expression gives.

        Raises:
            RuleTimeout: it was not done at the deadline, or its process ended, as one does that runs out of memory.
        """
        request = codec.encode({"text": text, "variables": variables}) + b"\n"
        with self._lock:
            child = self._running()
            try:
                return msgspec.json.decode(self._exchange(child, request, self._deadline), type=Answer)
            except (RuleTimeout, OSError):
                self._end()
                raise

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
            self._exchange(self._child, b'{"text": "true", "variables": {}}\n', _STARTING)
        return self._child

    def _exchange(self, child: subprocess.Popen[bytes], request: bytes, allowed: timedelta) -> bytes:
        if child.stdin is None or child.stdout is None:
            raise RuleTimeout("the evaluating process has no pipes")
        until = monotonic() + allowed.total_seconds()
        out, into = child.stdout.fileno(), child.stdin.fileno()
        os.set_blocking(into, False)
        rest, answer = memoryview(request), b""
        while not answer.endswith(b"\n"):
            readable, writable, _ = select.select([out], [into] if rest else [], [], max(until - monotonic(), 0))
            if writable:
                rest = rest[os.write(into, rest[:_CHUNK]) :]
            if readable:
                part = os.read(out, _CHUNK)
                if not part:
                    raise RuleTimeout("the process that evaluated the rule ended: it may have used up its memory")
                answer += part
            if not readable and not writable:
                raise RuleTimeout(f"not done after {allowed.total_seconds():g} s, and stopped")
        return answer

    def _end(self) -> None:
        if self._child is None:
            return
        self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()
        self._child = None


@contextmanager
def rule_process(*, deadline: timedelta = DEADLINE) -> Iterator[RuleProcess]:
    """Give a process to evaluate rules in, and end it."""
    process = RuleProcess(deadline=deadline)
    try:
        yield process
    finally:
        process.close()

"""Words to a server that may not answer, said on the side: whoever has one to say does not wait."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Final

import structlog

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

MOST: Final = 1_000
"""Words that wait; past it the server has not answered for long, and what comes is dropped."""


class Aside:
    """One daemon thread that does what it is given, in turn. For what may be lost: a nudge for work that is stored."""

    def __init__(self, name: str, *, most: int = MOST) -> None:
        self._name = name
        self._waiting: queue.Queue[Callable[[], object]] = queue.Queue(most)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def do(self, what: Callable[[], object]) -> bool:
        """Take something to do and return at once; False where too much waits already, or no thread can be had."""
        try:
            self._start()
            self._waiting.put_nowait(what)
        except RuntimeError as error:  # the system has no thread to give, or Python is about to end
            log.warning("aside_failed", name=self._name, reason=f"{type(error).__name__}: {error}")
            return False
        except queue.Full:
            log.warning("aside_full", name=self._name)
            return False
        return True

    def _start(self) -> None:
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                thread.start()
                self._thread = thread

    def _run(self) -> None:
        while True:
            what = self._waiting.get()
            try:
                what()
            except Exception as error:  # noqa: BLE001 - whatever a driver raises; the next one may succeed
                log.warning("aside_failed", name=self._name, reason=f"{type(error).__name__}: {error}")

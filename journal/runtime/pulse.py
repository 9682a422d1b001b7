"""A heartbeat on a thread of its own, so that long work need not remember to say that it is alive."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import structlog
from django.db import DatabaseError, connection

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_GOODBYE_S = 1.0


@contextmanager
def pulse(beat: Callable[[], bool], *, every: timedelta) -> Iterator[None]:
    """Call `beat` every so often until the block is left, or until it returns False because there is no more to keep.

    The thread has a database connection of its own. A beat that the database refuses is tried again at the next one:
    whoever relies on the heartbeat counts from the last that came through.
    """
    stop = threading.Event()
    thread = threading.Thread(target=_beat_until, args=(stop, beat, every), name="pulse", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(_GOODBYE_S)  # one that hangs in the database must not hang the work; a late beat harms nothing


def _beat_until(stop: threading.Event, beat: Callable[[], bool], every: timedelta) -> None:
    try:
        while not stop.wait(every.total_seconds()):
            try:
                if not beat():
                    return
            except DatabaseError as error:
                log.warning("heartbeat_failed", reason=str(error))
                connection.close()
    finally:
        connection.close()

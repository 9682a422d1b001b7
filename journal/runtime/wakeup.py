"""When to look at the journal again. Polling is the truth; a notification only makes the next look come sooner.

A nudge carries no data and may be lost, doubled or late. Redis is used where it is configured, PostgreSQL's
LISTEN/NOTIFY where the journal is there and no Redis; everywhere else a short poll does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final, Protocol

import structlog
from django.db import connection

from journal.runtime.aside import Aside
from journal.store.listeners import on_append

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

CHANNEL: Final = "nagare_journal"
MENDED_EVERY_S: Final = 15.0
"""How often a bell that broke is tried again; meanwhile the poll does."""

NUDGE_EVERY_S: Final = 0.05
"""At most so often a process nudges, however many appends it makes."""


class Bell(Protocol):
    """Something that may ring before the time is over."""

    def wait(self, seconds: float) -> None:
        """Return when it rang, or after so many seconds."""

    def close(self) -> None:
        """Let go of the connection."""


def wakeups(
    *, poll_s: float, stop: threading.Event, redis_url: str = "", mended_every_s: float = MENDED_EVERY_S
) -> Iterator[None]:
    """Yield at once, then whenever something may be new, at the latest every `poll_s` seconds, until `stop`."""
    bell, tried_at = _bell(stop, redis_url), time.monotonic()
    try:
        while not stop.is_set():
            yield
            bell = _waited(bell, poll_s, stop)
            if isinstance(bell, _Poll) and time.monotonic() - tried_at > mended_every_s:
                bell, tried_at = _bell(stop, redis_url), time.monotonic()
    finally:
        bell.close()


def nudge(*, redis_url: str = "") -> bool:
    """Wake whoever waits, after a commit. Losing a nudge costs the rest of a poll's interval, so nothing is raised.

    Returns whether that went well, which does not say that anybody heard it.
    """
    try:
        if redis_url:
            _redis(redis_url).publish(CHANNEL, b"")
        elif connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])
    except Exception as error:  # noqa: BLE001 - any failure here is harmless
        log.info("nudge_failed", reason=type(error).__name__)
        return False
    return True


class Nudges:
    """Nudges after appends, on a thread of its own: no append waits for it, or for a server that does not answer.

    PostgreSQL writes a NOTIFY to its log and lets one commit at a time do so; thus appends share one nudge.
    """

    def __init__(self, *, redis_url: str = "") -> None:
        self._redis_url = redis_url
        self._is_due = threading.Event()
        self._aside = Aside("nudges")

    def ring(self) -> None:
        """Let the thread nudge soon. Costs nothing where it is about to."""
        if not self._is_due.is_set():
            self._is_due.set()
            if not self._aside.do(self._nudge):
                self._is_due.clear()

    def _nudge(self) -> None:
        self._is_due.clear()  # before the nudge: what is appended from here on gets one of its own
        if not nudge(redis_url=self._redis_url):
            connection.close()
        time.sleep(NUDGE_EVERY_S)


def nudge_after_appends(*, redis_url: str = "") -> None:
    """Let every append of this process wake whoever follows the journal, where a nudge can be heard at all."""
    if redis_url or connection.vendor == "postgresql":
        on_append(Nudges(redis_url=redis_url).ring)


def _waited(bell: Bell, seconds: float, stop: threading.Event) -> Bell:
    """Wait by the bell; one that breaks is replaced by plain polling, which loses nothing."""
    try:
        bell.wait(seconds)
    except Exception as error:  # noqa: BLE001 - drivers raise their own
        log.warning("wakeup_degraded", bell=type(bell).__name__, reason=type(error).__name__)
        with suppress(Exception):
            bell.close()
        return _Poll(stop)
    return bell


def _bell(stop: threading.Event, redis_url: str) -> Bell:
    try:
        if redis_url:
            return _Redis(redis_url)
        if connection.vendor == "postgresql":
            return _Postgres()
    except Exception as error:  # noqa: BLE001 - drivers raise their own
        log.warning("wakeup_degraded", reason=type(error).__name__)
    return _Poll(stop)


class _Poll:
    """Only time passes."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop

    def wait(self, seconds: float) -> None:
        self._stop.wait(seconds)

    def close(self) -> None:
        """There is nothing to let go of."""


class _Postgres:
    """LISTEN on a connection of its own, outside of any transaction."""

    def __init__(self) -> None:
        self._connection: Any = connection.get_new_connection(connection.get_connection_params())
        self._connection.autocommit = True
        self._connection.execute(f"LISTEN {CHANNEL}")

    def wait(self, seconds: float) -> None:
        for _ in self._connection.notifies(timeout=seconds, stop_after=1):
            return

    def close(self) -> None:
        self._connection.close()


class _Redis:
    """A subscription of Redis."""

    def __init__(self, url: str) -> None:
        self._pubsub = _redis(url).pubsub(ignore_subscribe_messages=True)
        self._pubsub.subscribe(CHANNEL)
        self._pubsub.get_message(timeout=2)  # the answer to that, which is no ring

    def wait(self, seconds: float) -> None:
        self._pubsub.get_message(timeout=seconds)

    def close(self) -> None:
        self._pubsub.close()


@lru_cache(maxsize=4)
def _redis(url: str) -> Any:
    """Return a client that gives up at once: the poll is there anyway, and tries again are its business."""
    from redis import Redis  # noqa: PLC0415 - only where it is configured
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415

    return Redis.from_url(url, socket_connect_timeout=2, socket_timeout=5, retry=Retry(NoBackoff(), 0))

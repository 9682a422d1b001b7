"""When to look at the journal again. Polling is the truth; a notification only makes the next look come sooner.

A nudge carries no data and may be lost, doubled or late. PostgreSQL's LISTEN/NOTIFY is used where the journal is there,
Redis where it is configured; everywhere else a short poll does.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final, Protocol

import structlog
from django.db import connection

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

CHANNEL: Final = "nagare_journal"


class Bell(Protocol):
    """Something that may ring before the time is over."""

    def wait(self, seconds: float) -> None:
        """Return when it rang, or after so many seconds."""

    def close(self) -> None:
        """Let go of the connection."""


def wakeups(*, poll_s: float, stop: threading.Event, redis_url: str = "") -> Iterator[None]:
    """Yield at once, then whenever something may be new, at the latest every `poll_s` seconds, until `stop`."""
    bell = _bell(stop, redis_url)
    try:
        while not stop.is_set():
            yield
            bell = _waited(bell, poll_s, stop)
    finally:
        bell.close()


def nudge(*, redis_url: str = "") -> None:
    """Wake whoever waits, after a commit. Losing a nudge costs the rest of a poll's interval, so nothing is raised."""
    try:
        if redis_url:
            _redis(redis_url).publish(CHANNEL, b"")
        elif connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])
    except Exception as error:  # noqa: BLE001 - any failure here is harmless
        log.info("nudge_failed", reason=type(error).__name__)


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

    def wait(self, seconds: float) -> None:
        self._pubsub.get_message(timeout=seconds)

    def close(self) -> None:
        self._pubsub.close()


def _redis(url: str) -> Any:
    from redis import Redis  # noqa: PLC0415 - only where it is configured

    return Redis.from_url(url, socket_connect_timeout=2, socket_timeout=5)

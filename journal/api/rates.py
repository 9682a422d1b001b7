"""How often a token, or somebody signed in, may ask: so many requests in each minute of the clock.

Where Redis is configured all processes count together; where it is not, or does not answer, each process counts by
itself, so that several web processes let through as many times as much.
"""

from __future__ import annotations

import threading
import time
from functools import lru_cache
from typing import Any, Final

import structlog
from django.conf import settings

from journal.api.refusals import TooManyRequests

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_MINUTE: Final = 60
_PATIENCE_S: Final = 0.25
_PAUSE_S: Final = 5.0


def check(holder: str, *, now: float | None = None) -> None:
    """Count a request.

    Raises:
        TooManyRequests: the minute is used up; says when the next one begins.
    """
    limit = settings.API_RATE
    if not limit:
        return
    moment = time.time() if now is None else now
    minute = int(moment // _MINUTE)
    if _count(holder, minute) > limit:
        raise TooManyRequests(limit=limit, retry_after_s=max(1, int((minute + 1) * _MINUTE - moment) + 1))


def _count(holder: str, minute: int) -> int:
    if settings.CONFIG.redis_url:
        counted = _shared(settings.CONFIG.redis_url).count(holder, minute)
        if counted is not None:
            return counted
    return _own.count(holder, minute)


class Counter:
    """Counts of one process. Those of other minutes are forgotten, so that it holds no more than who asks now."""

    def __init__(self) -> None:
        self._minute = 0
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    def count(self, holder: str, minute: int) -> int:
        """Return how often a holder asked in a minute, this time included."""
        with self._lock:
            if minute != self._minute:
                self._minute, self._counts = minute, {}
            self._counts[holder] = self._counts.get(holder, 0) + 1
            return self._counts[holder]

    def clear(self) -> None:
        """Forget all counts."""
        with self._lock:
            self._counts.clear()


_own: Final = Counter()


def forget() -> None:
    """Forget what this process counted."""
    _own.clear()


class _Redis:
    """Counts of all processes. A server that does not answer is left alone for a while: no request waits for it."""

    def __init__(self, url: str) -> None:
        from redis import Redis  # noqa: PLC0415 - only where it is configured
        from redis.backoff import NoBackoff  # noqa: PLC0415
        from redis.retry import Retry  # noqa: PLC0415

        self._redis: Any = Redis.from_url(
            url, socket_connect_timeout=_PATIENCE_S, socket_timeout=_PATIENCE_S, retry=Retry(NoBackoff(), 0)
        )
        self._not_before = 0.0

    def count(self, holder: str, minute: int) -> int | None:
        """Return the count, None where the server does not answer."""
        if time.monotonic() < self._not_before:
            return None
        key = f"nagare:rate:{holder}:{minute}"
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                counted, _ = pipe.incr(key).expire(key, 2 * _MINUTE).execute()
        except Exception as error:  # noqa: BLE001 - any failure here only makes the count less exact
            self._not_before = time.monotonic() + _PAUSE_S
            log.warning("rates_counted_by_process", reason=type(error).__name__)
            return None
        return int(counted)


@lru_cache(maxsize=4)
def _shared(url: str) -> _Redis:
    return _Redis(url)

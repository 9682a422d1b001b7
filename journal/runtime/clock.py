"""The time, as a function that is passed in. Leases and heartbeats use the database's clock: it is one for all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """Return this machine's time, aware, UTC."""
    return datetime.now(UTC)


class SettableClock:
    """A clock that stands still until it is moved: for tests and simulations."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Return the time it was set to."""
        return self.now

    def advance(self, by: timedelta) -> datetime:
        """Move on, and return the new time."""
        self.now += by
        return self.now

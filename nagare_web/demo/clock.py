"""The demo's clock: it is told what time it is, and moves only when something takes time."""

from __future__ import annotations

from datetime import datetime, timedelta


class TimeIsUp(Exception):
    """The clock has reached the present; what would come next has not happened yet."""


class Clock:
    """A settable clock that refuses to go past `until`, so that no event lies in the future."""

    def __init__(self, *, at: datetime, until: datetime) -> None:
        self.now = at
        self.until = until

    def set(self, at: datetime) -> None:
        """Go to another time, forward or back."""
        self.now = at

    def pass_time(self, ms: float) -> None:
        """Let some time pass.

        Raises:
            TimeIsUp: that would be past `until`.
        """
        later = self.now + timedelta(microseconds=round(ms * 1000))
        if later > self.until:
            raise TimeIsUp
        self.now = later

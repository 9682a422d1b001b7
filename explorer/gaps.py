"""How long a run usually waits between two events: a count by powers of two, which tells the median well enough.

Kept by the projection as it reads; a list then says where nothing happened for unusually long without looking at times
it does not show.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

FACTOR: Final = 5
"""A pause is idle where it is longer than so many times the median."""

LEAST_US: Final = 30_000_000
"""And longer than this: five times a short while is still a short while."""


class Line(Protocol):
    """What is needed of an event."""

    occurred_us: int
    time_known: bool


def counted(before: dict[str, Any], lines: Sequence[Line]) -> dict[str, Any]:
    """Return the pauses after some more events: `{"last_us", "counts": [pauses under 2, 4, 8 ... microseconds]}`."""
    last, counts = before.get("last_us"), list(before.get("counts", []))
    for line in lines:
        if not line.time_known:
            last = None
            continue
        if last is not None:
            power = max(0, line.occurred_us - last).bit_length()
            counts.extend([0] * (power + 1 - len(counts)))
            counts[power] += 1
        last = line.occurred_us
    return {"last_us": last, "counts": counts}


def idle_after_us(kept: dict[str, Any]) -> int | None:
    """Return how long a pause must be to count as idle, None where no two times are known."""
    counts: list[int] = kept.get("counts", [])
    half, seen = sum(counts) / 2, 0
    for power, count in enumerate(counts):
        seen += count
        if count and seen >= half:
            return max(LEAST_US, FACTOR * 3 * (1 << power) // 4)
    return None

"""The reading horizon: how far a reader may read so that nothing can still appear behind it.

`journal.store` computes it, each database in its own way; here it is put in words for pages, `status` and health.
"""

from __future__ import annotations

from datetime import datetime

from journal.store import Horizon, every_project

__all__ = ["Horizon", "horizon", "in_words"]


def horizon() -> Horizon:
    """Return the horizon now: what is held back, since when, and by whom. Computed, never remembered."""
    return every_project().horizon()


def in_words(seen: Horizon, now: datetime) -> str:
    """Return one sentence about the horizon."""
    if not seen.held_back:
        return f"readers may read up to position {seen.head:,}, which is all there is"
    first = seen.by[0].by if seen.by else "an append"
    age = f" for {(now - seen.since).total_seconds():.1f} s" if seen.since else ""
    others = f" and {len(seen.by) - 1} more" if len(seen.by) > 1 else ""
    return (
        f"readers may read up to position {seen.head:,}; {seen.held_back:,} positions past it wait{age}"
        f" for {first}{others} to commit"
    )

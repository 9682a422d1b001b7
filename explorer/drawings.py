"""Drawings of runs, kept between requests: a minimap takes a while to draw, and a run of so many events has only one.

What depends on the cursor or on verdicts, which may come later, is put in each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

from explorer.layout import Minimap, flags_of, minimap, tick_of
from explorer.models import RunSummary
from explorer.queries import run_lines

KEPT: Final = 64
"""Drawings kept; each is some ten thousand characters."""


def minimap_of(run: RunSummary, *, cursor: int, failures: Sequence[int], words: str) -> Minimap:
    """Return a run's minimap, in one query where its drawing is not known yet."""
    drawing = _drawing(run.pk, run.project, run.stream, run.events, run.position, run.newest_us)
    return replace(
        drawing, cursor=tick_of(cursor, run.events), flags=flags_of(failures, events=run.events, words=words)
    )


def clear() -> None:
    """Forget every drawing: for tests, whose databases come and go with the same keys."""
    _drawing.cache_clear()


@lru_cache(maxsize=KEPT)
def _drawing(run: int, _project: str, _stream: str, events: int, _position: int, _newest_us: int) -> Minimap:
    """Draw a run as it is now. A key of the table is not used again, and what else is given here changes with it."""
    return minimap(run_lines.marks_of(run, events), events=events, cursor=1, failures=())

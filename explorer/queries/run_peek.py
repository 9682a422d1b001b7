"""A run at a glance, beside the list: what it is, and its first events in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from explorer.listed import LISTED
from explorer.models import EventLine, RunSummary

SHOWN: Final = 50


@dataclass(frozen=True, kw_only=True)
class Peek:
    """A run and its first rows; `more` is how many events come behind them."""

    run: RunSummary
    lines: list[EventLine]
    more: int


def peek(project: str, stream: str) -> Peek | None:
    """Return a run at a glance, None where the project has none of that name. Two queries, by index."""
    run = RunSummary.objects.filter(LISTED, project=project, stream=stream.replace("\x00", "")).first()
    if run is None:
        return None
    rows = EventLine.objects.filter(run=run, folded_into=None).order_by("version")
    lines = list(rows.only("version", "kind", "title", "summary", "is_error", "run")[:SHOWN])
    return Peek(run=run, lines=lines, more=run.events - lines[-1].version if lines else 0)

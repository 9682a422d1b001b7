"""A run as an embedded page shows it: its events in words, page by page, and one of them explained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from explorer.embeds import Shown
from explorer.models import EventLine, RunSummary
from explorer.numbers import whole
from journal.domain.explain import Explanation, explain
from journal.store import get_store

SHOWN: Final = 100
_DIGITS: Final = 18


@dataclass(frozen=True, kw_only=True)
class EmbedPage:
    """A stretch of a run. `at` is the event that is explained; other stretches begin at `before` and `behind`."""

    run: RunSummary
    lines: list[EventLine]
    at: int
    said: Explanation | None
    before: int | None
    behind: int | None


def page(shown: Shown, query: Mapping[str, str]) -> EmbedPage | None:
    """Return what a link shows at `v=`, from its first event where none is asked for; None without the run."""
    run = RunSummary.objects.filter(project=shown.project, stream=shown.stream).first()
    if run is None:
        return None
    at = min(whole(query.get("v", ""), digits=_DIGITS) or 0, run.events)
    first = max(1, (at - 1) // SHOWN * SHOWN + 1)
    rows = EventLine.objects.filter(run=run, version__gte=first, version__lt=first + SHOWN).order_by("version")
    event = next(iter(get_store(shown.project).read_stream(shown.stream, after=at - 1, until=at)), None) if at else None
    return EmbedPage(
        run=run,
        lines=[line for line in rows if line.folded_into is None or line.version == at],
        at=at,
        said=explain(event) if event is not None else None,
        before=first - SHOWN if first > 1 else None,
        behind=first + SHOWN if first + SHOWN <= run.events else None,
    )

"""Which streams are somebody's run: what the runtime keeps in streams of its own can be opened too, but is no run."""

from __future__ import annotations

from typing import Final

from django.db.models import Q

from journal.domain import alerts, grade, job, notes, process, saved_rule, schedule, sealing
from journal.domain.stream import category

_NOT_RUNS: Final = (
    alerts.CATEGORY,
    grade.CATEGORY,
    job.CATEGORY,
    notes.CATEGORY,
    saved_rule.CATEGORY,
    schedule.CATEGORY,
    sealing.CATEGORY,
    sealing.AUDITS,
)

LISTED: Final = ~(Q(category__in=_NOT_RUNS) | Q(category__startswith=process.CATEGORY_PREFIX))
"""The condition that a `RunSummary` is one; the same as `is_listed`."""


def is_listed(stream: str) -> bool:
    """Return whether a stream is one."""
    kind = category(stream)
    return kind not in _NOT_RUNS and not kind.startswith(process.CATEGORY_PREFIX)

"""Which streams are somebody's run: what the runtime keeps in streams of its own can be opened too, but is no run."""

from __future__ import annotations

from typing import Final

from django.db.models import Q

from journal.domain import own

LISTED: Final = ~(Q(category__in=own.CATEGORIES) | Q(category__startswith=own.PREFIX))
"""The condition that a `RunSummary` is one; the same as `is_listed`."""


def is_listed(stream: str) -> bool:
    """Return whether a stream is one."""
    return not own.is_own(stream)

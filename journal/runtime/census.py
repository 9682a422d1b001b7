"""How many events a project has in a period, by stream: what an outsider asks to see accounted for."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Count

from journal.models import EventRow
from journal.store.sql import microseconds


def events_by_stream(
    project: str, *, since: datetime | None, until: datetime | None, up_to: int | None = None
) -> dict[str, int]:
    """Return the number of events that occurred in ``[since, until]``, by stream, at positions up to `up_to`."""
    found = EventRow.objects.filter(project=project)
    if since is not None:
        found = found.filter(occurred_us__gte=microseconds(since))
    if until is not None:
        found = found.filter(occurred_us__lte=microseconds(until))
    if up_to is not None:
        found = found.filter(position__lte=up_to)
    counted = found.values_list("stream__name").annotate(count=Count("position")).order_by()
    return dict(counted)


def positions_between(project: str, *, after: int, until: int) -> list[int]:
    """Return the positions of a project's events in ``(after, until]``, in order."""
    rows = EventRow.objects.filter(project=project, position__gt=after, position__lte=until).order_by("position")
    return list(rows.values_list("position", flat=True))

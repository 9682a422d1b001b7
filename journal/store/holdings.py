"""What of a project could go: runs by how old they are, streams by what they quote. Reads what orders are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec
from django.db.models import Count, Max, Q

from journal.domain import alerts, grade, notes, sealing
from journal.domain.agent_run import CATEGORY
from journal.domain.event import RecordedEvent
from journal.models import EventRow, StreamRow
from journal.store import get_store
from journal.store.sql import microseconds

QUOTING = (alerts.CATEGORY, grade.CATEGORY, notes.CATEGORY, sealing.AUDITS)
"""Categories of the journal's own streams whose events say what stands in runs."""


class OldRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run by when its last event occurred."""

    stream: str
    version: int
    last_us: int


def runs_before(project: str, before: datetime, *, sealed_to: int) -> list[OldRun]:
    """Return the runs all of whose events occurred before a time and are sealed, the oldest first."""
    rows = (
        EventRow.objects.filter(project=project, stream__category=CATEGORY)
        .order_by()
        .values("stream__name")
        .annotate(version=Count("position"), last=Max("occurred_us"), newest=Max("position"))
        .filter(Q(last__lt=microseconds(before)) & Q(newest__lte=sealed_to))
        .order_by("last", "newest")
    )
    return [OldRun(stream=row["stream__name"], version=row["version"], last_us=row["last"]) for row in rows]


def streams_at(positions: Iterable[int]) -> dict[int, tuple[str, int]]:
    """Return stream and version of the events at some positions."""
    wanted = sorted(positions)
    found: dict[int, tuple[str, int]] = {}
    for start in range(0, len(wanted), 500):
        rows = EventRow.objects.filter(position__in=wanted[start : start + 500])
        found |= {row[0]: (row[1], row[2]) for row in rows.values_list("position", "stream__name", "version")}
    return found


def quoting(project: str) -> Iterator[RecordedEvent]:
    """Yield the events of the journal's own streams that may quote runs or name subjects."""
    store = get_store(project)
    names = (
        StreamRow.objects.filter(project=project, category__in=QUOTING).order_by("id").values_list("name", flat=True)
    )
    for name in list(names):
        yield from store.read_stream(name)


def newest_versions(project: str, streams: Iterable[str]) -> dict[str, int]:
    """Return the newest version of those of some streams that there are."""
    wanted = sorted(set(streams))
    found: dict[str, int] = {}
    for start in range(0, len(wanted), 500):
        rows = StreamRow.objects.filter(project=project, name__in=wanted[start : start + 500])
        found |= dict(rows.values_list("name", "version"))
    return found

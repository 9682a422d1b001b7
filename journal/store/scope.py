"""Which runs of a project a range covers, and how far each had come at a position of the journal. Reads no payloads."""

from __future__ import annotations

from datetime import datetime

import msgspec
from django.db.models import Count, F, Max, Min, Q

from journal.domain.agent_run import CATEGORY
from journal.models import EventRow, StreamRow
from journal.store.sql import microseconds


class RunScope(msgspec.Struct, frozen=True, kw_only=True):
    """A run up to `version`. `since_us` and `until_us` are set where not all of its events are in the range."""

    stream: str
    version: int
    since_us: int | None = None
    until_us: int | None = None


def run_scopes(
    project: str, *, head: int, since: datetime | None = None, until: datetime | None = None
) -> list[RunScope]:
    """Return the runs with an event in ``[since, until]`` at or before position `head`, in the order they came in.

    Without a range it reads the streams' rows and what came past `head`; with one, the times of all events.
    """
    return _in_range(project, head, since, until) if since or until else _all(project, head)


def _all(project: str, head: int) -> list[RunScope]:
    later = EventRow.objects.filter(project=project, position__gt=head).order_by()
    grown = dict(later.values_list("stream_id").annotate(count=Count("position")))
    streams = StreamRow.objects.filter(project=project, category=CATEGORY).order_by("id")
    found = ((name, version - grown.get(pk, 0)) for pk, name, version in streams.values_list("id", "name", "version"))
    return [RunScope(stream=name, version=version) for name, version in found if version > 0]


def _in_range(project: str, head: int, since: datetime | None, until: datetime | None) -> list[RunScope]:
    low = microseconds(since) if since else None
    high = microseconds(until) if until else None
    inside = Q()
    if low is not None:
        inside &= Q(occurred_us__gte=low)
    if high is not None:
        inside &= Q(occurred_us__lte=high)
    events = EventRow.objects.filter(project=project, position__lte=head, stream__category=CATEGORY)
    rows = (
        events.order_by()
        .values(name=F("stream__name"))
        .annotate(
            newest=Max("version"),
            first=Min("occurred_us"),
            last=Max("occurred_us"),
            inside=Count("position", filter=inside),
            order=Min("position"),
        )
        .filter(inside__gt=0)
        .order_by("order")
    )
    return [
        RunScope(
            stream=row["name"],
            version=row["newest"],
            since_us=low if low is not None and row["first"] < low else None,
            until_us=high if high is not None and row["last"] > high else None,
        )
        for row in rows
    ]


def newest_position(project: str, *, head: int) -> int:
    """Return the position of the newest event of any run at or before `head`; 0 where there is none."""
    events = EventRow.objects.filter(project=project, position__lte=head, stream__category=CATEGORY)
    return int(events.order_by("-position").values_list("position", flat=True).first() or 0)

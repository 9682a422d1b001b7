"""A time as a place in a run: the last event that had occurred by then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Count, Max, Min, Q

from explorer import figures
from explorer.models import EventLine, RunSummary
from journal.domain.text import amount

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Occurred:
    """The version that a time leads to, and a sentence that says how; 0 where nothing had occurred."""

    version: int
    words: str


def occurred_by(run: RunSummary, moment: datetime) -> Occurred:
    """Return the last event that had occurred by `moment`, and what a reader must know of the clocks. Two queries.

    Events stand in the order in which they were recorded. Where clocks ran backwards, some before the one that is found
    carry a later time: they are counted, not left out, since the state after an event holds all events before it.
    """
    us = (moment - _EPOCH) // _MICROSECOND
    lines = EventLine.objects.filter(run=run)
    found = lines.filter(time_known=True).aggregate(
        last=Max("version", filter=Q(occurred_us__lte=us)), begins=Min("occurred_us")
    )
    version, begins = found["last"] or 0, found["begins"]
    when = figures.exact(us)
    if begins is None:
        return Occurred(version=0, words="This run’s source recorded no times, so no event can be found by one.")
    if not version:
        return Occurred(version=0, words=f"Nothing had occurred by {when}: the run begins at {figures.exact(begins)}.")
    late = lines.filter(version__lt=version).aggregate(
        ahead=Count("pk", filter=Q(time_known=True, occurred_us__gt=us)),
        untimed=Count("pk", filter=Q(time_known=False)),
    )
    words = [f"By {when}, event {version} was the last that had occurred."]
    if late["ahead"]:
        words.append(f"Clocks ran backwards: {amount(late['ahead'], 'event')} before it tell a later time.")
    if late["untimed"]:
        words.append(f"Of {amount(late['untimed'], 'event')} before it no time is recorded.")
    return Occurred(version=version, words=" ".join(words))

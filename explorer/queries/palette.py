"""The runs that the palette offers: one query, a handful of rows."""

from __future__ import annotations

from typing import Final

from django.urls import reverse

from explorer import figures
from explorer.models import RunSummary
from explorer.outside import flat
from explorer.queries.run_filters import alike

_MOST: Final = 8
_LONGEST: Final = 200
_TITLE: Final = 90


def runs_called(project: str, asked: str) -> list[dict[str, str]]:
    """Return the newest runs, or the newest of those whose title or stream has what is asked for."""
    asked = asked.replace("\x00", "").strip()[:_LONGEST]
    found = RunSummary.objects.filter(project=project)
    if asked:
        found = found.filter(alike("title", "icontains", asked) | alike("stream", "icontains", asked))
    return [
        {
            "title": flat(title)[:_TITLE],
            "href": reverse("explorer:run", args=[stream]),
            "note": f"{status}, {figures.counted(events, 'event')}",
        }
        for title, stream, status, events in found.order_by("-started_us", "-id").values_list(
            "title", "stream", "status", "events"
        )[:_MOST]
    ]

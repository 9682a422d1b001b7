"""The events that name a correlation id or a subject, in the journal's order, found by an index.

The index is a projection's and a moment behind. Up to where that has come it is asked, and from there on the journal
itself is read, so that an answer is exact whatever the projection has missed yet, and nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from journal.domain.event import RecordedEvent
from journal.models import Checkpoint, NameRow, ParkedEvent
from journal.store import EventStore

PROJECTION: Final = "names"
Kind = Literal["correlation", "subject"]
_PAGE: Final = 200


def names_of(event: RecordedEvent) -> Iterator[tuple[Kind, str]]:
    """Yield what an event names, each once, cut to what is kept."""
    longest = NameRow.LONGEST_NAME
    if event.meta.correlation_id:
        yield "correlation", event.meta.correlation_id[:longest]
    for subject in dict.fromkeys(subject[:longest] for subject in event.meta.subjects if subject):
        yield "subject", subject


def events_naming(store: EventStore, kind: Kind, value: str, *, after: int) -> Iterator[RecordedEvent]:
    """Yield every event past a position that may name the value, by position; the caller looks at each.

    Others come too: those that name something that begins alike or, by some databases, is written alike, and whatever
    the index has not come to yet. Three statements for two hundred events, and none for what is not asked for. While an
    event waits that the index could not take, and where another generation takes its place, the journal is read.
    """
    mark = Checkpoint.objects.filter(name=PROJECTION).first()
    if mark is None or not value or ParkedEvent.objects.filter(subscription=PROJECTION, project=store.project).exists():
        return store.read_all(after=after)
    return _indexed(store, kind, value, mark=mark, after=after)


def _indexed(store: EventStore, kind: Kind, value: str, *, mark: Checkpoint, after: int) -> Iterator[RecordedEvent]:
    known = NameRow.objects.filter(
        generation=mark.generation, project=store.project, kind=kind, value=value[: NameRow.LONGEST_NAME]
    ).order_by("position")
    known = known.filter(position__lte=mark.position)
    while True:
        ids = list(known.filter(position__gt=after).values_list("position", "event_id")[:_PAGE])
        if not Checkpoint.objects.filter(name=PROJECTION, generation=mark.generation).exists():
            yield from store.read_all(after=after)  # rows of the page may have been discarded already
            return
        if not ids:
            break
        events = store.events([event_id for _, event_id in ids])
        yield from (events[event_id] for _, event_id in ids if event_id in events)
        after = ids[-1][0]
    yield from store.read_all(after=max(after, mark.position))

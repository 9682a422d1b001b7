"""Events are found by what they name, exactly, whatever becomes of the index meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from django.db.models import F

from journal.domain import codec
from journal.domain.event import EventData, Metadata, RecordedEvent
from journal.models import Checkpoint, NameRow, ParkedEvent
from journal.projections import Names
from journal.runtime import naming
from journal.runtime.naming import events_naming
from journal.runtime.projection import catch_up, named
from journal.store import get_store

pytestmark = pytest.mark.django_db


def write(count: int) -> list[str]:
    """Append events of which each second one names somebody, and return the ids of those."""
    named_by = [codec.encode(Metadata(subjects=("user-42",) if at % 2 else ())) for at in range(2 * count)]
    events = [EventData(type="test.a", data=b"{}", metadata=metadata) for metadata in named_by]
    return list(get_store().append("test-1", events, expected_version=0).ids)[1::2]


def found(events: Any) -> list[str]:
    """Return the ids of those of the events that name somebody, as a caller looks at each."""
    return [event.id for event in events if "user-42" in event.meta.subjects]


def test_an_event_that_the_index_could_not_take_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was set aside, and the index went on past it."""
    ids = write(3)
    handle = Names.handle

    def poisoned(self: Names, events: Sequence[RecordedEvent], *, generation: int) -> None:
        if any(event.id == ids[1] for event in events):
            raise ValueError("poison")
        handle(self, events, generation=generation)

    monkeypatch.setattr(Names, "handle", poisoned)
    catch_up(named("names"))
    assert ParkedEvent.objects.filter(event_id=ids[1]).count() == 1
    assert NameRow.objects.count() == 2
    assert found(events_naming(get_store(), "subject", "user-42", after=0)) == ids


def test_an_index_that_is_discarded_between_two_pages_costs_no_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another generation took its place: the journal is read from there on, each event once."""
    monkeypatch.setattr(naming, "_PAGE", 2)
    ids = write(6)
    catch_up(named("names"))
    events = events_naming(get_store(), "subject", "user-42", after=0)
    first = [next(events).id for _ in range(2)]
    Checkpoint.objects.filter(name=naming.PROJECTION).update(generation=F("generation") + 1)
    NameRow.objects.all().delete()
    assert first + found(events) == ids

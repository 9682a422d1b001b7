"""A journal in memory, filled once for all tests of the demo data."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

from msgspec.json import decode

from journal.domain.event import RecordedEvent
from journal.store.memory import MemoryStore
from nagare_web.demo import STORIES, fill

UNTIL = datetime(2026, 11, 22, 14, 5, 30, tzinfo=UTC)
ORDINARY = 50


def newly_filled(*, seed: int = 7, ordinary: int = ORDINARY, until: datetime = UNTIL) -> MemoryStore:
    """Return a journal that nobody else looks at."""
    store = MemoryStore()
    fill(store, until=until, seed=seed, ordinary=ordinary)
    return store


@cache
def journal() -> MemoryStore:
    """Return the journal that all tests share, for reading only."""
    return newly_filled()


def story(name: str, at: int = 0) -> list[RecordedEvent]:
    """Return the events of a story's run."""
    return list(journal().read_stream(STORIES[name].streams[at]))


def event_at(events: list[RecordedEvent], version: int) -> RecordedEvent:
    """Return the event at a version."""
    return events[version - 1]


def named(events: list[RecordedEvent], name: str) -> list[RecordedEvent]:
    """Return the events of a type, given without its prefix."""
    return [event for event in events if event.type == f"agent_run.{name}"]


def arguments(event: RecordedEvent) -> dict[str, Any]:
    """Return the arguments of a tool call."""
    decoded: dict[str, Any] = decode(event.payload["argsJson"])
    return decoded


def result(event: RecordedEvent) -> Any:
    """Return what a tool returned, as data."""
    return decode(event.payload["responseJson"])


def kinds_of_causes(event: RecordedEvent) -> dict[str, str]:
    """Return an event's further causes: id to kind."""
    return {cause.id: cause.kind for cause in event.meta.causes}

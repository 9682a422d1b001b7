"""What tests look at in a recorded run."""

from __future__ import annotations

from journal.domain.aggregate import fold
from journal.domain.event import RecordedEvent
from journal.domain.run_state import RunState
from journal.store.memory import MemoryStore


def kinds(events: list[RecordedEvent]) -> list[str]:
    """Return the events' types without their category."""
    return [event.type.rpartition(".")[2] for event in events]


def of_kind(events: list[RecordedEvent], kind: str) -> list[RecordedEvent]:
    """Return the events of one type."""
    return [event for event in events if event.type.endswith(f".{kind}")]


def cause(events: list[RecordedEvent], event: RecordedEvent) -> str:
    """Return what directly caused an event, as `version kind`."""
    found = next(one for one in events if one.id == event.meta.causation_id)
    return f"{found.version} {found.type.rpartition('.')[2]}"


def causes(events: list[RecordedEvent]) -> dict[int, str]:
    """Return what directly caused each event that something caused."""
    return {event.version: cause(events, event) for event in events if event.meta.causation_id}


def state(store: MemoryStore, stream: str) -> RunState:
    """Return the state of a run at its end."""
    found = fold(stream, store.read_stream(stream))
    assert isinstance(found, RunState)
    return found

"""What commands print with `--json` and the API answers: a function a document, so that both say the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

import msgspec

from journal.domain.aggregate import State
from journal.domain.catalog import both
from journal.domain.diff import diff
from journal.domain.event import RecordedEvent, instant
from journal.domain.explain import explain
from journal.domain.invariant import Invariant
from journal.domain.lineage import Walk, causes_of, cycles
from journal.runtime.projection import Progress
from journal.store import EventStore


def state_document(state: State) -> dict[str, Any]:
    """Return a state, and which event set each of its leaves."""
    return {**state.to_json(), "blame": state.blame()}


def diff_document(stream: str, before: State, after: State) -> dict[str, Any]:
    """Return what changed from one state of a stream to another."""
    return {"stream": stream, "from": before.version, "to": after.version, "changes": diff(before, after)}


def explained(event: RecordedEvent, *, raw: bool = False) -> dict[str, Any]:
    """Return an event in prose; with `raw` also its data, as stored and as read."""
    told = {
        "version": event.version,
        "id": event.id,
        "type": event.type,
        "occurred_at": instant(event.occurred_at),
        **msgspec.structs.asdict(explain(event)),
    }
    return {**told, **_both(event)} if raw else told


def explained_all(events: Iterable[RecordedEvent], *, raw: bool = False) -> Iterator[dict[str, Any]]:
    """Yield events in prose, one after the other."""
    return (explained(event, raw=raw) for event in events)


def walked(store: EventStore, walk: Walk) -> list[RecordedEvent]:
    """Return the events of a walk, nearest first."""
    found = store.events(list(walk.depths))
    return [found[name] for name in walk.depths if name in found]


def lineage_document(
    event_id: str, walk: Walk, events: Sequence[RecordedEvent], direction: Literal["up", "down"]
) -> dict[str, Any]:
    """Return what a walk from an event found, and where it breaks off."""
    return {
        "event": event_id,
        "direction": direction,
        "events": [
            {
                "id": event.id,
                "stream": event.stream,
                "version": event.version,
                "position": event.position,
                "type": event.type,
                "depth": walk.depths[event.id],
                "summary": explain(event).summary,
            }
            for event in events
        ],
        "links": walk.links,
        "loose": [event.id for event in events if direction == "up" and is_loose(event, walk)],
        "missing": walk.missing,
        "cycles": cycles(walk.links),
        "cut": walk.cut,
    }


def is_loose(event: RecordedEvent, walk: Walk) -> bool:
    """A stream begins somewhere; elsewhere an event without a cause is where the record breaks off."""
    return event.version > 1 and event.id in walk.depths and not causes_of(event)


def projection_document(progress: Progress) -> dict[str, Any]:
    """Return how far a projection is."""
    lag = progress.head - progress.position
    return {"name": progress.name, "position": progress.position, "head": progress.head, "lag": lag}


def invariant_document(rule: Invariant) -> dict[str, Any]:
    """Return what is known of a rule before it is asked about anything."""
    return {
        "name": rule.name,
        "title": rule.title,
        "description": rule.description,
        "theme": rule.theme,
        "monotone": rule.monotone,
        "version": rule.version,
        "remembers": rule.remembers,
    }


def _both(event: RecordedEvent) -> dict[str, Any]:
    shown = both(event)
    return {
        "stored": {"schema": shown.schema, "data": shown.raw},
        "read": {"schema": shown.newest, "data": shown.upcast} if shown.upcast is not None else None,
        "not_read": shown.reason or None,
    }

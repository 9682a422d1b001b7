"""The events of one run on their way to the journal: each with its causes, its place in the trace, who made it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from journal.domain.agent_run import AgentRunEvent
from journal.domain.catalog import catalog
from journal.domain.codec import encode
from journal.domain.event import Cause, EventData, Metadata
from journal.store import EventStore
from nagare_web.demo.clock import Clock
from nagare_web.demo.ids import event_id, traceparent


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What all events of a run have in common."""

    stream: str
    correlation_id: str
    trace: str
    subjects: tuple[str, ...] = ()


class RunLog:
    """Collects a run's events and appends those the journal does not hold yet."""

    def __init__(self, store: EventStore, origin: Origin, clock: Clock) -> None:
        self.stream = origin.stream
        self.version = 0
        self.added = 0
        self._store = store
        self._origin = origin
        self._clock = clock
        self._waiting: list[EventData] = []

    def add(
        self, event: AgentRunEvent, *, actor: str, span: str, cause: str | None = None, causes: Sequence[Cause] = ()
    ) -> str:
        """Add an event that happens now, and return its id."""
        self.version += 1
        ident = event_id(self.stream, self.version)
        metadata = Metadata(
            correlation_id=self._origin.correlation_id,
            causation_id=cause,
            traceparent=traceparent(self._origin.trace, f"{self.stream}/{span}"),
            actor=actor,
            causes=tuple(causes),
            subjects=self._origin.subjects,
        )
        self._waiting.append(
            EventData(
                type=catalog.name_of(type(event)),
                data=encode(event),
                metadata=encode(metadata),
                id=ident,
                occurred_at=self._clock.now,
            )
        )
        return ident

    def flush(self) -> None:
        """Append what waits, without what an earlier fill that was cut short has appended already."""
        held = self._store.stream_version(self.stream)
        first = self.version - len(self._waiting)
        missing = self._waiting[max(held - first, 0) :]
        if missing:
            self._store.append(self.stream, missing, expected_version=held)
        self.added += len(missing)
        self._waiting = []

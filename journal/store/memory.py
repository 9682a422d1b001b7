"""The promises of an event store on a list: for tests and for embedding where nothing need be kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from threading import Lock

from journal.domain import stream as streams
from journal.domain.dispatch import DispatchRow, NewDispatch, resolved
from journal.domain.event import EventData, RecordedEvent
from journal.domain.sieve import Types
from journal.domain.stream import ExpectedVersion
from journal.errors import EventNotFound
from journal.store import checks
from journal.store.protocol import Appended, Capabilities, Clock, Horizon, Told
from journal.store.tracing import traced_append, traced_read

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class MemoryStore:
    """A journal that lives as long as the process. Safe to use from several threads."""

    capabilities = Capabilities(durable=False, dense_positions=True, concurrent_writers=False)

    def __init__(self, project: str = "default", *, clock: Clock = lambda: datetime.now(UTC)) -> None:
        self.project = project
        self._clock = clock
        self._lock = Lock()
        self._log: list[RecordedEvent] = []
        self._streams: dict[str, list[RecordedEvent]] = {}
        self._by_id: dict[str, RecordedEvent] = {}
        self.dispatches: list[DispatchRow] = []

    @traced_append
    def append(
        self,
        stream: str,
        events: Sequence[EventData],
        *,
        expected_version: ExpectedVersion,
        dispatches: Sequence[NewDispatch] = (),
    ) -> Appended:
        """Append all events or none. See `EventStore.append`."""
        now = self._clock()
        ready = checks.admitted(stream, events, now)
        asked = resolved(self.project, ready, dispatches, now_us=int(now.timestamp() * 1_000_000))
        with self._lock:
            ids = tuple(str(event.id) for event in ready)
            known = {known_id: self._by_id[known_id] for known_id in ids if known_id in self._by_id}
            version = self.stream_version(stream)
            if checks.is_repeat(stream, ready, known):
                return Appended(stream=stream, version=max(e.version for e in known.values()), ids=ids, is_new=False)
            checks.check_expected(stream, expected_version, version)
            for event in ready:
                version += 1
                self._add(stream, version, event, now)
            self.dispatches.extend(asked)
        return Appended(stream=stream, version=version, ids=ids)

    def _add(self, stream: str, version: int, event: EventData, now: datetime) -> None:
        recorded = RecordedEvent(
            position=len(self._log) + 1,
            project=self.project,
            stream=stream,
            version=version,
            id=str(event.id),
            type=event.type,
            schema=event.schema,
            data=event.data,
            metadata=event.metadata,
            occurred_at=event.occurred_at or now,
            recorded_at=now,
        )
        self._log.append(recorded)
        self._streams.setdefault(stream, []).append(recorded)
        self._by_id[recorded.id] = recorded

    @traced_read
    def read_stream(self, stream: str, *, after: int = 0, until: int | None = None) -> Iterator[RecordedEvent]:
        """Yield versions in ``(after, until]``."""
        yield from self._streams.get(stream, [])[max(after, 0) : until]

    def read_told(self, runs: Mapping[str, int], *, types: Types) -> Iterator[tuple[str, Sequence[Told]]]:
        """Yield the first event and those of some types, by stream, each up to a version."""
        for stream in runs.keys() & self._streams.keys():
            events = self._streams[stream][: runs[stream]]
            yield stream, [_told(event) for event in events if event.version == 1 or event.type in types]

    def read_places(self, places: Mapping[str, int]) -> dict[str, RecordedEvent]:
        """Return by stream the event at a version of each."""
        found = {stream: self._streams.get(stream, [])[: places[stream]] for stream in places}
        return {stream: events[-1] for stream, events in found.items() if len(events) == places[stream] > 0}

    @traced_read
    def read_all(self, *, after: int = 0, limit: int | None = None) -> Iterator[RecordedEvent]:
        """Yield by position, past `after`."""
        yield from islice(self._log[max(after, 0) :], limit)

    @traced_read
    def read_newest(self, limit: int) -> Iterator[RecordedEvent]:
        """Yield the newest, by position."""
        yield from self._log[max(len(self._log) - limit, 0) :]

    @traced_read
    def read_category(self, category: str, *, after: int = 0, limit: int | None = None) -> Iterator[RecordedEvent]:
        """Yield the events of a category by position, past `after`."""
        yield from islice((e for e in self._log[max(after, 0) :] if streams.category(e.stream) == category), limit)

    def event(self, event_id: str) -> RecordedEvent:
        """Return one event by id."""
        found = self._by_id.get(event_id)
        if found is None:
            raise EventNotFound(event_id=event_id, project=self.project)
        return found

    def events(self, event_ids: Sequence[str]) -> dict[str, RecordedEvent]:
        """Return those of some events that there are, by id."""
        return {name: self._by_id[name] for name in event_ids if name in self._by_id}

    def versions_of(self, stream: str) -> dict[str, int]:
        """Return event id to version of a whole stream."""
        return {event.id: event.version for event in self._streams.get(stream, [])}

    def stream_version(self, stream: str) -> int:
        """Return the stream's newest version."""
        return len(self._streams.get(stream, []))

    def head(self) -> int:
        """Return the highest position."""
        return len(self._log)

    def horizon(self) -> Horizon:
        """Return how far a reader may read: all of it."""
        return Horizon(head=self.head())


def _told(event: RecordedEvent) -> Told:
    occurred_us = (event.occurred_at - _EPOCH) // timedelta(microseconds=1)
    return event.stream, event.version, event.type, event.schema, event.data, occurred_us

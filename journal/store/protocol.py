"""What every event store promises. One suite checks it for all of them: `tests/journal/store/contract.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from journal.domain.dispatch import NewDispatch
from journal.domain.event import EventData, RecordedEvent
from journal.domain.sieve import Types
from journal.domain.stream import ExpectedVersion

Clock = Callable[[], datetime]

Told = tuple[Any, int, str, int, bytes, int]
"""An event as far as a fold needs it: what the store knows its stream by; version, type, schema, data, occurred_us."""


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between stores.

    `durable`: outlives the process. `dense_positions`: positions have no holes. `concurrent_writers`: appends to
    different streams do not wait for each other, so that the reading horizon may lie behind the newest commit.
    """

    durable: bool
    dense_positions: bool
    concurrent_writers: bool


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A writer that is not through: its events will be past the position `after`."""

    after: int
    by: str
    since: datetime | None = None


class Horizon(msgspec.Struct, frozen=True, kw_only=True):
    """How far a reader may read, so that nothing can still appear behind it.

    `head` is that position. `held_back` positions past it are given or about to be; they wait for the oldest writer in
    `by`, which has been at it `since`.
    """

    head: int
    held_back: int = 0
    since: datetime | None = None
    by: tuple[Held, ...] = ()


class Appended(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of an append: the stream's version after it, the events' ids, and whether anything was new."""

    stream: str
    version: int
    ids: tuple[str, ...]
    is_new: bool = True


class EventStore(Protocol):
    """The journal of one project: append-only streams, and the order of all of them."""

    @property
    def project(self) -> str:
        """The project every read and write is bound to."""

    @property
    def capabilities(self) -> Capabilities:
        """What this store can do that another cannot."""

    def append(
        self,
        stream: str,
        events: Sequence[EventData],
        *,
        expected_version: ExpectedVersion,
        dispatches: Sequence[NewDispatch] = (),
    ) -> Appended:
        """Append all events or none, in a transaction of its own that is durable when this returns.

        The same ids with the same content again are the same append: nothing is stored and `is_new` is False.
        `dispatches` are written in the same transaction: they are in the outbox exactly where the events are stored.

        Raises:
            WrongExpectedVersion: the stream is at another version; names it.
            EventIdReused: an id is known with other content, or known and new ids are mixed.
            PayloadRefused: data or metadata is not a JSON object that can be kept byte for byte.
        """

    def read_stream(self, stream: str, *, after: int = 0, until: int | None = None) -> Iterator[RecordedEvent]:
        """Yield the stream's events with versions in ``(after, until]``, in order; nothing where there is no stream.

        What was appended is there at once, also past the horizon: follow a stream by version, and the journal by the
        positions that `read_all` gives.
        """

    def read_told(self, runs: Mapping[str, int], *, types: Types) -> Iterator[tuple[str, Sequence[Told]]]:
        """Yield by stream the first event and those of some types, each stream up to a version, in order of version.

        Many short streams are read at once. A long one comes in pieces, one after the other; streams come in any order.
        """

    def read_places(self, places: Mapping[str, int]) -> dict[str, RecordedEvent]:
        """Return by stream the event at a version of each, where it is there."""

    def read_all(self, *, after: int = 0, limit: int | None = None) -> Iterator[RecordedEvent]:
        """Yield the project's events by position, past `after`. None ever appears behind one that was yielded."""

    def read_newest(self, limit: int) -> Iterator[RecordedEvent]:
        """Yield the newest events that `read_all` would give, by position: where somebody who comes now begins."""

    def read_category(self, category: str, *, after: int = 0, limit: int | None = None) -> Iterator[RecordedEvent]:
        """Yield the events of all streams of a category by position, past `after`."""

    def event(self, event_id: str) -> RecordedEvent:
        """Return one event.

        Raises:
            EventNotFound: this project has none with the id.
        """

    def events(self, event_ids: Sequence[str]) -> dict[str, RecordedEvent]:
        """Return those of some events that this project has, by id."""

    def versions_of(self, stream: str) -> dict[str, int]:
        """Return event id to version of a whole stream: what an importer compares a transcript with."""

    def stream_version(self, stream: str) -> int:
        """Return the stream's newest version, 0 where it has no events."""

    def head(self) -> int:
        """Return the highest position a reader may be given, 0 where the project has no events."""

    def horizon(self) -> Horizon:
        """Return how far a reader of all projects may read, and what is held back, since when and by whom."""

"""The events that a socket is sent, read from the journal: nothing else knows what is new.

A feed stands at a position and goes on from there, by reading. What woke it up says nothing of what there is.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from journal.domain.event import RecordedEvent
from journal.store import EventStore, get_store

PAGE: Final = 100
"""Events that are read, and then sent, before the next are."""


class Feed:
    """The events of a project past a position, in the order of positions, or those of one stream.

    `position` is how far it was read. A stream is followed by its versions, which shows what lies past the horizon too.
    """

    def __init__(self, project: str, *, stream: str = "", after: int | None = None) -> None:
        self._store = get_store(project)
        self._stream = stream
        self.position = self._store.head() if after is None else after
        self._version: int | None = None

    @property
    def is_there(self) -> bool:
        """Whether there is such a stream in the project."""
        return not self._stream or self._store.stream_version(self._stream) > 0

    def head(self) -> int:
        """Return how far a reader of the project may read now."""
        return self._store.head()

    def edge(self) -> int:
        """Return the newest version of the stream, whatever was read of it."""
        return self._store.stream_version(self._stream)

    def read(self, most: int = PAGE) -> list[RecordedEvent]:
        """Return the next events, at most so many, and stand behind them."""
        found = list(self._next(most))
        if found:
            self.position, self._version = found[-1].position, found[-1].version
        return found

    def _next(self, most: int) -> Iterator[RecordedEvent]:
        if self._stream:
            if self._version is None:  # finding it takes reading, which is for nothing where none is read
                self._version = version_at(self._store, self._stream, self.position)
            events = self._store.read_stream(self._stream, after=self._version, until=self._version + most)
            return islice(events, most)
        return self._store.read_all(after=self.position, limit=most)


def version_at(store: EventStore, stream: str, position: int) -> int:
    """Return a stream's newest version up to a position: positions rise with versions, so halves are looked at."""
    low, high = 0, store.stream_version(stream)
    while low < high:
        middle = (low + high + 1) // 2
        event = next(iter(store.read_stream(stream, after=middle - 1, until=middle)))
        low, high = (middle, high) if event.position <= position else (low, middle - 1)
    return low

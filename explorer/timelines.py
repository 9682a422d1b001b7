"""States of runs at any version, kept between requests so that moving the cursor is cheap.

A prefix of a stream never changes, so what is kept here never expires; the least used run goes when there are too many.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from threading import Lock

from journal.domain.aggregate import State, Timeline
from journal.domain.event import RecordedEvent
from journal.store import get_store

KEPT_RUNS = 32


@dataclass(kw_only=True, slots=True)
class _Entry:
    """One run's timeline. The lock is the run's own: folding a long run must not hold up the readers of others."""

    timeline: Timeline
    lock: Lock = field(default_factory=Lock)


_kept: OrderedDict[tuple[str, str], _Entry] = OrderedDict()
_guard = Lock()


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """A run at one event: the state before it, the event, and the events read on the way, oldest first.

    `recent` reaches back at least as far as was asked, or to the run's first event; it ends before the event.
    """

    before: State
    event: RecordedEvent
    recent: tuple[RecordedEvent, ...]


def state_at(project: str, stream: str, version: int) -> State:
    """Return a state of its own for the caller: the run's after `version`. One query at most."""
    entry = _entry(project, stream)
    store = get_store(project)

    def read(after: int, until: int) -> Iterator[RecordedEvent]:
        return store.read_stream(stream, after=after, until=until)

    with entry.lock:
        return entry.timeline.at(version, read)


def moment(project: str, stream: str, version: int, *, back: int) -> Moment | None:
    """Return the run at `version` with at least `back` events before it, in one query; None where there is no event."""
    entry = _entry(project, stream)
    reader = _Reader(project, stream, version, oldest=max(0, version - 1 - back))
    with entry.lock:
        before = entry.timeline.at(version - 1, reader.read)
    reader.finish()
    return Moment(before=before, event=reader.event, recent=tuple(reader.recent)) if reader.event else None


def clear() -> None:
    """Forget every run: for tests, whose databases come and go under the same names."""
    with _guard:
        _kept.clear()


class _Reader:
    """Reads once for three things: what the fold lacks, the events before the cursor, and the cursor's own."""

    def __init__(self, project: str, stream: str, version: int, *, oldest: int) -> None:
        self._store = get_store(project)
        self._stream = stream
        self._version = version
        self._oldest = oldest
        self._has_read = False
        self.recent: list[RecordedEvent] = []
        self.event: RecordedEvent | None = None

    def read(self, after: int, until: int) -> Iterable[RecordedEvent]:
        """Give the fold its events, and keep those that the page shows."""
        self._has_read = True
        for event in self._store.read_stream(self._stream, after=min(after, self._oldest), until=self._version):
            self._keep(event)
            if after < event.version <= until:
                yield event

    def finish(self) -> None:
        """Read what the page shows where the fold needed nothing."""
        if not self._has_read:
            for event in self._store.read_stream(self._stream, after=self._oldest, until=self._version):
                self._keep(event)

    def _keep(self, event: RecordedEvent) -> None:
        if event.version == self._version:
            self.event = event
        elif event.version > self._oldest:
            self.recent.append(event)


def _entry(project: str, stream: str) -> _Entry:
    with _guard:
        entry = _kept.pop((project, stream), None) or _Entry(timeline=Timeline(stream))
        _kept[project, stream] = entry
        while len(_kept) > KEPT_RUNS:
            _kept.popitem(last=False)
        return entry

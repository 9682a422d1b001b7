"""States of runs at any version, kept between requests so that moving the cursor is cheap.

A prefix of a stream changes in one way alone: payloads may be purged or erased. So what is kept is kept for a minute,
and goes at once where a page sees that the run's read model was made again; the least used run goes when there are too
many.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic

from journal.domain.aggregate import State, Timeline
from journal.domain.event import RecordedEvent
from journal.store import get_store
from journal.store.snapshots import Kept

KEPT_RUNS = 32
KEPT_S = 60.0
"""How long a run's states are kept: what was erased of it in another process is gone from here by then."""


@dataclass(kw_only=True, slots=True)
class _Entry:
    """One run's timeline. The lock is the run's own: folding a long run must not hold up the readers of others."""

    timeline: Timeline
    row: int | None = None
    made: float = field(default_factory=monotonic)
    lock: Lock = field(default_factory=Lock)


_kept: OrderedDict[tuple[str, str], _Entry] = OrderedDict()
_guard = Lock()


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """A run at one event: the state before it, the event, and the events read on the way, oldest first.

    `recent` reaches back at least as far as was asked, or to the run's first event; it ends before the event. `coming`
    are as many behind it as were asked for, or all there are.
    """

    before: State
    event: RecordedEvent
    recent: tuple[RecordedEvent, ...]
    coming: tuple[RecordedEvent, ...] = ()

    def after(self) -> State:
        """Return the state after the event, as the caller's own; the one before it stays as it is."""
        state = self.before.fork()
        state.apply(self.event)
        return state


def state_at(project: str, stream: str, version: int) -> State:
    """Return a state of its own for the caller: the run's after `version`. One query at most."""
    entry = _entry(project, stream)
    store = get_store(project)

    def read(after: int, until: int) -> Iterator[RecordedEvent]:
        return store.read_stream(stream, after=after, until=until)

    with entry.lock:
        return entry.timeline.at(version, read)


def states(project: str, stream: str, first: int, until: int) -> Iterator[State]:
    """Yield the run's state after each version from `first` to `until`: one object, changed from step to step.

    One query for a few hundred versions.
    """
    entry = _entry(project, stream)
    store = get_store(project)
    reading: Iterator[RecordedEvent] | None = None

    def read(after: int, _first: int) -> Iterator[RecordedEvent]:
        nonlocal reading
        reading = store.read_stream(stream, after=after, until=until)
        for event in reading:
            yield event
            if event.version == first:
                return

    with entry.lock:
        state = entry.timeline.at(first, read)
    yield state
    for event in store.read_stream(stream, after=first, until=until) if reading is None else reading:
        state.apply(event)
        yield state


def moment(project: str, stream: str, version: int, *, back: int, ahead: int = 0) -> Moment | None:
    """Return the run at `version`, with at least `back` events before it and `ahead` behind it, in one query.

    None where there is no such event.
    """
    entry = _entry(project, stream)
    reader = _Reader(project, stream, version, oldest=max(0, version - 1 - back), newest=version + ahead)
    with entry.lock:
        before = entry.timeline.at(version - 1, reader.read)
    reader.finish()
    if reader.event is None:
        return None
    return Moment(before=before, event=reader.event, recent=tuple(reader.recent), coming=tuple(reader.coming))


def clear() -> None:
    """Forget every run: something of one was erased, or a test's database went."""
    with _guard:
        _kept.clear()


def is_stale(project: str, stream: str, row: int) -> bool:
    """Return whether what is kept of a run was folded for another row of its read model, and forget it then.

    Costs nothing: the page has the row in hand. A rebuild gives another row, too, and then a run is folded once more.
    """
    with _guard:
        entry = _kept.get((project, stream))
        if entry is None or entry.row == row:
            return False
        if entry.row is None:
            entry.row = row
            return False
        del _kept[project, stream]
        return True


class _Reader:
    """Reads once for three things: what the fold lacks, the events around the cursor, and the cursor's own."""

    def __init__(self, project: str, stream: str, version: int, *, oldest: int, newest: int) -> None:
        self._store = get_store(project)
        self._stream = stream
        self._version = version
        self._oldest = oldest
        self._newest = newest
        self._has_read = False
        self.recent: list[RecordedEvent] = []
        self.coming: list[RecordedEvent] = []
        self.event: RecordedEvent | None = None

    def read(self, after: int, until: int) -> Iterable[RecordedEvent]:
        """Give the fold its events, and keep those that the page shows."""
        self._has_read = True
        for event in self._store.read_stream(self._stream, after=min(after, self._oldest), until=self._newest):
            self._keep(event)
            if after < event.version <= until:
                yield event

    def finish(self) -> None:
        """Read what the page shows where the fold needed nothing."""
        if not self._has_read:
            for event in self._store.read_stream(self._stream, after=self._oldest, until=self._newest):
                self._keep(event)

    def _keep(self, event: RecordedEvent) -> None:
        if event.version == self._version:
            self.event = event
        elif event.version > self._version:
            self.coming.append(event)
        elif event.version > self._oldest:
            self.recent.append(event)


def _entry(project: str, stream: str) -> _Entry:
    with _guard:
        entry = _kept.pop((project, stream), None)
        if entry is None or monotonic() - entry.made > KEPT_S:
            entry = _Entry(timeline=Timeline(stream, snapshots=Kept(project)))
        _kept[project, stream] = entry
        while len(_kept) > KEPT_RUNS:
            _kept.popitem(last=False)
        return entry

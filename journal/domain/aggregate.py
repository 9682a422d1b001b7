"""Load a stream's state, at its newest version or at any other, by folding its events.

A `State` belongs to the fold that made it: `apply` changes it in place, and `fork` gives a second one that goes its own
way. What a category's state is stands in one registry; a category nobody registered still has a state, so that any
stream can be opened.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, Final, Protocol, Self, runtime_checkable

from journal.domain.event import RecordedEvent
from journal.domain.stream import category
from journal.errors import StreamNotFound, VersionNotFound

FAR: Final = 1_000
"""Events that are folded in a few milliseconds: below this a snapshot saves nothing."""

_NEAR: Final = 24
_NEAR_EVERY: Final = 25


class State(Protocol):
    """What is known after some version of a stream."""

    version: int

    def apply(self, event: RecordedEvent) -> None:
        """Take the next event in."""

    def fork(self) -> State:
        """Return an equal state that changes on its own."""

    def to_json(self) -> dict[str, Any]:
        """Return the state as plain JSON values."""

    def blame(self) -> dict[str, int]:
        """Return the version that set each leaf of `to_json`, by JSON Pointer."""

    def removed_at(self, pointer: str, gone: Any) -> int | None:
        """Return the version that removed what stood at `pointer`, or None where the state does not keep that."""


@runtime_checkable
class Headed(Protocol):
    """A state that has a name for lists of streams."""

    def headline(self) -> str:
        """Return it; empty where nothing is known yet that would tell this stream from others."""


@runtime_checkable
class Freezable(State, Protocol):
    """A state that can be kept as bytes. `folded_by` names the modules whose code made it what it is."""

    folded_by: ClassVar[tuple[str, ...]]
    stream: str

    def freeze(self) -> bytes:
        """Return everything that `thaw` needs to go on folding."""

    @classmethod
    def thaw(cls, frozen: bytes) -> Self:
        """Return the state that was frozen."""


@runtime_checkable
class Renumberable(State, Protocol):
    """A state that can be told in other numbers, so that histories which count differently can be compared."""

    def renumbered(self, number: Callable[[int], int]) -> State:
        """Return an equal state in which every version that an event gave it is `number` of that version."""


class Snapshots(Protocol):
    """States that were kept on the way. Any of them may be missing at any time."""

    def nearest(self, stream: str, version: int | None) -> State | None:
        """Return the newest kept state at or before `version`, None being the newest of all; the caller's own."""

    def pass_by(self, state: State) -> None:
        """Keep the state if its version is one to keep. Never fails."""


class Reads(Protocol):
    """The part of an event store that loading needs."""

    @property
    def project(self) -> str:
        """The project all reads are bound to."""

    def read_stream(self, stream: str, *, after: int = 0, until: int | None = None) -> Iterator[RecordedEvent]:
        """Yield the stream's events with versions in ``(after, until]``, in order."""

    def stream_version(self, stream: str) -> int:
        """Return the stream's newest version, 0 where it has no events."""


_initial: dict[str, Callable[[str], State]] = {}


def aggregate(name: str) -> Callable[[Callable[[str], State]], Callable[[str], State]]:
    """Register what makes the empty state of streams of category `name`; it is given the stream's name."""

    def register(initial: Callable[[str], State]) -> Callable[[str], State]:
        _initial[name] = initial
        return initial

    return register


def has_state(name: str) -> bool:
    """Return whether an app has registered the state of a category."""
    return name in _initial


def initial(stream: str) -> State:
    """Return the empty state of a stream."""
    return _initial.get(category(stream), PlainState)(stream)


def fold(stream: str, events: Iterable[RecordedEvent]) -> State:
    """Return the state after `events`, which begin at version 1."""
    state = initial(stream)
    for event in events:
        state.apply(event)
    return state


class Repository:
    """Loads states from a store, from the nearest snapshot on where it is given `snapshots`."""

    def __init__(self, store: Reads, *, snapshots: Snapshots | None = None) -> None:
        self._store = store
        self._snapshots = snapshots

    def load(self, stream: str) -> State:
        """Return the newest state.

        Raises:
            StreamNotFound: the stream has no events.
        """
        state = self._folded(stream, None)
        if not state.version:
            raise StreamNotFound(stream=stream, project=self._store.project)
        return state

    def load_at_version(self, stream: str, version: int) -> State:
        """Return the state after `version`; version 0 is the empty state.

        Raises:
            StreamNotFound: the stream has no events.
            VersionNotFound: it does not reach `version`, or `version` is negative.
        """
        newest = self._store.stream_version(stream)
        if not newest:
            raise StreamNotFound(stream=stream, project=self._store.project)
        if not 0 <= version <= newest:
            raise VersionNotFound(stream=stream, version=version, newest=newest)
        return self._folded(stream, version) if version else initial(stream)

    def _folded(self, stream: str, until: int | None) -> State:
        state = self._snapshots.nearest(stream, until) if self._snapshots else None
        state = state or initial(stream)
        for event in self._store.read_stream(stream, after=state.version, until=until):
            state.apply(event)
            if self._snapshots:
                self._snapshots.pass_by(state)
        return state


class Timeline:
    """States of one stream at any version, with forks kept on the way so that moving about is cheap.

    A prefix of a stream never changes, so a kept fork never expires. At most `keep` forks are spread over the stream;
    where there are more, every second one goes and the distance between them doubles. A few more stand near the
    versions last asked for: a next step begins there, however far apart the others are. A far jump begins at a
    snapshot.
    """

    def __init__(self, stream: str, *, keep: int = 64, every: int = 100, snapshots: Snapshots | None = None) -> None:
        self._stream = stream
        self._keep = keep
        self._every = every
        self._snapshots = snapshots
        self._forks: list[State] = [initial(stream)]
        self._near: OrderedDict[int, State] = OrderedDict()

    def at(self, version: int, read: Callable[[int, int], Iterable[RecordedEvent]]) -> State:
        """Return the state after `version`; `read(after, until)` gives the events from the nearest kept fork on."""
        state = self._before(version)
        for event in read(state.version, version) if version > state.version else ():
            state.apply(event)
            if self._snapshots:
                self._snapshots.pass_by(state)
            if state.version % self._every == 0 and state.version > self._forks[-1].version:
                self._add(state.fork())
            elif state.version % _NEAR_EVERY == 0 and version - state.version < _NEAR_EVERY * _NEAR // 2:
                self._note(state)
        if state.version == version:
            self._note(state)
        return state

    def _before(self, version: int) -> State:
        """Return a state of the caller's own, at or before `version` and as near to it as one is kept."""
        fork = self._forks[bisect_right(self._forks, version, key=lambda kept: kept.version) - 1]
        near = max((kept for kept in self._near if kept <= version), default=0)
        if near > fork.version:
            self._near.move_to_end(near)
            fork = self._near[near]
        is_far = version - fork.version > FAR
        snapshot = self._snapshots.nearest(self._stream, version) if self._snapshots and is_far else None
        return snapshot if snapshot is not None and snapshot.version > fork.version else fork.fork()

    def _note(self, state: State) -> None:
        if state.version not in self._near:
            self._near[state.version] = state.fork()
            if len(self._near) > _NEAR:
                self._near.popitem(last=False)

    def _add(self, fork: State) -> None:
        self._forks.append(fork)
        if len(self._forks) > self._keep:
            self._every *= 2
            self._forks = [kept for kept in self._forks if kept.version % self._every == 0]


class PlainState:
    """The state of a stream whose category nobody registered: the newest data of each event type."""

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self.version = 0
        self._latest: dict[str, tuple[int, dict[str, Any]]] = {}

    def apply(self, event: RecordedEvent) -> None:
        """Take the next event in."""
        self.version = event.version
        self._latest[event.type] = (event.version, event.payload)

    def fork(self) -> PlainState:
        """Return an equal state that changes on its own."""
        twin = PlainState(self.stream)
        twin.version, twin._latest = self.version, dict(self._latest)
        return twin

    def renumbered(self, number: Callable[[int], int]) -> PlainState:
        """Return an equal state with other versions."""
        twin = PlainState(self.stream)
        twin.version = number(self.version)
        twin._latest = {name: (number(version), data) for name, (version, data) in self._latest.items()}
        return twin

    def to_json(self) -> dict[str, Any]:
        """Return the newest data of each event type, with the version it came at."""
        latest = {name: {"version": version, "data": data} for name, (version, data) in self._latest.items()}
        return {"stream": self.stream, "version": self.version, "latest": latest}

    def blame(self) -> dict[str, int]:
        """Return the version that set each leaf."""
        return blame_of(self.to_json(), {})

    def removed_at(self, pointer: str, gone: Any) -> int | None:
        """Nothing is ever removed from this state."""
        del pointer, gone
        return None


def blame_of(state: dict[str, Any], explicit: dict[str, int]) -> dict[str, int]:
    """Return pointer to version for each leaf: as `explicit` says, else the nearest enclosing object's `version`.

    The state's own `stream` and `version` come from no event and have none.
    """
    found: dict[str, int] = {}
    for name, value in state.items():
        if name not in ("stream", "version"):
            _blame(value, "/" + escaped(name), None, explicit, found)
    return found


def _blame(value: Any, pointer: str, version: int | None, explicit: dict[str, int], found: dict[str, int]) -> None:
    if isinstance(value, dict) and value:
        own = value.get("version")
        version = own if isinstance(own, int) else explicit.get(pointer, version)
        for name, inner in value.items():
            _blame(inner, f"{pointer}/{escaped(name)}", version, explicit, found)
    elif isinstance(value, list) and value:
        version = explicit.get(pointer, version)
        for at, inner in enumerate(value):
            _blame(inner, f"{pointer}/{at}", version, explicit, found)
    else:
        setter = explicit.get(pointer, version)
        if setter is not None:
            found[pointer] = setter


def escaped(name: str) -> str:
    """Return a key as one token of a JSON Pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")

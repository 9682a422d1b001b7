"""The way of one run's events: straight into a sink, or through a spool that a thread empties."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Final, Protocol
from uuid import UUID, uuid5

import msgspec

from journal.domain.event import EventData, instant
from journal.domain.stream import NO_STREAM
from journal.errors import WrongExpectedVersion
from journal.recorder.frames import Ended, Header, Kept
from journal.recorder.references import resolved
from journal.recorder.sink import Sink
from journal.recorder.spool import Fsync, SpoolFile
from journal.recorder.warn import warn

OVERFLOW_BYTES: Final = 8_000_000
"""What is held in memory of a run while its spool cannot be written to. Beyond that events are lost, and counted."""

_CONFLICTS: Final = 8

GAP: Final = "source.recorder.gap"
"""The event that stands where events were lost, with their number and why."""


class Outlet(Protocol):
    """Where a run puts its events."""

    def put(self, event: EventData, *, refs: bool) -> None:
        """Take an event; when this returns it is kept as well as this outlet can."""

    def end(self) -> None:
        """Say that the run is over."""


class Direct:
    """Appends each event before the call that records returns, in the thread that records it."""

    def __init__(self, stream: str, sink: Sink) -> None:
        self._stream = stream
        self._sink = sink
        self._version = NO_STREAM
        self._versions: dict[str, int] = {}
        self._lock = Lock()

    def put(self, event: EventData, *, refs: bool) -> None:
        """Append the event. Another writer of the stream, such as one that grades it, only moves it on."""
        with self._lock:
            for _ in range(_CONFLICTS):
                data = resolved(event.data, self._versions) if refs else event.data
                ready = msgspec.structs.replace(event, data=data)
                try:
                    outcome = self._sink.append(self._stream, [ready], expected_version=self._version)
                except WrongExpectedVersion as conflict:
                    self._version = conflict.actual
                    continue
                self._version = outcome.version
                self._versions[str(event.id)] = outcome.version
                return
        raise WrongExpectedVersion(stream=self._stream, expected=self._version, actual=self._version)

    def end(self) -> None:
        """Nothing is held back."""


class Collected:
    """Keeps the events in a list: where a replayed run goes."""

    def __init__(self) -> None:
        self.events: list[EventData] = []

    def put(self, event: EventData, *, refs: bool) -> None:
        """Take the event."""
        self.events.append(event)

    def end(self) -> None:
        """Nothing to do."""


class Spooled:
    """Writes each event to the run's spool file; the sender reads it from there.

    What is in memory does not grow with what waits: an outage of any length costs disk. Only while the disk takes
    nothing are events held in memory, up to `OVERFLOW_BYTES`.
    """

    def __init__(self, stream: str, *, folder: Path, to: str | None, fsync: Fsync, wake: Callable[[], None]) -> None:
        self.stream = stream
        self.lock = Lock()
        self.file: SpoolFile | None = None
        self.overflow: deque[Kept] = deque()
        self.has_ended = False
        self.is_dirty = False
        self._folder = folder
        self._to = to
        self._fsync = fsync
        self._wake = wake
        self._held_bytes = 0
        self._lost = 0
        self._is_left = False

    def put(self, event: EventData, *, refs: bool) -> None:
        """Take the event: into the file, or while that is impossible into memory."""
        kept = Kept(
            id=str(event.id),
            type=event.type,
            schema=event.schema,
            at=instant(event.occurred_at) if isinstance(event.occurred_at, datetime) else "",
            data=msgspec.Raw(event.data),
            metadata=msgspec.Raw(event.metadata),
            refs=refs,
        )
        with self.lock:
            if self.overflow or not self._write(kept):
                self._hold(kept)
        self._wake()

    def _write(self, kept: Kept) -> bool:
        try:
            self.open()
            assert self.file is not None  # noqa: S101 - open() has seen to it
            self.file.append(kept)
            if self._fsync == "always":
                self.file.force()
        except OSError as error:
            warn(
                f"spool/{error.errno}",
                f"the spool in {self._folder} cannot be written to ({error.strerror or error}): what is recorded is"
                f" held in memory, up to {OVERFLOW_BYTES // 1_000_000} MB a run, and lost if the process ends before it"
                " is sent. Make room, or choose another folder by NAGARE_SPOOL_DIR",
            )
            return False
        self.is_dirty = self._fsync == "batch"
        return True

    def open(self) -> None:
        """Open the run's file, where it is not."""
        if self.file is None:
            self.file = SpoolFile.create(self._folder, Header(stream=self.stream, to=self._to))

    def _hold(self, kept: Kept) -> None:
        size = len(bytes(kept.data)) + len(bytes(kept.metadata))
        if self._held_bytes + size > OVERFLOW_BYTES:
            self._lost += 1
            warn("lost", f"{self._lost} events of {self.stream} are lost: no room on disk, nor in the memory allowed")
            return
        if self._lost:
            kept = self._gap_before(kept)
        self._held_bytes += size
        self.overflow.append(kept)

    def _gap_before(self, kept: Kept) -> Kept:
        """Put the count of what was lost where it was lost."""
        data = msgspec.json.encode({"lost": self._lost, "reason": "no room on disk, nor in the memory allowed"})
        gap = Kept(
            id=str(uuid5(UUID(kept.id), "gap")),
            type=GAP,
            schema=1,
            at=kept.at,
            data=msgspec.Raw(data),
            metadata=msgspec.Raw(b"{}"),
        )
        self.overflow.append(gap)
        self._lost = 0
        return kept

    def take_overflow(self) -> None:
        """Move what is held in memory into the file, as far as it takes it; call it with the lock held."""
        while self.overflow and self._write(self.overflow[0]):
            self.release(1)

    def release(self, count: int) -> None:
        """Forget the oldest events held in memory."""
        for _ in range(count):
            kept = self.overflow.popleft()
            self._held_bytes -= len(bytes(kept.data)) + len(bytes(kept.metadata))

    def end(self) -> None:
        """Say that nothing more will come; the file goes when all of it is sent."""
        with self.lock:
            self.has_ended = True
            if self.file is not None:
                try:
                    self.file.append(Ended())
                    if self._fsync != "never":
                        self.file.force()
                except OSError as error:
                    warn("end", f"the end of {self.stream} is not in its spool: {error}")
            if self._is_left:
                self._close()
        self._wake()

    def let_go(self) -> None:
        """Leave the file to whoever takes it over; what is recorded from now on goes to another one."""
        with self.lock:
            self._is_left = True
            self._close()

    def _close(self) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None

    def after_fork(self) -> None:
        """Leave the parent's file alone: what this process records goes to one of its own."""
        self.lock = Lock()
        self._close()
        self.overflow, self._held_bytes = deque(), 0

"""The thread that brings spooled events to the server: in order, in batches, again and again until they are there."""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from threading import Condition, Thread
from typing import Final

from journal.domain.event import EventData
from journal.domain.stream import NO_STREAM
from journal.errors import AppendRefused, EventIdReused, WrongExpectedVersion
from journal.recorder.errors import ServerRefused, ServerUnreachable
from journal.recorder.frames import Kept, Sent, SetAside
from journal.recorder.outlets import Spooled
from journal.recorder.references import resolved
from journal.recorder.sink import Sink
from journal.recorder.spool import Fsync, Left, left_behind
from journal.recorder.warn import log, warn

BATCH_EVENTS: Final = 100
BATCH_BYTES: Final = 500_000
FIRST_DELAY_S: Final = 0.2
LONGEST_DELAY_S: Final = 30.0
REFUSED_DELAY_S: Final = 15.0
_FSYNC_S: Final = 1.0


class Delivery:
    """How far one run has been sent."""

    def __init__(self, outlet: Spooled) -> None:
        self.outlet = outlet
        self.offset = 0
        self.sent = 0
        self.version = NO_STREAM
        self.versions: dict[str, int] = {}
        self.is_alone = False
        """Send events one at a time: a part of them may be in the journal already, and it is not known which."""

    @classmethod
    def of_left(cls, left: Left, outlet: Spooled) -> Delivery:
        """Go on where a dead process stopped."""
        delivery = cls(outlet)
        delivery.offset, delivery.version, delivery.versions = left.offset, left.version, left.versions
        delivery.is_alone = True
        return delivery

    def next_batch(self) -> tuple[list[Kept], list[int]]:
        """Return the events to send next, with the offset behind each; of those held in memory it is none."""
        events: list[Kept] = []
        offsets: list[int] = []
        size = 0
        with self.outlet.lock:
            self.outlet.take_overflow()
            file = self.outlet.file
            for offset, line in file.lines(self.offset) if file is not None else ():
                if not isinstance(line, Kept):
                    continue
                size += len(bytes(line.data))
                if events and (size > BATCH_BYTES or len(events) >= (1 if self.is_alone else BATCH_EVENTS)):
                    break
                events.append(line)
                offsets.append(offset)
            if not events and self.outlet.overflow:
                events = [self.outlet.overflow[0]]
        return events, offsets

    def is_done(self) -> bool:
        """Return whether there is nothing to send."""
        return not self.next_batch()[0]


class Sender:
    """Sends what the spooled runs of this process have, and what dead processes left in the same folder."""

    def __init__(self, sink: Sink | None, *, folder: Path, to: str | None, fsync: Fsync = "batch") -> None:
        self._sink = sink
        self._folder = folder
        self._to = to
        self._fsync = fsync
        self._deliveries: list[Delivery] = []
        self._condition = Condition()
        self._thread: Thread | None = None
        self._process = os.getpid()
        self._is_stopping = False
        self._is_hurried = False
        self._has_news = False
        self._delay = FIRST_DELAY_S

    # --- What the agent's threads call

    def outlet(self, stream: str) -> Spooled:
        """Return the way of a new run's events."""
        outlet = Spooled(stream, folder=self._folder, to=self._to, fsync=self._fsync, wake=self.wake)
        self._add(Delivery(outlet))
        return outlet

    def take_over(self) -> int:
        """Take what dead processes left for the same server. Returns how many runs."""
        if self._sink is None:
            return 0
        count = 0
        for left in left_behind(self._folder):
            header = left.header
            if header is None or header.to not in (None, self._to):
                left.file.close()
                continue
            outlet = Spooled(header.stream, folder=self._folder, to=self._to, fsync=self._fsync, wake=self.wake)
            outlet.file, outlet.has_ended = left.file, True
            self._add(Delivery.of_left(left, outlet))
            count += 1
        if count:
            log.info("%s: sending what an earlier process recorded", self._folder)
            self.wake()
        return count

    def wake(self) -> None:
        """Say that there is something to send. Starts the thread where there is none."""
        with self._condition:
            self._has_news = True
            self._ensure_thread()
            self._condition.notify_all()

    def flush(self, timeout: float | None) -> bool:
        """Wait until everything is sent. Returns whether it is."""
        if self._sink is None:
            return self.waiting() == 0
        deadline = None if timeout is None else time.monotonic() + timeout
        self.wake()
        with self._condition:
            self._is_hurried = True
            self._condition.notify_all()
            while any(not delivery.is_done() for delivery in self._deliveries):
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return False
                self._condition.wait(min(left, 0.1) if left is not None else 0.1)
        return True

    def waiting(self) -> int:
        """Return how many runs have something that is not sent."""
        with self._condition:
            return sum(not delivery.is_done() for delivery in self._deliveries)

    def stop(self) -> None:
        """End the thread; what is not sent stays in the spool."""
        with self._condition:
            self._is_stopping = True
            self._condition.notify_all()
        if self._thread is not None and self._process == os.getpid():
            self._thread.join(timeout=5)
        for delivery in tuple(self._deliveries):
            self._tidy(delivery)
            delivery.outlet.let_go()

    def after_fork(self) -> None:
        """Begin anew in a child: the parent's thread, lock and files are the parent's."""
        self._condition = Condition()
        self._thread = None
        self._process = os.getpid()
        for delivery in self._deliveries:
            delivery.outlet.after_fork()
            delivery.offset = 0
        self._deliveries = [delivery for delivery in self._deliveries if not delivery.outlet.has_ended]

    # --- The thread

    def _add(self, delivery: Delivery) -> None:
        with self._condition:
            self._deliveries.append(delivery)

    def _ensure_thread(self) -> None:
        if self._thread is None and self._sink is not None and not self._is_stopping:
            self._thread = Thread(target=self._run, name="nagare-recorder", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        forced_at = time.monotonic()
        while not self._is_stopping:
            pause = self._round()
            if time.monotonic() - forced_at >= _FSYNC_S:
                self._force()
                forced_at = time.monotonic()
            with self._condition:
                self._condition.notify_all()
                if pause == 0 or self._is_stopping:
                    continue
                if not (self._has_news and pause is None) and not self._is_hurried:
                    self._condition.wait(pause if pause is not None else _FSYNC_S if self._is_dirty() else None)
                self._has_news = self._is_hurried = False
        self._force()

    def _round(self) -> float | None:
        """Send a batch of each run. Returns how long to wait: 0 to go on, None until there is news."""
        has_sent = False
        for delivery in list(self._deliveries):
            try:
                has_sent |= self._send(delivery)
                self._delay = FIRST_DELAY_S
            except ServerUnreachable as error:
                warn("unreachable", str(error))
                return self._back_off(error.retry_after)
            except ServerRefused as error:
                warn("refused", str(error))
                return REFUSED_DELAY_S
            except Exception as error:  # noqa: BLE001 - a runner's loop: what one run has wrong must not stop the rest
                warn(f"send/{type(error).__name__}", f"{delivery.outlet.stream} cannot be sent: {error}")
                return self._back_off(None)
        return 0 if has_sent else None

    def _back_off(self, asked: float | None) -> float:
        delay = self._delay * random.uniform(0.5, 1.5)  # noqa: S311 - spreads clients, guards nothing
        self._delay = min(self._delay * 2, LONGEST_DELAY_S)
        return max(delay, min(asked or 0, LONGEST_DELAY_S * 2))

    def _send(self, delivery: Delivery) -> bool:
        assert self._sink is not None  # noqa: S101 - the thread runs only with one
        events, offsets = delivery.next_batch()
        if not events:
            self._tidy(delivery)
            return False
        try:
            outcome = self._sink.append(
                delivery.outlet.stream, _ready(events, delivery), expected_version=delivery.version
            )
        except WrongExpectedVersion as conflict:
            delivery.version = conflict.actual
            return True
        except EventIdReused as error:
            if len(events) > 1:
                delivery.is_alone = True
            else:
                self._set_aside(delivery, events[0], offsets, str(error))
            return True
        except AppendRefused as error:
            if len(events) > 1:
                delivery.is_alone = True
            else:
                self._set_aside(delivery, events[0], offsets, str(error))
            return True
        self._note(delivery, events, offsets, outcome.version)
        # The events of a file are in the journal up to some place; past the first that is new, all are.
        delivery.is_alone = delivery.is_alone and not outcome.is_new
        return True

    def _note(self, delivery: Delivery, events: Sequence[Kept], offsets: Sequence[int], version: int) -> None:
        first = version - len(events) + 1
        delivery.version = max(version, delivery.version)
        delivery.versions |= {event.id: first + at for at, event in enumerate(events)}
        self._advance(delivery, offsets, Sent(count=len(events), version=version), len(events))

    def _set_aside(self, delivery: Delivery, event: Kept, offsets: Sequence[int], reason: str) -> None:
        file = delivery.outlet.file
        where = f"; it is kept in {file.set_aside(event, reason)}" if file is not None else ""
        warn("aside", f"an event of {delivery.outlet.stream} was refused and will not be sent: {reason}{where}")
        self._advance(delivery, offsets, SetAside(reason=reason), 1)

    def _advance(self, delivery: Delivery, offsets: Sequence[int], line: Sent | SetAside, count: int) -> None:
        outlet = delivery.outlet
        with outlet.lock:
            if not offsets:
                outlet.release(count)
                return
            delivery.offset = offsets[-1]
            delivery.sent += count
            if outlet.file is not None:
                with contextlib.suppress(OSError):  # sent again after a crash, and found there
                    outlet.file.append(line)

    def _tidy(self, delivery: Delivery) -> None:
        """Take away the file of a run that is over and sent."""
        with delivery.outlet.lock:
            if not delivery.outlet.has_ended or delivery.outlet.overflow:
                return
            file = delivery.outlet.file
            if file is not None and any(isinstance(line, Kept) for _, line in file.lines(delivery.offset)):
                return
            if file is not None:
                file.remove()
                delivery.outlet.file = None
        with self._condition:
            if delivery in self._deliveries:
                self._deliveries.remove(delivery)

    def _is_dirty(self) -> bool:
        return any(delivery.outlet.is_dirty for delivery in self._deliveries)

    def _force(self) -> None:
        for delivery in list(self._deliveries):
            with delivery.outlet.lock:
                if delivery.outlet.is_dirty and delivery.outlet.file is not None:
                    with contextlib.suppress(OSError):
                        delivery.outlet.file.force()
                    delivery.outlet.is_dirty = False


def _ready(events: Sequence[Kept], delivery: Delivery) -> list[EventData]:
    """Return the events as they are appended; those of one batch may refer to each other."""
    versions = delivery.versions | {event.id: delivery.version + at for at, event in enumerate(events, 1)}
    return [
        EventData(
            id=event.id,
            type=event.type,
            schema=event.schema,
            data=resolved(bytes(event.data), versions) if event.refs else bytes(event.data),
            metadata=bytes(event.metadata),
            occurred_at=datetime.fromisoformat(event.at) if event.at else None,
        )
        for event in events
    ]

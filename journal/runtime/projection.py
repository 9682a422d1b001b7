"""Projections: read models that follow the journal by a checkpoint, in one transaction with it.

A projection registers itself when its app's module `projections` is loaded. It fills rows of a generation that it is
told, which makes a rebuild without downtime possible (`journal.runtime.beside`). Whoever catches one up holds its
lease, so that the work is done once; that the outcome is right rests on the checkpoint alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from journal.domain.event import RecordedEvent
from journal.errors import JournalError
from journal.models import Checkpoint
from journal.runtime import beside, checkpoint, lease
from journal.runtime.checkpoint import Overtaken
from journal.runtime.subscription import Subscription, follow, retry_parked, run_once
from journal.store import every_project

BATCH = 500
"""Events handled in one transaction."""

ROLE = "projections"
"""What the processes that follow the journal for projections are called in leases."""

_POLL_S = 0.02
_PATIENCE_S = 30.0
"""How long to wait for another process that catches a projection up: several lease times."""


class Projection(Protocol):
    """A handler and the tables it fills. `code_version` rises when the same events would fill them otherwise."""

    name: str
    code_version: int

    def handle(self, events: Sequence[RecordedEvent], *, generation: int) -> None:
        """Take the next events in, in position order, into rows of a generation, inside the caller's transaction.

        An event that could not be handled may come again later, alone and behind its successors.
        """

    def discard(self, *, below: int, keep: Collection[int]) -> None:
        """Delete the rows of the generations under `below` that are not to be kept, in transactions of its own."""

    def digest(self, *, generation: int) -> str:
        """Return a digest of a generation's rows without anything that differs between two rebuilds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Where a projection stands: its checkpoint, the journal's head, and how many events this call handled.

    `building` is the position of the generation that is built beside it, None where none is.
    """

    name: str
    position: int
    head: int
    handled: int = 0
    building: int | None = None


class NotCaughtUp(JournalError):
    """A projection did not reach a position in time."""

    def __init__(self, *, projection: str, position: int, reached: int, waited_s: float) -> None:
        self.projection = projection
        self.position = position
        self.reached = reached
        super().__init__(
            f"{projection} is at position {reached}, not at {position}, after {waited_s:g} s;"
            " `nagare status` shows what holds it up"
        )


P = TypeVar("P", bound=type[Projection])
_projections: dict[str, Projection] = {}


def projects(projection: P) -> P:
    """Register a projection class."""
    _projections[projection.name] = projection()
    return projection


def registered() -> tuple[Projection, ...]:
    """Return the projections of all installed apps."""
    return tuple(_projections.values())


def named(name: str) -> Projection:
    """Return a projection by name.

    Raises:
        KeyError: there is none.
    """
    return _projections[name]


def lease_name(projection: Projection) -> str:
    """Return the lease that whoever keeps a projection up to date holds."""
    return f"projection:{projection.name}"


def is_outdated(projection: Projection) -> bool:
    """Return whether the live rows were made by another version of the code: a rebuild is due."""
    mark = checkpoint.peek(projection.name)
    return mark is not None and mark.code_version != projection.code_version


def catch_up(projection: Projection, *, most: int | None = None, patience_s: float = _PATIENCE_S) -> Progress:
    """Handle the events past the checkpoint, up to `most` of them, and say where that led.

    Where another process does that already, wait until it has got to where the journal ends now; one that is dead is
    taken over meanwhile.
    """
    head = every_project().head()
    deadline = time.monotonic() + patience_s
    while True:
        with lease.guard(lease_name(projection)) as term:
            if term is not None:
                checkpoint.take(current(projection).name, token=term.token)
                return progress(projection, _catch_up(projection, term, most))
        if _position(projection) >= head or time.monotonic() >= deadline:
            return progress(projection)
        time.sleep(_POLL_S)


def catch_up_all(*, patience_s: float = _PATIENCE_S) -> list[Progress]:
    """Catch every projection up."""
    return [catch_up(projection, patience_s=patience_s) for projection in registered()]


def _catch_up(projection: Projection, term: lease.Term, most: int | None) -> int:
    handled = 0
    while most is None or handled < most:
        subscription = current(projection)
        try:
            done = run_once(subscription, token=term.token)
        except Overtaken:
            continue
        handled += done.events
        if done.is_at_head:
            retry_parked(subscription, token=term.token)
            break
    return handled


def current(projection: Projection) -> Subscription:
    """Return the subscription that fills the generation which is live now."""
    mark = checkpoint.read(projection.name, code_version=projection.code_version)
    return Subscription(
        name=projection.name,
        handle=partial(projection.handle, generation=mark.generation),
        batch=BATCH,
        generation=mark.generation,
    )


def run(
    projection: Projection, *, wakeups: Callable[[], Iterable[None]], stop: threading.Event, holder: str | None = None
) -> None:
    """Keep a projection up to date until `stop`, whenever its lease is ours."""
    follow(partial(current, projection), lease_name=lease_name(projection), wakeups=wakeups, stop=stop, holder=holder)


def wait(position: int, *, name: str | None = None, timeout_s: float = 5.0) -> None:
    """Return when a projection, or every one, has handled the event at `position`: so that one reads what one wrote.

    Raises:
        NotCaughtUp: it took longer than `timeout_s`.
    """
    started = time.monotonic()
    for projection in (named(name),) if name else registered():
        while (reached := _position(projection)) < position:
            if time.monotonic() - started > timeout_s:
                raise NotCaughtUp(projection=projection.name, position=position, reached=reached, waited_s=timeout_s)
            time.sleep(_POLL_S)


def rebuild(projection: Projection) -> Progress:
    """Fill the read model again from the journal, beside the one that pages see, and swap the two.

    Raises:
        RebuildUnderWay: another process rebuilds it.
        HandlingStopped: an event failed that the live read model could handle.
    """
    with beside.sole(projection) as term:
        building = beside.begin(projection, term=term, batch=BATCH)
        handled = beside.build(building)
        handled += beside.swap(building)
        beside.discard_old(projection)
    return progress(projection, handled)


def progress(projection: Projection, handled: int = 0) -> Progress:
    """Return where a projection stands now."""
    building = checkpoint.peek(beside.building_name(projection.name))
    return Progress(
        name=projection.name,
        position=_position(projection),
        head=every_project().head(),
        handled=handled,
        building=building.position if building else None,
    )


def _position(projection: Projection) -> int:
    return Checkpoint.objects.filter(name=projection.name).values_list("position", flat=True).first() or 0

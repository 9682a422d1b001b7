"""Rebuild a read model beside the live one, catch up with it, and swap.

    begin ── build ── build ── … ── swap ── discard the old rows
      └────────┴────── stops anywhere and goes on ┘

The building generation has a checkpoint of its own, named after the live one, and every batch is one transaction with
it. The swap is one transaction too: with the live checkpoint locked, the last events are handled, and the live
checkpoint takes over position, generation and code version. Pages see the old rows until then and the new ones after.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models.functions import Now

from journal.domain.event import RecordedEvent
from journal.errors import JournalError
from journal.models import Checkpoint, ParkedEvent
from journal.runtime import checkpoint, lease, parked
from journal.runtime.checkpoint import Fenced, Mark
from journal.runtime.subscription import BATCH, Subscription, run_once
from journal.store import every_project

if TYPE_CHECKING:
    from journal.runtime.projection import Projection

_VERIFY_ATTEMPTS = 5
_POLL_S = 0.05


class RebuildUnderWay(JournalError):
    """Another process rebuilds the projection."""

    def __init__(self, projection: str) -> None:
        self.projection = projection
        super().__init__(f"{projection} is being rebuilt already; `nagare projections` shows how far it is")


class StillMoving(JournalError):
    """The read model moved on each time it was to be compared."""

    def __init__(self, projection: str) -> None:
        self.projection = projection
        super().__init__(
            f"{projection} changed during each of {_VERIFY_ATTEMPTS} comparisons; try when less is written"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Building:
    """A generation that is being built, and who builds it."""

    projection: Projection
    generation: int
    token: int
    batch: int = BATCH

    @property
    def name(self) -> str:
        """The name of its checkpoint."""
        return building_name(self.projection.name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Whether a read model equals a rebuild of it, both at `position`, by the digests of their rows."""

    name: str
    position: int
    live: str
    rebuilt: str

    @property
    def agrees(self) -> bool:
        """Whether they are the same."""
        return self.live == self.rebuilt


def building_name(projection: str) -> str:
    """Return the name of the checkpoint of the generation that is built beside a projection's live one."""
    return f"{projection}#building"


def lease_name(projection: str) -> str:
    """Return the lease that whoever rebuilds a projection holds."""
    return f"rebuild:{projection}"


@contextmanager
def sole(projection: Projection) -> Iterator[lease.Term]:
    """Be the only one who rebuilds a projection. One that died just now is waited for until its lease expires.

    Raises:
        RebuildUnderWay: another process does.
    """
    deadline = time.monotonic() + 2 * lease.TTL.total_seconds()
    while True:
        with lease.guard(lease_name(projection.name)) as term:
            if term is not None:
                yield term
                return
        if time.monotonic() > deadline:
            raise RebuildUnderWay(projection.name)
        time.sleep(_POLL_S)


def begin(projection: Projection, *, term: lease.Term, resume: int | None = None, batch: int = BATCH) -> Building:
    """Go on with generation `resume` where it is still there and this code began it; else begin a new one.

    A new generation has the number of the lease's token, which is never given twice. What other rebuilds left goes.
    """
    live = checkpoint.read(projection.name, code_version=projection.code_version)
    name = building_name(projection.name)
    mark = checkpoint.peek(name)
    if mark is None or mark.generation != resume or mark.code_version != projection.code_version:
        Checkpoint.objects.filter(name=name).delete()
        ParkedEvent.objects.filter(subscription=name).delete()
        generation = max(term.token, live.generation + 1)
        projection.discard(below=generation, keep={live.generation})
        mark = Mark(name=name, generation=generation, code_version=projection.code_version)
    checkpoint.take(name, token=term.token, code_version=mark.code_version, generation=mark.generation)
    return Building(projection=projection, generation=mark.generation, token=term.token, batch=batch)


def _unwatched(position: int, head: int) -> None:
    del position, head


def build(building: Building, *, on_progress: Callable[[int, int], None] = _unwatched, until: int | None = None) -> int:
    """Handle events until less than a batch is missing, or up to position `until`. Returns how many.

    `on_progress` is told position and head after each batch; what it raises ends the building, and nothing is lost.

    Raises:
        HandlingStopped: an event failed that the live read model could handle.
    """
    handled = 0
    while True:
        position = _ours(building).position
        step = _subscription(building, batch=_left(building, position, until))
        done = run_once(step, token=building.token) if step.batch else None
        if done is None:
            return handled
        handled += done.events
        on_progress(done.position, until or every_project().head())
        if done.is_at_head:
            return handled


def swap(building: Building, *, also: Callable[[], None] = lambda: None) -> int:
    """Make the built generation the live one. `also` runs in the same transaction. Returns how many events were left.

    Raises:
        Fenced: another process has taken the rebuild over; nothing has changed.
    """
    live_name = building.projection.name
    with transaction.atomic():
        live = Checkpoint.objects.select_for_update().get(name=live_name)
        handled = build(building, until=live.position)  # so that no page goes back in time
        mark = _ours(building)
        parked.inherit(live_name, source=building.name)
        Checkpoint.objects.filter(name=building.name).delete()
        Checkpoint.objects.filter(name=live_name).update(
            position=mark.position, generation=mark.generation, code_version=mark.code_version, updated_at=Now()
        )
        also()
    return handled


def discard_old(projection: Projection) -> None:
    """Delete the rows that were live before a swap."""
    live = checkpoint.read(projection.name).generation
    projection.discard(below=live, keep=())


def verify(projection: Projection) -> Verdict:
    """Build the read model beside the live one and compare the two; the live one is not touched.

    Raises:
        RebuildUnderWay: another process rebuilds it.
        StillMoving: the live one did not stand still for as long as reading both takes.
    """
    with sole(projection) as term:
        building = begin(projection, term=term)
        try:
            return _compared(projection, building)
        finally:
            abandon(building)


def abandon(building: Building) -> None:
    """Remove a generation that is not to become live."""
    Checkpoint.objects.filter(name=building.name, token=building.token).delete()
    ParkedEvent.objects.filter(subscription=building.name).delete()
    live = checkpoint.read(building.projection.name).generation
    building.projection.discard(below=building.generation + 1, keep={live})


def _compared(projection: Projection, building: Building) -> Verdict:
    for _ in range(_VERIFY_ATTEMPTS):
        before = checkpoint.read(projection.name)
        build(building, until=before.position)
        live = projection.digest(generation=before.generation)
        rebuilt = projection.digest(generation=building.generation)
        if checkpoint.read(projection.name) == before:
            return Verdict(name=projection.name, position=before.position, live=live, rebuilt=rebuilt)
    raise StillMoving(projection.name)


def _ours(building: Building) -> Mark:
    """Return where the building stands. Raises `Fenced` where another process has taken it over or removed it."""
    mark = checkpoint.peek(building.name)
    if mark is None or (mark.generation, mark.token) != (building.generation, building.token):
        raise Fenced(building.name)
    return mark


def _left(building: Building, after: int, until: int | None) -> int:
    """Return how many events the next step may take so that it does not pass `until`."""
    if until is None:
        return building.batch
    return sum(1 for event in every_project().read_all(after=after, limit=building.batch) if event.position <= until)


def _subscription(building: Building, *, batch: int) -> Subscription:
    return Subscription(
        name=building.name,
        handle=partial(building.projection.handle, generation=building.generation),
        batch=batch,
        policy=partial(_known, building.projection.name),
        generation=building.generation,
    )


def _known(live_name: str, event: RecordedEvent) -> bool:
    """A rebuild stops at an event it cannot handle, unless the live read model could not either."""
    return parked.is_parked(live_name, event)

"""Projections: read models that follow the journal by a checkpoint, in one transaction with it.

A projection registers itself when its app's module `projections` is loaded. `catch_up` may run in several processes at
once: the checkpoint moves on by compare-and-set inside the read model's own transaction, so one of them wins each
batch and the other's work on it is rolled back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, TypeVar

from django.db import transaction

from journal.domain.event import RecordedEvent
from journal.models import Checkpoint
from journal.store import every_project

BATCH = 500
"""Events handled in one transaction."""


class Projection(Protocol):
    """A handler and the tables it fills. `code_version` rises when the same events would fill them otherwise."""

    name: str
    code_version: int

    def handle(self, events: Sequence[RecordedEvent]) -> None:
        """Take the next events in, in position order, inside the caller's transaction."""

    def reset(self) -> None:
        """Empty the read model, inside the caller's transaction."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Where a projection stands: its checkpoint, the journal's head, and how many events this call handled."""

    name: str
    position: int
    head: int
    handled: int = 0


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


def catch_up(projection: Projection, *, most: int | None = None) -> Progress:
    """Handle the events past the checkpoint, up to `most` of them, and say where that led.

    A read model that other code made is emptied and filled again.
    """
    _renew_if_stale(projection)
    handled = 0
    while most is None or handled < most:
        step = _step(projection)
        if step == 0:
            break
        handled += max(step, 0)
    return progress(projection, handled)


def catch_up_all() -> list[Progress]:
    """Catch every projection up."""
    return [catch_up(projection) for projection in registered()]


def rebuild(projection: Projection) -> Progress:
    """Empty the read model and fill it again from the journal."""
    with transaction.atomic():
        projection.reset()
        Checkpoint.objects.update_or_create(
            name=projection.name, defaults={"position": 0, "code_version": projection.code_version}
        )
    return catch_up(projection)


def progress(projection: Projection, handled: int = 0) -> Progress:
    """Return where a projection stands now."""
    row = Checkpoint.objects.filter(name=projection.name).first()
    return Progress(
        name=projection.name, position=row.position if row else 0, head=every_project().head(), handled=handled
    )


def _renew_if_stale(projection: Projection) -> None:
    row = Checkpoint.objects.filter(name=projection.name).first()
    if row is not None and row.code_version != projection.code_version:
        with transaction.atomic():
            projection.reset()
            row.position, row.code_version = 0, projection.code_version
            row.save()


def _step(projection: Projection) -> int:
    """Handle one batch. Returns how many events, 0 at the head, -1 where another process was first."""
    with transaction.atomic():
        row, _ = Checkpoint.objects.get_or_create(
            name=projection.name, defaults={"code_version": projection.code_version}
        )
        events = list(islice(every_project().read_all(after=row.position, limit=BATCH), BATCH))
        if not events:
            return 0
        projection.handle(events)
        moved = Checkpoint.objects.filter(name=projection.name, position=row.position).update(
            position=events[-1].position
        )
        if moved:
            return len(events)
        transaction.set_rollback(True)
    return -1

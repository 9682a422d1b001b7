"""A small aggregate of the tests' own: doors that open for everyone but Eve."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from journal.domain import aggregate as aggregates
from journal.domain import decider
from journal.domain.aggregate import aggregate
from journal.domain.catalog import catalog
from journal.domain.decider import decides
from journal.domain.plain_aggregate import PlainAggregate
from journal.errors import CommandRejected


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A door opened."""

    by: str


class Lossy(msgspec.Struct, frozen=True, kw_only=True):
    """An event that is another one when it is read back."""

    value: Any


class Door(PlainAggregate):
    """The state of a door."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.opened_by: list[str] = []
        self.note: dict[str, str] = {}

    def evolve(self, event: Any) -> None:
        """Take the next event in."""
        if isinstance(event, Opened):
            self.opened_by.append(event.by)
            self.note = {"last": event.by} if event.by != "nobody" else {}


def decide(door: Door, command: str) -> list[msgspec.Struct]:
    """Open for everyone but Eve; misbehave on request."""
    if command == "spoil":
        door.opened_by.append("spoiler")
        return []
    if command == "Eve":
        raise CommandRejected("not for Eve")
    return [Opened(by=command)] if command else []


@contextmanager
def doors() -> Iterator[None]:
    """Register doors for a while: the process's registries are as before after it."""
    patch = pytest.MonkeyPatch()
    for owner, name in ((catalog, "_structs"), (catalog, "_names"), (catalog, "_decoders")):
        patch.setattr(owner, name, dict(getattr(owner, name)))
    patch.setattr(aggregates, "_initial", dict(aggregates._initial))
    patch.setattr(decider, "_deciders", dict(decider._deciders))
    catalog.event("door.opened")(Opened)
    catalog.event("door.lossy")(Lossy)
    aggregate("door")(Door)
    decides("door")(decide)
    try:
        yield
    finally:
        patch.undo()

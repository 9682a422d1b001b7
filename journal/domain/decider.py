"""Commands to events: the deciding half of an aggregate. A decision is a pure function of the state and a command.

What a category's commands are decided by stands in one registry, beside its state's (`journal.domain.aggregate`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec

from journal.domain import codec
from journal.domain.aggregate import State
from journal.domain.catalog import catalog
from journal.domain.event import EventData, Metadata
from journal.domain.stream import category
from journal.errors import CommandRejected

Decide = Callable[[Any, Any], Iterable[msgspec.Struct]]
"""State and command to events, none where the command changes nothing. Raises `CommandRejected` to say no."""

D = TypeVar("D", bound=Decide)
_deciders: dict[str, Decide] = {}


def decides(name: str) -> Callable[[D], D]:
    """Register the decorated function as what decides the commands of streams of category `name`."""

    def register(decide: D) -> D:
        _deciders[name] = decide
        return decide

    return register


def decided(state: State, stream: str, command: object) -> list[msgspec.Struct]:
    """Return the events that a command leads to.

    Raises:
        CommandRejected: the aggregate says no, or nobody decides commands of its category.
    """
    decide = _deciders.get(category(stream))
    if decide is None:
        reason = f"no installed app decides commands of category {category(stream)!r}"
        raise CommandRejected(reason, stream=stream, command=type(command).__name__)
    try:
        return list(decide(state, command))
    except CommandRejected as rejected:
        rejected.concerns(stream=stream, command=type(command).__name__)
        raise


def to_append(event: msgspec.Struct, metadata: Metadata, *, event_id: str | None = None) -> EventData:
    """Return a registered Struct as an event to append, at its newest schema."""
    name = catalog.name_of(type(event))
    return EventData(
        id=event_id,
        type=name,
        schema=catalog.schema_of(name) or 1,
        data=codec.encode(event),
        metadata=codec.encode(metadata),
    )

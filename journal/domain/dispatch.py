"""Dispatches: what an event sets off outside its stream, under ids that a second attempt derives again.

Derivation of a dispatch id: UUIDv5 (RFC 9562) in the namespace `NAMESPACE` of the UTF-8 text of the JSON array
``[project, event id, effect, target]``, without spaces, characters outside ASCII as themselves. JSON keeps the four
parts apart whatever they contain. The same event asking for the same effect on the same target is the same dispatch,
on every database, after every restart; the payload has no say in it.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid5

import msgspec

from journal.domain.event import EventData
from journal.errors import PayloadRefused

NAMESPACE: Final = UUID("6d3e1f0a-52c4-5a7e-9b1d-8f0c2a4e7b90")
"""The namespace of dispatch ids. Changing it would make every dispatch a new one."""

RING_SIZE: Final = 512
NEARLY_FULL: Final = 0.9


def dispatch_id(project: str, event_id: str, effect: str, target: str) -> UUID:
    """Return the id of the dispatch that an event asks for. See the module for the derivation."""
    name = json.dumps([project, event_id, effect, target], ensure_ascii=False, separators=(",", ":"))
    return uuid5(NAMESPACE, name)


def answer_id(dispatch: str, part: str = "") -> str:
    """Return the id of the event with which a receiver answers a dispatch: a second delivery finds it stored."""
    return str(uuid5(UUID(dispatch), part))


class NewDispatch(msgspec.Struct, frozen=True, kw_only=True):
    """A dispatch to be written in the transaction of the append that asks for it.

    `of` is the place of the asking event in the append, the last by default. `payload` is a JSON object; it names
    things rather than holding copies of them. `due_at` None is at once.
    """

    effect: str
    target: str
    payload: bytes = b"{}"
    of: int = -1
    due_at: datetime | None = None


class DispatchRow(msgspec.Struct, frozen=True, kw_only=True):
    """A dispatch as it is stored. Times are microseconds since 1970, as in the events' table."""

    id: str
    project: str
    event_id: str
    effect: str
    target: str
    payload: bytes
    due_us: int
    created_us: int


def resolved(
    project: str, events: Sequence[EventData], dispatches: Iterable[NewDispatch], *, now_us: int
) -> list[DispatchRow]:
    """Return the rows of an append's dispatches; `events` have their ids.

    Raises:
        PayloadRefused: two of them would have the same id, or one names an event that is not in the append.
    """
    rows: dict[str, DispatchRow] = {}
    for dispatch in dispatches:
        row = _row(project, events, dispatch, now_us)
        if row.id in rows:
            raise PayloadRefused(
                what=f"dispatch {dispatch.effect!r} to {dispatch.target!r}",
                reason="the same event asks for it twice, so both would have one id",
                way_out="make the target say what differs",
            )
        rows[row.id] = row
    return list(rows.values())


def _row(project: str, events: Sequence[EventData], dispatch: NewDispatch, now_us: int) -> DispatchRow:
    try:
        event_id = str(events[dispatch.of].id)
    except IndexError as error:
        raise PayloadRefused(
            what=f"dispatch {dispatch.effect!r} to {dispatch.target!r}",
            reason=f"the append has {len(events)} events, none at {dispatch.of}",
            way_out="dispatch with the event that asks for it",
        ) from error
    return DispatchRow(
        id=str(dispatch_id(project, event_id, dispatch.effect, dispatch.target)),
        project=project,
        event_id=event_id,
        effect=dispatch.effect,
        target=dispatch.target,
        payload=dispatch.payload,
        due_us=int(dispatch.due_at.timestamp() * 1_000_000) if dispatch.due_at else now_us,
        created_us=now_us,
    )


class DedupeRing:
    """The ids a receiver saw last, at most `size`: least recently seen ids make room.

    It is part of an event-sourced state: fold `add` and `hit` from events, and it is the same after a restart; write
    `to_json` into a snapshot, and it is the same after that. An id that left the ring is no longer known to it, so a
    receiver derives the id of its answer from the dispatch as well (`answer_id`), and the store finds that.
    """

    def __init__(self, size: int = RING_SIZE) -> None:
        if size < 1:
            raise ValueError(f"a ring of {size} ids remembers nothing; give it one place or more")
        self.size = size
        self.hits = 0
        self.misses = 0
        self.evicted = 0
        self._seen: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def seen(self, dispatch: str) -> bool:
        """Return whether the id is in the ring. Asking changes nothing: only what is recorded in events does."""
        return dispatch in self._seen

    def add(self, dispatch: str) -> None:
        """Take in the id of a dispatch that was handled."""
        self.misses += 1
        self._seen[dispatch] = None
        self._seen.move_to_end(dispatch)
        if len(self._seen) > self.size:
            self._seen.popitem(last=False)
            self.evicted += 1

    def hit(self, dispatch: str) -> None:
        """Count a redelivery, and keep its id longer: what came twice may come again."""
        self.hits += 1
        if dispatch in self._seen:
            self._seen.move_to_end(dispatch)

    @property
    def hit_rate(self) -> float:
        """The share of deliveries that were redeliveries; 0 before the first."""
        total = self.hits + self.misses
        return self.hits / total if total else 0.0

    @property
    def is_nearly_full(self) -> bool:
        """Whether nine in ten places are taken: soon, or already, every new id makes an old one forgotten."""
        return len(self._seen) >= NEARLY_FULL * self.size

    def fork(self) -> DedupeRing:
        """Return an equal ring that changes on its own."""
        twin = DedupeRing(self.size)
        twin.hits, twin.misses, twin.evicted = self.hits, self.misses, self.evicted
        twin._seen = self._seen.copy()
        return twin

    def to_json(self) -> dict[str, Any]:
        """Return everything the ring is, oldest id first."""
        return {
            "size": self.size,
            "ids": list(self._seen),
            "hits": self.hits,
            "misses": self.misses,
            "evicted": self.evicted,
        }

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> DedupeRing:
        """Return the ring that `to_json` described."""
        ring = cls(kept["size"])
        ring.hits, ring.misses, ring.evicted = kept["hits"], kept["misses"], kept["evicted"]
        ring._seen = OrderedDict.fromkeys(kept["ids"])
        return ring

    def figures(self) -> dict[str, Any]:
        """Return what a page shows of it."""
        return {
            "size": self.size,
            "used": len(self._seen),
            "hit_rate": round(self.hit_rate, 4),
            "is_nearly_full": self.is_nearly_full,
            "evicted": self.evicted,
        }

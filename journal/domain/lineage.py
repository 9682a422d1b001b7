"""Causes and effects: what an event says of its causes, and walks over many such links.

An event may have several causes, of several kinds, recorded by the source or inferred on import. The walks are pure:
they are given the links and return the nodes in reach, what was missing, and whether a bound cut them short.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from journal.domain.event import Cause, CauseKind, RecordedEvent

_DIRECT_KIND: Final[dict[str, CauseKind]] = {
    "agent_run.reasoned": "answers",
    "agent_run.answered": "answers",
    "agent_run.started": "spawned",
}


class CausalLink(msgspec.Struct, frozen=True, kw_only=True):
    """One link from a cause to its effect, both by event id."""

    cause: str
    effect: str
    kind: CauseKind
    certainty: str


class Walk(msgspec.Struct, frozen=True, kw_only=True):
    """What a walk found: event ids with their distance, the links among them, and causes nobody has.

    `broken` are the links that lead to those causes. `cut` says that the bound was reached and more would follow.
    """

    depths: dict[str, int]
    links: tuple[CausalLink, ...]
    missing: tuple[str, ...] = ()
    broken: tuple[CausalLink, ...] = ()
    cut: bool = False


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """What stands around one event: its nearest causes and effects, and what hangs on it directly.

    `links` are the causes of the `nearest` ancestors, `below` the effects of the nearest descendants where they were
    asked for; of `effects` and `siblings` (other effects of its direct cause) there are the first few. Totals stop at a
    bound: one past it says "more". `missing` are causes that are named and that the journal does not hold; `read_until`
    is the position up to which links are known at all, and `is_cut` says that not every link of the nearest was read.
    """

    event: str
    links: tuple[CausalLink, ...] = ()
    effects: tuple[CausalLink, ...] = ()
    siblings: tuple[CausalLink, ...] = ()
    below: tuple[CausalLink, ...] = ()
    nearest: frozenset[str] = frozenset()
    nearest_below: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    reach: int = 0
    reach_below: int | None = None
    effect_count: int = 0
    sibling_count: int = 0
    read_until: int = 0
    is_cut: bool = False

    @property
    def ids(self) -> frozenset[str]:
        """Return every event id that a link names."""
        return frozenset(
            name
            for link in (*self.links, *self.effects, *self.siblings, *self.below)
            for name in (link.cause, link.effect)
        )


def causes_of(event: RecordedEvent) -> tuple[Cause, ...]:
    """Return every cause of an event, the direct one first.

    Its kind is the one `causes` gives it where it is named there too, else what the event's type tells.
    """
    meta = event.meta
    if meta.causation_id is None:
        return meta.causes
    named = next((cause for cause in meta.causes if cause.id == meta.causation_id), None)
    direct = named or Cause(id=meta.causation_id, kind=_DIRECT_KIND.get(event.type, "triggered"))
    return direct, *(cause for cause in meta.causes if cause.id != meta.causation_id)


def links_of(event: RecordedEvent) -> tuple[CausalLink, ...]:
    """Return the links that lead to an event."""
    return tuple(
        CausalLink(cause=cause.id, effect=event.id, kind=cause.kind, certainty=cause.certainty)
        for cause in causes_of(event)
    )


def ancestors(target: str, links: Iterable[CausalLink], *, present: frozenset[str], most: int) -> Walk:
    """Walk from an event up to its roots, nearest first, over at most `most` events.

    `present` are the ids the journal holds: a cause outside it is `missing`, and the chain breaks off there.
    """
    return spread_over([target], links, present=present, most=most, upwards=True)


def descendants(target: str, links: Iterable[CausalLink], *, present: frozenset[str], most: int) -> Walk:
    """Walk from an event down to its effects, nearest first, over at most `most` events."""
    return spread_over([target], links, present=present, most=most, upwards=False)


def spread_over(
    starts: Sequence[str], links: Iterable[CausalLink], *, present: frozenset[str], most: int, upwards: bool
) -> Walk:
    """Walk from some events at once, `upwards` to their causes, else down to their effects; each is at distance 0."""
    return _walk(starts, _grouped(links, by_effect=upwards), present, most, up=upwards)


def cycles(links: Iterable[CausalLink]) -> tuple[tuple[str, ...], ...]:
    """Return a shortest way round for each knot of events that lead to each other, from cause to effect.

    A journal keeps what it is told, so a source may name causes in a circle. Each event is in at most one knot.
    """
    after: dict[str, list[str]] = {}
    for link in links:
        after.setdefault(link.cause, []).append(link.effect)
    return tuple(_way_round(knot, after) for knot in _knots(after))


def _knots(after: Mapping[str, list[str]]) -> list[set[str]]:
    """Return the strongly connected events: those that come before each other. Kosaraju's two passes, no recursion."""
    before: dict[str, list[str]] = {}
    for cause, effects in after.items():
        for effect in effects:
            before.setdefault(effect, []).append(cause)
    seen: set[str] = set()
    finished = [name for start in after for name in _finishing(start, after, seen)]
    done: set[str] = set()
    knots = []
    for start in reversed(finished):
        knot = set(_finishing(start, before, done))
        if len(knot) > 1 or (knot and start in after.get(start, ())):
            knots.append(knot)
    return knots


def _finishing(start: str, after: Mapping[str, list[str]], seen: set[str]) -> list[str]:
    """Return what is in reach and was not seen, each behind all that it leads to."""
    if start in seen:
        return []
    seen.add(start)
    found, trail = [], [(start, iter(after.get(start, ())))]
    while trail:
        at, others = trail[-1]
        fresh = next((other for other in others if other not in seen), None)
        if fresh is None:
            found.append(at)
            trail.pop()
        else:
            seen.add(fresh)
            trail.append((fresh, iter(after.get(fresh, ()))))
    return found


def _way_round(knot: set[str], after: Mapping[str, list[str]]) -> tuple[str, ...]:
    """Return a shortest way from the first event of a knot back to it."""
    first = next(name for name in after if name in knot)
    came_from: dict[str, str] = {}
    waiting = deque([first])
    while first not in came_from:
        at = waiting.popleft()
        for other in after.get(at, ()):
            if other in knot and other not in came_from:
                came_from[other] = at
                waiting.append(other)
    way = [came_from[first]]
    while way[-1] != first:
        way.append(came_from[way[-1]])
    return tuple(reversed(way))


def _grouped(links: Iterable[CausalLink], *, by_effect: bool) -> dict[str, list[CausalLink]]:
    grouped: dict[str, list[CausalLink]] = {}
    for link in links:
        grouped.setdefault(link.effect if by_effect else link.cause, []).append(link)
    return grouped


def _walk(
    starts: Sequence[str], links: Mapping[str, list[CausalLink]], present: frozenset[str], most: int, *, up: bool
) -> Walk:
    depths: dict[str, int] = dict.fromkeys(starts[:most], 0)
    found, broken, cut = [], [], len(depths) < len(set(starts))
    waiting = deque(depths)
    while waiting:
        at = waiting.popleft()
        for link in links.get(at, ()):
            other = link.cause if up else link.effect
            if other not in present:
                broken.append(link)
                continue
            if other not in depths:
                if len(depths) >= most:
                    cut = True
                    continue
                depths[other] = depths[at] + 1
                waiting.append(other)
            found.append(link)
    missing = tuple(dict.fromkeys(link.cause if up else link.effect for link in broken))
    return Walk(depths=depths, links=tuple(found), missing=missing, broken=tuple(broken), cut=cut)

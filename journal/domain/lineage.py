"""Causes and effects: what an event says of its causes, and walks over many such links.

An event may have several causes, of several kinds, recorded by the source or inferred on import. The walks are pure:
they are given the links and return the nodes in reach, what was missing, and whether a bound cut them short.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
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

    `cut` says that the bound was reached and more would follow.
    """

    depths: dict[str, int]
    links: tuple[CausalLink, ...]
    missing: tuple[str, ...] = ()
    cut: bool = False


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
    return _walk(target, _grouped(links, by_effect=True), present, most, up=True)


def descendants(target: str, links: Iterable[CausalLink], *, present: frozenset[str], most: int) -> Walk:
    """Walk from an event down to its effects, nearest first, over at most `most` events."""
    return _walk(target, _grouped(links, by_effect=False), present, most, up=False)


def _grouped(links: Iterable[CausalLink], *, by_effect: bool) -> dict[str, list[CausalLink]]:
    grouped: dict[str, list[CausalLink]] = {}
    for link in links:
        grouped.setdefault(link.effect if by_effect else link.cause, []).append(link)
    return grouped


def _walk(target: str, links: Mapping[str, list[CausalLink]], present: frozenset[str], most: int, *, up: bool) -> Walk:
    depths, found, missing, cut = {target: 0}, [], [], False
    waiting = deque([target])
    while waiting:
        at = waiting.popleft()
        for link in links.get(at, ()):
            other = link.cause if up else link.effect
            if other not in present:
                missing.append(other)
                continue
            if other not in depths:
                if len(depths) >= most:
                    cut = True
                    continue
                depths[other] = depths[at] + 1
                waiting.append(other)
            found.append(link)
    return Walk(depths=depths, links=tuple(found), missing=tuple(dict.fromkeys(missing)), cut=cut)

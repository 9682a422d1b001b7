"""What led to an event and what it led to, from the links the projection keeps: two queries, bounded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec
from django.db import connection

from explorer.layout import Arc, Graph, cause_graph
from explorer.models import PROJECTION, EventLine, RunSummary
from journal.domain.lineage import CausalLink, Walk, ancestors
from journal.runtime.read_model import live_generation_sql

MOST: Final = 60
"""Nodes of the graph, the event itself included."""

_MOST_EFFECTS: Final = 12
_CHAIN: Final = 5
_WORDS: Final = 4

# UNION (not UNION ALL) visits each event once, in the order it is met: nearest first. The limit stands right at
# the recursion, which SQLite and PostgreSQL then end early. It begins at a column, which has the type that PostgreSQL
# asks for. Effects are the direct ones only.
_LIVE: Final = f"generation = {live_generation_sql(PROJECTION)}"
_LINKS: Final = f"""
WITH RECURSIVE up(id) AS (
    SELECT effect FROM explorer_causelink WHERE effect = %s AND project = %s
    UNION
    SELECT link.cause FROM explorer_causelink link JOIN up ON link.effect = up.id
    WHERE link.{_LIVE} AND link.project = %s
)
SELECT link.cause, link.effect, link.kind, link.certainty, 1
FROM explorer_causelink link JOIN (SELECT id FROM up LIMIT %s) AS near ON link.effect = near.id
WHERE link.{_LIVE} AND link.project = %s
UNION ALL
SELECT * FROM (
    SELECT cause, effect, kind, certainty, 0 FROM explorer_causelink WHERE {_LIVE} AND project = %s AND cause = %s
    ORDER BY id LIMIT %s
) AS effects
"""  # noqa: S608 - constants


@dataclass(frozen=True, kw_only=True, slots=True)
class Links:
    """The links around an event: those on the way up, and those to its direct effects."""

    event: str
    up: tuple[CausalLink, ...]
    down: tuple[CausalLink, ...]
    is_cut: bool

    @property
    def ids(self) -> frozenset[str]:
        """Return every event id that a link names."""
        return frozenset(name for link in (*self.up, *self.down) for name in (link.cause, link.effect))


@dataclass(frozen=True, kw_only=True, slots=True)
class CauseRow:
    """One event of the graph with its links in words. `stream` is empty where it is in the run itself."""

    line: EventLine
    words: str
    is_cursor: bool
    is_effect: bool
    stream: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ChainStep:
    """One event of a chain, in a word or two."""

    line: EventLine
    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Chain:
    """One way from the cursor up to where it begins, oldest first, for one line of text."""

    steps: tuple[ChainStep, ...]
    ancestors: int
    inferred: int
    links: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Causes:
    """The causes and direct effects of an event. `before` are this run's ancestors by version."""

    rows: tuple[CauseRow, ...]
    graph: Graph
    chain: Chain
    before: tuple[int, ...]
    effects: int
    next_effect: EventLine | None
    next_cause: EventLine | None
    is_broken: bool
    is_cut: bool


def links_of(project: str, event_id: str) -> Links:
    """Return the links that lead to an event over at most `MOST` events, and the links to its direct effects."""
    values: list[str | int] = [event_id, project, project, MOST + 1, project, project, event_id, _MOST_EFFECTS + 1]
    with connection.cursor() as cursor:
        cursor.execute(_LINKS, values)
        found = cursor.fetchall()
    up = tuple(_link(row) for row in found if row[4])
    down = tuple(_link(row) for row in found if not row[4])
    seen = {event_id} | {link.cause for link in up}
    return Links(event=event_id, up=up, down=down, is_cut=len(seen) > MOST)


def _link(row: Sequence[str]) -> CausalLink:
    return CausalLink(cause=row[0], effect=row[1], kind=row[2], certainty=row[3])  # type: ignore[arg-type]


def causes_of(run: RunSummary, line: EventLine, links: Links, lines: Sequence[EventLine]) -> Causes:
    """Put the graph together from links and the events they name, which may be of other runs."""
    by_id = {known.event_id: known for known in lines} | {line.event_id: line}
    links = _folded(links, line, by_id)
    walk = ancestors(line.event_id, links.up, present=frozenset(by_id), most=MOST)
    above = sorted((by_id[name] for name in walk.depths if name != line.event_id), key=lambda known: known.position)
    below = _effects(line, links, by_id)
    ordered = [*above, line, *below]
    at = {known.event_id: place for place, known in enumerate(ordered)}
    shown = (*walk.links, *(link for link in links.down if link.effect in at))
    broken = [place for place, known in enumerate(ordered[: len(above) + 1]) if _is_broken(known, walk)]
    graph = cause_graph(
        [known.kind for known in ordered],
        [Arc(cause=at[link.cause], effect=at[link.effect], kind=link.kind, certainty=link.certainty) for link in shown],
        cursor=len(above),
        broken=broken,
    )
    rows = tuple(
        CauseRow(
            line=known,
            words=_words(known, shown, by_id, broken=place in broken),
            is_cursor=place == len(above),
            is_effect=place > len(above),
            stream="" if known.run_id == run.pk else known.run.stream,
        )
        for place, known in enumerate(ordered)
    )
    own = tuple(known.version for known in above if known.run_id == run.pk)
    return Causes(
        rows=rows,
        graph=graph,
        chain=_chain(line, walk, by_id),
        before=own,
        effects=len(links.down),
        next_effect=below[0] if below else None,
        next_cause=_nearest(line, walk, by_id),
        is_broken=bool(broken),
        is_cut=links.is_cut or walk.cut,
    )


def _folded(links: Links, line: EventLine, by_id: dict[str, EventLine]) -> Links:
    """Let a response stand for the request that it answers, as in the list; the cursor's own event stays itself."""
    places = {(known.run_id, known.version): name for name, known in by_id.items()}
    stands_for = {
        name: places[known.run_id, known.folded_into]
        for name, known in by_id.items()
        if known.folded_into and known is not line and (known.run_id, known.folded_into) in places
    }
    if not stands_for:
        return links
    up, down = (tuple(_joined(some, stands_for)) for some in (links.up, links.down))
    return replace(links, up=up, down=down)


def _joined(links: Iterable[CausalLink], stands_for: dict[str, str]) -> Iterator[CausalLink]:
    for link in links:
        cause, effect = stands_for.get(link.cause, link.cause), stands_for.get(link.effect, link.effect)
        if cause != effect:
            yield msgspec.structs.replace(link, cause=cause, effect=effect)


def _effects(line: EventLine, links: Links, by_id: dict[str, EventLine]) -> list[EventLine]:
    found = {link.effect: by_id[link.effect] for link in links.down if link.effect in by_id}
    found.pop(line.event_id, None)
    return sorted(found.values(), key=lambda known: known.position)[:_MOST_EFFECTS]


def _is_broken(known: EventLine, walk: Walk) -> bool:
    """A run begins somewhere, and so does any other stream; else what has no cause is where the record breaks off."""
    begins = known.kind == "started" or (known.kind == "event" and known.version == 1)
    return not begins and not any(link.effect == known.event_id for link in walk.links)


def _words(known: EventLine, links: Sequence[CausalLink], by_id: dict[str, EventLine], *, broken: bool) -> str:
    parts = []
    own = [link for link in links if link.effect == known.event_id and link.cause in by_id]
    for link in sorted(own, key=lambda link: (by_id[link.cause].position, link.kind)):
        verb = {"read": "reads", "quoted": "quotes", "answers": "answers"}.get(link.kind, f"{link.kind} by")
        inferred = " (inferred)" if link.certainty == "inferred" else ""
        parts.append(f"{verb} {by_id[link.cause].version}{inferred}")
    if parts:
        shown = ", ".join(parts[:_WORDS])
        return f"{shown} and {len(parts) - _WORDS} more" if len(parts) > _WORDS else shown
    if broken:
        return "no causation id recorded"
    return "the run begins here" if known.kind == "started" else "the stream begins here"


def _nearest(line: EventLine, walk: Walk, by_id: dict[str, EventLine]) -> EventLine | None:
    """Return the cause to walk to: the recorded direct one before a reading, a reading before a guess."""
    direct = [link for link in walk.links if link.effect == line.event_id]
    if not direct:
        return None
    return by_id[min(direct, key=lambda link: _distance(link, by_id)).cause]


def _distance(link: CausalLink, by_id: dict[str, EventLine]) -> tuple[bool, bool, int]:
    return (link.kind in ("read", "quoted"), link.certainty == "inferred", -by_id[link.cause].position)


def _chain(line: EventLine, walk: Walk, by_id: dict[str, EventLine]) -> Chain:
    way, at = [line], line
    while (cause := _nearest(at, walk, by_id)) is not None and cause not in way:
        way.append(cause)
        at = cause
    shown = way[::-1]
    if len(shown) > _CHAIN:
        shown = [shown[0], *shown[-(_CHAIN - 1) :]]
    return Chain(
        steps=tuple(ChainStep(line=known, words=_briefly(known)) for known in shown),
        ancestors=len(walk.depths) - 1,
        links=len(walk.links),
        inferred=sum(link.certainty == "inferred" for link in walk.links),
    )


def _briefly(line: EventLine) -> str:
    match line.kind:
        case "reasoned":
            return f"call {line.tool}"
        case "tool_returned":
            return f"{line.tool} result"
        case "tool_failed":
            return f"{line.tool} failed"
        case "model_called" | "model_responded":
            return "model"
        case "message_received":
            return "message"
        case _:
            return line.title

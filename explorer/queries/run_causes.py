"""What led to an event and what it led to: the nearest causes, its effects, and the other effects of its cause.

The links are the journal's (`journal.store.lineage`). They come with the cursor, in the query that finds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import msgspec
from django.db import connection

from explorer.cause_graph import Arc, Graph, draw, lane_of
from explorer.figures import counted
from explorer.models import EventLine, RunSummary
from explorer.queries.run_address import Address
from explorer.queries.run_cause_rows import CauseRow, Causes, Chain, ChainStep, Choice, Turn
from explorer.queries.run_cause_words import Reason, Told, begins, briefly, link_words, nearest
from explorer.queries.run_steps import Cursor
from journal.domain.lineage import CausalLink, Walk, ancestors, cycles, descendants
from journal.domain.stream import category
from journal.store import lineage

__all__ = ["CHOICES", "MOST", "Causes", "below", "causes_of", "chain_versions"]

MOST: Final = lineage.NEAREST
"""Nodes of the graph, the event itself included."""

CHOICES: Final = 9
"""Causes or effects that a key offers: one digit each."""

_CHAIN: Final = 5
_SIDES: Final = 9
_NOTHING: Final = "No causation id is recorded: nothing is known about what led to this event."
_CHAIN_VERSIONS: Final = """
SELECT CASE WHEN line.event_id = %s THEN line.version ELSE COALESCE(line.folded_into, line.version) END
FROM ({statement}) reach LEFT JOIN explorer_eventline line ON line.event_id = reach.id AND line.run_id = %s
"""


def below(address: Address) -> lineage.Below:
    """Return what has to be read of all that the event led to: how much it is, or its links where they are drawn."""
    if address.tab != "causes":
        return ""
    return "read" if address.dir == "forward" else "count"


def chain_versions(run: RunSummary, line: EventLine, *, most: int = lineage.COUNTED) -> tuple[tuple[int, ...], bool]:
    """Return the versions of this run that led to an event, its own last, and whether there are more of them.

    They are rows of the list: a model call is where its response is. One query, over the nearest `most` events of all
    runs.
    """
    statement = lineage.reach_sql(run.project, line.event_id, direction="up", most=most + 1)
    with connection.cursor() as cursor:
        cursor.execute(_CHAIN_VERSIONS.format(statement=statement.sql), [line.event_id, *statement.values, run.pk])
        found = [row[0] for row in cursor.fetchall()]
    return tuple(sorted({version for version in found if version is not None})), len(found) > most


# --- Putting together -------------------------------------------------------------------------------------------------


def causes_of(cursor: Cursor, address: Address) -> Causes:
    """Put the graph together from links and the events they name, which may be of other runs."""
    return _Panel(cursor, address).causes()


class _Panel:
    """Chooses what is drawn of what was read, and says what is not."""

    def __init__(self, cursor: Cursor, address: Address) -> None:
        self.run, self.line, self.around, self.address = cursor.run, cursor.line, cursor.around, address
        self.by_id = {known.event_id: known for known in cursor.lines} | {self.line.event_id: self.line}
        self.stands_for = self._folded()
        self.is_forward = below(address) == "read"
        self.links_up = tuple(self._joined(self.around.links))
        held = self.by_id.keys()
        name, near, below_it = self.line.event_id, self.around.nearest & held, self.around.nearest_below & held
        self.up = self._cut(ancestors(name, self.around.links, present=near, most=MOST))
        self.down = self._cut(descendants(name, self.around.below, present=below_it, most=MOST))

    def causes(self) -> Causes:
        """Return all of it."""
        above = self._lines(self.up)
        parts = self._downwards() if self.is_forward else self._upwards(above)
        ordered = [known for part in parts for known in part]
        told = self._told(ordered)
        reasons = self._reasons(ordered, told, len(parts[0]))
        back, forward = self._back(), self._forward()
        before = tuple(known.version for known in above if known.run_id == self.run.pk)
        return Causes(
            rows=self._rows(parts, told, reasons),
            graph=self._graph(parts, told, reasons),
            chain=self._chain(len(above)),
            before=before,
            effects=self.around.effect_count,
            turns=self._turns(self._total(len(above))),
            back=back,
            forward=forward,
            facts=self._facts(told, reasons, ordered),
            walk_on=self._walk_on(reasons, ordered),
            is_broken=any(reason.kind in ("none", "missing") for reason in reasons.values()),
            is_cut=self._is_cut,
        )

    # What is drawn

    @property
    def _is_cut(self) -> bool:
        return self.up.cut or self.around.is_cut or self.around.reach > len(self.up.depths) + len(self.up.missing) - 1

    @property
    def _depth(self) -> int:
        """Return how many links the tab goes; 0 is as many as are read."""
        return self.address.depth if self.address.tab == "causes" else 0

    def _cut(self, walk: Walk) -> Walk:
        """Keep of a walk what the address asks for."""
        depth = self._depth
        if not depth or max(walk.depths.values()) <= depth:
            return walk
        kept = {name: at for name, at in walk.depths.items() if at <= depth}
        links = tuple(link for link in walk.links if link.cause in kept and link.effect in kept)
        return Walk(depths=kept, links=links, missing=walk.missing, cut=True)

    def _lines(self, walk: Walk) -> list[EventLine]:
        """Return the events of a walk without the event itself, in the journal's order, a response for its request."""
        names = {self.stands_for.get(name, name) for name in walk.depths} - {self.line.event_id}
        return sorted((self.by_id[name] for name in names), key=lambda known: known.position)

    def _upwards(self, above: list[EventLine]) -> list[list[EventLine]]:
        """Return causes with the event, its effects, and its siblings."""
        if self.address.dir == "back":
            return [[*above, self.line], [], []]
        taken = {known.event_id for known in above} | {self.line.event_id}
        effects = self._named((link.effect for link in self.around.effects), taken)
        taken |= {known.event_id for known in effects}
        siblings = self._named((link.effect for link in self.around.siblings), taken)
        room = MOST - 1 - len(effects) - len(siblings)
        return [[*above[-room:], self.line], effects, siblings]

    def _downwards(self) -> list[list[EventLine]]:
        return [[self.line], self._lines(self.down), []]

    def _named(self, names: Iterable[str], but: set[str]) -> list[EventLine]:
        wanted = dict.fromkeys(self.stands_for.get(name, name) for name in names)
        found = [self.by_id[name] for name in wanted if name in self.by_id and name not in but]
        return sorted(found, key=lambda known: known.position)[:_SIDES]

    def _folded(self) -> dict[str, str]:
        """Let a response stand for the request that it answers, as in the list; the cursor's own event stays itself."""
        places = {(known.run_id, known.version): name for name, known in self.by_id.items()}
        return {
            name: places[known.run_id, known.folded_into]
            for name, known in self.by_id.items()
            if known.folded_into and known is not self.line and (known.run_id, known.folded_into) in places
        }

    def _joined(self, links: Iterable[CausalLink]) -> Iterator[CausalLink]:
        seen = set()
        for link in links:
            ends = self.stands_for.get(link.cause, link.cause), self.stands_for.get(link.effect, link.effect)
            joined = msgspec.structs.replace(link, cause=ends[0], effect=ends[1])
            if joined not in seen and (ends[0] != ends[1] or link.cause == link.effect):
                seen.add(joined)
                yield joined

    def _told(self, ordered: Sequence[EventLine]) -> Told:
        """Return the links among what is drawn, and those of its rows that lead out of it."""
        drawn = {known.event_id for known in ordered}
        around = self.around
        every = tuple(self._joined((*around.links, *around.effects, *around.siblings, *around.below)))
        return Told(
            links=tuple(link for link in every if link.cause in drawn and link.effect in drawn),
            outside=tuple(link for link in every if link.effect in drawn and link.cause not in drawn),
            by_id=self.by_id,
        )

    # What is said

    def _reasons(self, ordered: Sequence[EventLine], told: Told, causes: int) -> dict[int, Reason]:
        """Say for a row why a link of it is not drawn. Of effects only those upwards are known to be complete."""
        if self.is_forward:
            return told.cut_below(ordered, self._joined(self.around.below))
        return {
            at: reason
            for at, known in enumerate(ordered[:causes])
            if (reason := told.reason(known, self.around, is_begun=bool(begins(known)))) is not None
        }

    def _rows(
        self, parts: Sequence[Sequence[EventLine]], told: Told, reasons: dict[int, Reason]
    ) -> tuple[CauseRow, ...]:
        rows: list[CauseRow] = []
        for number, (part, heading) in enumerate(zip(parts, self._headings(parts), strict=True)):
            for at, known in enumerate(part):
                reason = reasons.get(len(rows))
                row = CauseRow(
                    line=known,
                    words=link_words(known, told, reason),
                    heading=heading if at == 0 else "",
                    is_cursor=known is self.line,
                    is_effect=number == 1,
                    is_sibling=number == 2,  # noqa: PLR2004 - the third part
                    is_broken=reason is not None,
                    stream="" if known.run_id == self.run.pk else known.run.stream,
                )
                rows.append(row)
        return tuple(rows)

    def _headings(self, parts: Sequence[Sequence[EventLine]]) -> tuple[str, str, str]:
        version, around = self.line.version, self.around
        if self.is_forward:
            return (
                "",
                f"Everything that {version} led to{_shown(len(self.down.depths) - 1, around.reach_below or 0)}",
                "",
            )
        of = next((self.by_id[link.cause].version for link in around.siblings if link.cause in self.by_id), "its cause")
        return (
            "",
            f"Direct effects of {version}{_shown(len(parts[1]), around.effect_count)}",
            f"Beside {version}: other effects of {of}{_shown(len(parts[2]), around.sibling_count)}",
        )

    def _graph(self, parts: Sequence[Sequence[EventLine]], told: Told, reasons: dict[int, Reason]) -> Graph:
        if self.address.tab != "causes":
            return draw([], [])
        ordered = [known for part in parts for known in part]
        at = {known.event_id: place for place, known in enumerate(ordered)}
        first, second = len(parts[0]), len(parts[0]) + len(parts[1])
        return draw(
            [lane_of(known.kind, category(known.run.stream)) for known in ordered],
            [Arc(cause=at[link.cause], effect=at[link.effect], kind=link.kind, certainty=link.certainty)
             for link in told.links],
            headings={place for place in (first, second) if place < len(ordered)},
            quiet=range(first, len(ordered)),
            stubs={place: reason.kind for place, reason in reasons.items()},
            downwards=self.is_forward,
        )  # fmt: skip

    def _facts(self, told: Told, reasons: dict[int, Reason], ordered: Sequence[EventLine]) -> tuple[str, ...]:
        facts = [f"{way} go round in a circle." for way in _circles(told)]
        if self.is_forward:
            facts += self._facts_below()
        else:
            facts += self._facts_above(ordered.index(self.line))
        if not self.links_up and 0 in reasons and ordered[0] is self.line and reasons[0].kind == "none":
            facts.append(_NOTHING)
        else:
            facts += sorted({reason.sentence for reason in reasons.values() if reason.sentence})
        if not facts and not self.is_forward:
            is_first = len(self.up.depths) == 1
            facts.append("The run begins here." if is_first else "Every chain leads back to where its run begins.")
        others = len({known.run_id for known in ordered} - {self.run.pk})
        if others:
            facts.append(f"It leads through {counted(others, 'other run')}.")
        return tuple(facts)

    def _facts_above(self, drawn: int) -> Iterator[str]:
        read = len(self._lines(self.up))
        if self._is_cut and self._depth:
            yield f"Cut {counted(self._depth, 'link')} above {self.line.version}, as the address asks."
        elif self._is_cut or drawn < read:
            total = _total(self.around.reach) if self._is_cut else read
            yield f"Cut at {drawn} of {total}: the nearest are drawn."

    def _facts_below(self) -> Iterator[str]:
        drawn, total = len(self.down.depths) - 1, self.around.reach_below or 0
        if self._depth and self.down.cut:
            yield f"Cut {counted(self._depth, 'link')} below {self.line.version}, as the address asks."
        elif total > drawn:
            yield f"Cut at {drawn} of {_total(total)}: the nearest are drawn."

    def _walk_on(self, reasons: dict[int, Reason], ordered: Sequence[EventLine]) -> Choice | None:
        """Lead to where the drawing was cut: the row that is farthest away."""
        cut = [ordered[at] for at, reason in reasons.items() if reason.kind == "cut"]
        if not cut:
            return None
        return self._choice(cut[-1] if self.is_forward else cut[0], "")

    def _turns(self, causes: str) -> tuple[Turn, ...]:
        address, version, effects = self.address, self.line.version, self.around.reach_below
        led_to = "" if effects is None else _total(effects)
        ways = (("", "Both", ""), ("back", "Causes", causes), ("forward", "Effects", led_to))
        return tuple(
            Turn(words=words, count=count, href=replace(address, dir=way).at(version), is_on=address.dir == way)
            for way, words, count in ways
        )

    def _total(self, drawn: int) -> str:
        return _total(self.around.reach) if self._is_cut else str(drawn)

    # Where to go

    def _back(self) -> tuple[Choice, ...]:
        ways = nearest(self.line, self.links_up, self.by_id)
        return tuple(self._choice(way.line, way.words) for way in ways[:CHOICES])

    def _forward(self) -> tuple[Choice, ...]:
        known = self._named((link.effect for link in self.around.effects), {self.line.event_id})
        told = Told(links=tuple(self._joined(self.around.effects)), outside=(), by_id=self.by_id)
        return tuple(self._choice(line, link_words(line, told, None)) for line in known[:CHOICES])

    def _choice(self, line: EventLine, words: str) -> Choice:
        is_own = line.run_id == self.run.pk
        stream = "" if is_own else line.run.stream
        href = self.address.at(line.version) if is_own else self.address.elsewhere(stream, line.version)
        return Choice(line=line, words=words, href=href, stream=stream)

    def _chain(self, above: int) -> Chain:
        by_effect: dict[str, list[CausalLink]] = {}
        for link in self.links_up:
            by_effect.setdefault(link.effect, []).append(link)
        way, at, seen = [self.line], self.line, {self.line.event_id}
        while ways := nearest(at, by_effect.get(at.event_id, ()), self.by_id):
            at = ways[0].line
            if at.event_id in seen:
                break
            seen.add(at.event_id)
            way.append(at)
        shown = way[::-1]
        if len(shown) > _CHAIN:
            shown = [shown[0], *shown[-(_CHAIN - 1) :]]
        links = tuple(self._joined(self.up.links))
        return Chain(
            steps=tuple(ChainStep(line=known, words=briefly(known)) for known in shown),
            ancestors=self.around.reach if self._is_cut else above,
            links=len(links),
            inferred=sum(link.certainty == "inferred" for link in links),
        )


def _circles(told: Told) -> Iterator[str]:
    for knot in cycles(told.links):
        versions = [told.by_id[name].version for name in knot]
        first = versions.index(min(versions))
        way = versions[first:] + versions[:first]
        yield " → ".join(map(str, (*way, way[0])))


def _shown(shown: int, total: int) -> str:
    return f" · {shown} of {_total(total)} shown" if total > shown else ""


def _total(number: int) -> str:
    return f"more than {lineage.COUNTED:,}" if number > lineage.COUNTED else f"{number:,}"

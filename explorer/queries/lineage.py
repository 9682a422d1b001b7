"""The lineage of an event on a page of its own: everything that led to it and that it led to, over all runs.

Up to `NODES` events are drawn one by one. Beyond that, events of one run and kind share a node that counts them, more
coarsely until they fit; the event itself and what is linked to it directly always stand alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlencode

from django.urls import reverse

from explorer import figures
from explorer.cause_graph import Arc, Graph, Node, draw, lane_of
from explorer.listed import is_listed
from explorer.models import EventLine
from explorer.queries.run_address import Address
from explorer.queries.run_cause_words import begins
from journal.domain.lineage import CausalLink, Walk, cycles
from journal.domain.stream import category
from journal.runtime import checkpoint
from journal.store import lineage

NODES: Final = 300
MOST: Final = 2_000
"""Events that a walk in one direction touches."""

NEAR: Final = 60
"""Direct causes, and direct effects, that always stand alone."""

WAYS: Final = (("", "Both"), ("back", "Causes"), ("forward", "Effects"))
_PAGE: Final = 500
_SAID: Final = 4
_RUNS: Final = 240
_STRETCHES: Final = (24, 12, 6, 3)
_VERBS: Final = {"read": "reads", "quoted": "quotes", "answers": "answers"}
_PLURALS: Final = {
    "message_received": "messages",
    "model_called": "model calls",
    "model_responded": "model responses",
    "reasoned": "decisions",
    "tool_returned": "tool results",
    "tool_failed": "tool failures",
    "answered": "answers",
    "memory_written": "memories written",
    "handed_off": "hand-offs",
    "started": "beginnings of runs",
}

Side = Literal["cause", "self", "effect"]


@dataclass(frozen=True, kw_only=True, slots=True)
class LineageRow:
    """A node of the drawing, and what the list says of it: one event, or `count` of them from `line` on.

    `causes` and `effects` are the numbers of other rows. `stream` is empty where all is in the run of the event itself.
    """

    number: int
    side: Side
    line: EventLine
    last: int
    count: int
    says: str
    words: str
    stream: str
    heading: str
    reason: str
    href: str
    centre: str
    causes: tuple[int, ...]
    effects: tuple[int, ...]

    @property
    def is_self(self) -> bool:
        """Whether it is the event that the page is about."""
        return self.side == "self"


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """A direction that the page can be turned to."""

    words: str
    count: str
    href: str
    is_on: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class LineagePage:
    """The graph of an event with its text twin. `facts` say what is missing, and `runs` how many it leads through."""

    line: EventLine
    rows: tuple[LineageRow, ...]
    graph: Graph
    ways: tuple[Way, ...]
    facts: tuple[str, ...]
    answer: str
    runs: int
    is_grouped: bool
    inferred: int
    links: int

    @property
    def placed(self) -> list[tuple[Node, LineageRow]]:
        """Return each place in the drawing with its row."""
        return list(zip(self.graph.nodes, self.rows, strict=True))


def lineage_page(project: str, address: Address, version: int) -> LineagePage | None:
    """Return the page, None where there is no such event. A bounded number of queries, whatever the graph's size."""
    found = EventLine.objects.filter(run__project=project, run__stream=address.stream, version=version)
    line = found.select_related("run").first()
    if line is None:
        return None
    nothing = Walk(depths={line.event_id: 0}, links=())
    up = nothing if address.dir == "forward" else lineage.walk(project, line.event_id, direction="up", most=MOST)
    down = nothing if address.dir == "back" else lineage.walk(project, line.event_id, direction="down", most=MOST)
    lines = lines_of(project, (up.depths.keys() | down.depths.keys()) - {line.event_id}) | {line.event_id: line}
    mark = checkpoint.peek("causes")
    return _Page(line, address, up, down, lines, read_until=mark.position if mark else 0).page()


def lines_of(project: str, event_ids: Collection[str]) -> dict[str, EventLine]:
    """Return the rows of some events by id, each with its run."""
    ids = sorted(event_ids)
    found: dict[str, EventLine] = {}
    for start in range(0, len(ids), _PAGE):
        rows = EventLine.objects.filter(run__project=project, event_id__in=ids[start : start + _PAGE])
        found.update((line.event_id, line) for line in rows.select_related("run"))
    return found


# --- Which events share a node ----------------------------------------------------------------------------------------

Key = tuple[object, ...]


def groups_of(
    lines: Sequence[EventLine], alone: Collection[str], *, most: int = NODES
) -> tuple[list[list[EventLine]], bool]:
    """Return lines in groups, at most `most` of them, in the order of their first; and whether any has several.

    `alone` are ids that share no group. What is coarser is only taken where the finer would be too many.
    """
    rank = {run: at for at, (run, _count) in enumerate(Counter(line.run_id for line in lines).most_common())}
    place = {line.event_id: at for at, line in enumerate(lines)}

    def stretch(parts: int) -> Callable[[EventLine], Key]:
        """Put events of one kind together where they follow each other in one of so many stretches."""
        return lambda line: (place[line.event_id] * parts // len(lines), line.run_id, line.kind, line.tool)

    keys: tuple[Callable[[EventLine], Key], ...] = (
        lambda line: (line.event_id,),
        *map(stretch, _STRETCHES),
        lambda line: (line.run_id, line.kind, line.tool),
        lambda line: (line.run_id, line.kind),
        lambda line: (line.run_id,),
        lambda line: (line.run_id if rank[line.run_id] < _RUNS - len(alone) else None,),
    )
    grouped: dict[Key, list[EventLine]] = {}
    for at, key in enumerate(keys):
        grouped = {}
        for line in lines:
            own: Key = (line.event_id, "alone") if line.event_id in alone else key(line)
            grouped.setdefault(own, []).append(line)
        if len(grouped) <= most:
            return list(grouped.values()), at > 0
    return list(grouped.values()), True


class _Page:
    """Puts walks, lines and groups together."""

    def __init__(  # noqa: PLR0913 - what was read
        self,
        line: EventLine,
        address: Address,
        up: Walk,
        down: Walk,
        lines: Mapping[str, EventLine],
        *,
        read_until: int,
    ) -> None:
        self.line, self.address, self.up, self.down, self.lines = line, address, up, down, lines
        self.read_until = read_until
        self.stands_for = _folded(line, lines)
        self.links = tuple(self._joined((*up.links, *down.links)))
        causes = self._side(up)
        effects = [known for known in self._side(down) if known not in causes]
        alone = {line.event_id, *self._near()}
        groups, self.is_grouped = groups_of([*causes, *effects], alone, most=NODES - 1)
        above = {known.event_id for known in causes}
        self.groups = [
            *(group for group in groups if group[0].event_id in above),
            [line],
            *(group for group in groups if group[0].event_id not in above),
        ]
        self.here = self.groups.index([line])
        self.at = {known.event_id: at for at, group in enumerate(self.groups) for known in group}
        self.arcs = self._arcs()

    def page(self) -> LineagePage:
        reasons = self._reasons()
        words = [self._words(at, reasons.get(at, "")) for at in range(len(self.groups))]
        above: dict[int, list[int]] = {}
        below: dict[int, list[int]] = {}
        for cause, effect, _kind, _certainty in self.arcs:
            above.setdefault(effect, []).append(cause)
            below.setdefault(cause, []).append(effect)
        first_effect = self.here + 1
        return LineagePage(
            line=self.line,
            rows=tuple(
                self._row(
                    at,
                    words[at],
                    reasons.get(at, ""),
                    causes=tuple(sorted(set(above.get(at, ())))),
                    effects=tuple(sorted(set(below.get(at, ())))),
                )
                for at in range(len(self.groups))
            ),
            graph=draw(
                [lane_of(group[0].kind, category(group[0].run.stream)) for group in self.groups],
                [Arc(cause=cause, effect=effect, kind=kind, certainty=certainty)
                 for cause, effect, kind, certainty in self.arcs],
                headings={first_effect} if first_effect < len(self.groups) else (),
                quiet=range(first_effect, len(self.groups)),
                stubs={at: _stub(reason) for at, reason in reasons.items()},
            ),
            ways=self._ways(),
            facts=tuple(self._facts(reasons)),
            answer=self._answer(),
            runs=len({known.run_id for group in self.groups for known in group if is_listed(known.run.stream)}),
            is_grouped=self.is_grouped,
            inferred=sum(link.certainty == "inferred" for link in self.links),
            links=len(self.links),
        )  # fmt: skip

    # What is drawn

    def _side(self, walk: Walk) -> list[EventLine]:
        names = {self.stands_for.get(name, name) for name in walk.depths} - {self.line.event_id}
        return sorted((self.lines[name] for name in names if name in self.lines), key=lambda known: known.position)

    def _near(self) -> list[str]:
        own = self.line.event_id
        up = dict.fromkeys(link.cause for link in self.links if link.effect == own)
        down = dict.fromkeys(link.effect for link in self.links if link.cause == own)
        return [*list(up)[:NEAR], *list(down)[:NEAR]]

    def _joined(self, links: Iterable[CausalLink]) -> Iterator[CausalLink]:
        seen = set()
        for link in links:
            cause, effect = self.stands_for.get(link.cause, link.cause), self.stands_for.get(link.effect, link.effect)
            joined = CausalLink(cause=cause, effect=effect, kind=link.kind, certainty=link.certainty)
            if joined not in seen and (cause != effect or link.cause == link.effect):
                seen.add(joined)
                yield joined

    def _arcs(self) -> Counter[tuple[int, int, str, str]]:
        """Return the links between nodes, counted; those within a group are inside of it."""
        found: Counter[tuple[int, int, str, str]] = Counter()
        for link in self.links:
            cause, effect = self.at.get(link.cause), self.at.get(link.effect)
            if cause is not None and effect is not None and (cause != effect or len(self.groups[cause]) == 1):
                found[cause, effect, link.kind, link.certainty] += 1
        return found

    # What is said

    def _row(
        self, at: int, words: str, reason: str, *, causes: tuple[int, ...], effects: tuple[int, ...]
    ) -> LineageRow:
        group = self.groups[at]
        first, last = group[0], group[-1]
        is_one_run = len({known.run_id for known in group}) == 1
        side: Side = "self" if at == self.here else "cause" if at < self.here else "effect"
        heading = f"What {self.line.version} led to" if at == self.here + 1 else ""
        stream = "" if first.run_id == self.line.run_id else first.run.stream
        return LineageRow(
            number=at,
            side=side,
            line=first,
            last=last.version if is_one_run else first.version,
            count=len(group),
            says=first.summary if len(group) == 1 else self._says(group, is_one_run=is_one_run),
            words=words,
            stream=stream,
            heading=heading,
            reason=reason,
            href=self.address.elsewhere(first.run.stream, first.version),
            centre=address_of(first.run.stream, first.version, project=self.address.project),
            causes=causes,
            effects=effects,
        )

    def _says(self, group: Sequence[EventLine], *, is_one_run: bool) -> str:
        kinds = Counter(known.kind for known in group)
        named = ", ".join(f"{count:,} {_plural(kind)}" for kind, count in kinds.most_common(3))
        more = f" and {len(kinds) - 3} other kinds" if len(kinds) > 3 else ""  # noqa: PLR2004 - those three
        tools = {known.tool for known in group}
        tool = f" of {tools.pop()}" if len(tools) == 1 and group[0].tool else ""
        if not is_one_run:
            return f"{named}{more} of {figures.counted(len({known.run_id for known in group}), 'run')}"
        return f"{named}{more}{tool}, events {group[0].version:,} to {group[-1].version:,}"

    def _words(self, at: int, reason: str) -> str:
        parts: dict[str, int] = {}
        for (cause, effect, kind, certainty), count in sorted(self.arcs.items()):
            if effect == at:
                verb = _VERBS.get(kind, f"{kind} by")
                said = f"{verb} {self._name(cause, at)}{' (inferred)' if certainty == 'inferred' else ''}"
                parts[said] = parts.get(said, 0) + count
        links = [f"{text} ×{count:,}" if count > 1 else text for text, count in parts.items()]
        told = ", ".join(links[:_SAID]) + (f" and {len(links) - _SAID} more" if len(links) > _SAID else "")
        why = reason or ("" if told else begins(self.groups[at][0]))
        return "; ".join(filter(None, (told, why)))

    def _name(self, cause: int, effect: int) -> str:
        group, own = self.groups[cause], self.groups[effect][0].run_id
        first, last = group[0], group[-1]
        other = "" if first.run_id == own else " of another run"
        return f"{first.version:,}{other}" if len(group) == 1 else f"{first.version:,}–{last.version:,}{other}"

    def _reasons(self) -> dict[int, str]:
        """Say of a cause why what led to it is not all here. Of effects nothing is said: they may have other causes."""
        if self.address.dir == "forward":
            return {}
        lost = Counter(self.at.get(self.stands_for.get(link.effect, link.effect)) for link in self.up.broken)
        has_causes = {effect for _cause, effect, _kind, _certainty in self.arcs}
        found: dict[int, str] = {}
        for at, group in enumerate(self.groups[: self.here + 1]):
            if lost[at]:
                what = "the event it names is" if lost[at] == 1 else f"{lost[at]} events it names are"
                found[at] = f"{what} not in this journal"
            elif at not in has_causes and not begins(group[0]):
                if group[0].position > self.read_until:
                    found[at] = "its causes are not read yet"
                elif self.up.cut:
                    found[at] = "its causes are not drawn"
                elif len(group) == 1:
                    found[at] = "no causation id recorded"
        return found

    def _facts(self, reasons: Mapping[int, str]) -> Iterator[str]:
        if self.is_grouped:
            total = sum(map(len, self.groups))
            shared = "those of one run and kind share a node that counts them"
            yield f"{total:,} events in {len(self.groups):,} nodes: {shared}."
        for walk, way in ((self.up, "above"), (self.down, "below")):
            if walk.cut:
                yield f"Cut at {MOST:,} events {way}: the nearest are here."
        for knot in cycles(self.links):
            versions = [self.lines[name].version for name in knot if name in self.lines]
            first = versions.index(min(versions)) if versions else 0
            circle = [*versions[first:], *versions[: first + 1]]
            yield f"{' → '.join(map(str, circle))} go round in a circle."
        if missing := len(self.up.missing):
            many = f"{missing:,} events that are named as causes are"
            named = "1 event that is named as a cause is" if missing == 1 else many
            yield f"{named} not in this journal: the chain breaks there."
        if "no causation id recorded" in reasons.values():
            yield "Where a chain ends in a dashed stub, the source recorded no cause."
        if self.graph_is_whole(reasons):
            yield "Every chain leads back to where its run begins."

    def graph_is_whole(self, reasons: Mapping[int, str]) -> bool:
        """Whether nothing is missing above the event."""
        return self.address.dir != "forward" and not reasons and not self.up.cut and not self.up.missing

    def _answer(self) -> str:
        causes, effects = len(self._side(self.up)), len(self._side(self.down))
        above = f"{'At least ' if self.up.cut else ''}{figures.counted(causes, 'event')} led to {self.line.version:,}"
        below = f"{'at least ' if self.down.cut else ''}{figures.counted(effects, 'event')}"
        if self.address.dir == "back":
            return f"{above}."
        if self.address.dir == "forward":
            return f"{self.line.version:,} led to {below}."
        return f"{above}, and it led to {below}."

    def _ways(self) -> tuple[Way, ...]:
        counts = {"back": f"{len(self._side(self.up)):,}", "forward": f"{len(self._side(self.down)):,}"}
        if self.address.dir:
            counts = {self.address.dir: counts[self.address.dir]}
        return tuple(
            Way(
                words=words,
                count=counts.get(way, ""),
                href=address_of(self.address.stream, self.line.version, project=self.address.project, dir=way),
                is_on=self.address.dir == way,
            )
            for way, words in WAYS
        )


def address_of(stream: str, version: int, *, project: str = "", dir: str = "") -> str:  # noqa: A002 - as in addresses
    """Return the address of an event's lineage."""
    path = reverse("explorer:lineage", args=[stream, version])
    said = {name: value for name, value in (("dir", dir), ("project", project)) if value}
    return f"{path}?{urlencode(said)}" if said else path


def _folded(line: EventLine, lines: Mapping[str, EventLine]) -> dict[str, str]:
    """Let a response stand for the request that it answers, as in the list of the run."""
    places = {(known.run_id, known.version): name for name, known in lines.items()}
    return {
        name: places[known.run_id, known.folded_into]
        for name, known in lines.items()
        if known.folded_into and known is not line and (known.run_id, known.folded_into) in places
    }


def _plural(kind: str) -> str:
    return _PLURALS.get(kind, "other events")


def _stub(reason: str) -> str:
    if reason == "its causes are not drawn":
        return "cut"
    return "missing" if "not in this journal" in reason else "none"

"""Where the graph of an event's causes stands: lanes for what kind of event it is, rows for time, which runs down.

Pure and deterministic: plain values in, numbers and SVG path data out. Each event has a row of its own, so whatever
runs along a row meets only its own event; what passes other rows does so beside the lanes. That is why no line crosses
an event, however many there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

LANES: Final = ("input", "model", "decision", "tool")
ROW: Final = 36
"""Height of a row, in pixels: the drawing stands beside a list whose rows are as high."""

HEAD: Final = 26
"""Height of the line with the names of the lanes."""

BREAK: Final = 32
"""Height of the heading between causes, effects and siblings."""

REACH: Final = 11
"""Half of what an event takes: its sign, and some air around it."""

MOST_ARCS: Final = 240
TRACKS: Final = 12
"""Lines beside the lanes that have a place of their own; more of them share the outermost."""

_FIRST, _APART, _WIDE = 34, 50, 76
_TRACK: Final = 8
_BEND: Final = 14
_OWN: Final = 6
_SPREAD: Final = 18
_OTHERS: Final = 3
"""Lanes of streams that are no agent's runs; the rest of them share one."""

_NAME: Final = 11
_LANE_OF: Final = {
    "started": "input",
    "message_received": "input",
    "annotated": "input",
    "graded": "input",
    "model_called": "model",
    "model_responded": "model",
    "answered": "model",
    "context_compacted": "model",
    "reasoned": "decision",
    "handed_off": "decision",
    "memory_written": "decision",
    "aborted": "decision",
    "tool_returned": "tool",
    "tool_failed": "tool",
}
_DASHES: Final = {"read": "read", "quoted": "quoted"}
_END_OF_STUB: Final = {"none": "m-4 0h8", "missing": "m-3-3a3 3 0 1 0 6 0 3 3 0 1 0-6 0z", "cut": "m-4 4l4-4 4 4"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Arc:
    """A link between two rows, by their index."""

    cause: int
    effect: int
    kind: str
    certainty: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """Where an event stands."""

    x: int
    y: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """All links of one look as one path. `look` is `solid`, `read`, `quoted` or `inferred`."""

    look: str
    is_quiet: bool
    path: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Lane:
    """A lane's name and place; `name` is cut to its width."""

    name: str
    x: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Graph:
    """The drawing: nodes in the order of the rows they belong to. `stubs` are where links are missing or left out."""

    width: int
    height: int
    nodes: tuple[Node, ...]
    lanes: tuple[Lane, ...]
    lines: tuple[Line, ...]
    stubs: str
    stub_ends: str
    undrawn: int


def lane_of(kind: str, category: str) -> str:
    """Return the lane of an event: by its kind in an agent's run, else that of its stream's category."""
    return _LANE_OF.get(kind, category)


def look_of(kind: str, certainty: str) -> str:
    """Return how a link is drawn. One that was worked out is never drawn as one that was recorded."""
    return "inferred" if certainty == "inferred" else _DASHES.get(kind, "solid")


def draw(  # noqa: PLR0913 - rows, links, and the four things that rows may be
    lanes: Sequence[str],
    arcs: Iterable[Arc],
    *,
    headings: Collection[int] = (),
    quiet: Collection[int] = (),
    stubs: Mapping[int, str] | None = None,
    downwards: bool = False,
) -> Graph:
    """Lay rows out, given the lane of each.

    A heading stands before each row in `headings`; links to a row in `quiet` are drawn back. `stubs` say for a row why
    a link is not there: `none`, `missing` or `cut`; they point to where it would come from, or go to if `downwards`.
    """
    places = _places(lanes)
    nodes = tuple(Node(x=places[_lane(lane, places)].x, y=_y(at, headings)) for at, lane in enumerate(lanes))
    wanted = sorted(arcs, key=lambda arc: (arc.effect, arc.cause, arc.kind, arc.certainty))
    drawn = wanted[-MOST_ARCS:]
    edge = max((lane.x for lane in places.values()), default=_FIRST) + 2 * REACH
    router = _Router(nodes, drawn, edge)
    paths: dict[tuple[str, bool], list[str]] = {}
    for arc in drawn:
        key = (look_of(arc.kind, arc.certainty), arc.effect in quiet)
        paths.setdefault(key, []).append(router.path(arc))
    told = sorted((stubs or {}).items())
    way = 1 if downwards else -1
    ends = [(f"M{nodes[at].x} {nodes[at].y + way * REACH}", f"v{10 * way}", why) for at, why in told]
    return Graph(
        width=router.edge + _TRACK,
        height=(nodes[-1].y + ROW // 2) if nodes else HEAD,
        nodes=nodes,
        lanes=tuple(Lane(name=_cut(lane.name), x=lane.x) for lane in places.values()),
        lines=tuple(Line(look=look, is_quiet=quiet, path="".join(parts)) for (look, quiet), parts in paths.items()),
        stubs="".join(start + stem for start, stem, _ in ends),
        stub_ends="".join(f"{start}{stem.replace('v', 'm0 ')}{_END_OF_STUB[why]}" for start, stem, why in ends),
        undrawn=len(wanted) - len(drawn),
    )


def _places(lanes: Sequence[str]) -> dict[str, Lane]:
    """Return the lanes by name: always the same four for an agent's run, so that they stay put from event to event."""
    own = LANES if any(lane in LANES for lane in lanes) else ()
    others = [lane for lane in dict.fromkeys(lanes) if lane not in LANES]
    if len(others) > _OTHERS:
        others = [*others[: _OTHERS - 1], "others"]
    places = {name: Lane(name=name, x=_FIRST + _APART * at) for at, name in enumerate(own)}
    start = _FIRST + _APART * len(own) + (_WIDE - _APART) // 2
    return places | {name: Lane(name=name, x=start + _WIDE * at) for at, name in enumerate(others)}


def _lane(lane: str, places: Mapping[str, Lane]) -> str:
    return lane if lane in places else "others"


def _cut(name: str) -> str:
    return name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"


def _y(at: int, headings: Collection[int]) -> int:
    return HEAD + at * ROW + ROW // 2 + BREAK * sum(before <= at for before in headings)


class _Router:
    """Finds ways for links: a curve where nothing stands between its ends, else along a track beside the lanes."""

    def __init__(self, nodes: Sequence[Node], arcs: Sequence[Arc], edge: int) -> None:
        self._nodes = nodes
        self._first = edge
        self._tracks = self._assigned([arc for arc in arcs if not self._is_free(arc)])
        self._pairs = Counter((arc.cause, arc.effect) for arc in arcs)
        self._used: Counter[tuple[int, int]] = Counter()
        self.edge = max(self._tracks.values(), default=edge - _TRACK) + _TRACK

    def path(self, arc: Arc) -> str:
        """Return a link as path data, from its cause to its effect."""
        cause, effect = self._nodes[arc.cause], self._nodes[arc.effect]
        if arc in self._tracks:
            return self._along(cause, effect, self._tracks[arc])
        shift = self._shift(arc)
        top, bottom = cause.y + REACH, effect.y - REACH
        pull = min(26, (bottom - top) * 6 // 10)
        x, to = cause.x + shift, effect.x + shift
        return f"M{x} {top}C{x} {top + pull + shift} {to} {bottom - pull + shift} {to} {bottom}"

    def _along(self, cause: Node, effect: Node, track: int) -> str:
        """Along the cause's row to the track, down it (up, where a cause came later), and along the effect's row."""
        if cause is effect:
            return f"M{cause.x + REACH} {cause.y - 5}H{track}v10H{cause.x + REACH}"
        bend = _BEND if effect.y > cause.y else -_BEND
        return (
            f"M{cause.x + REACH} {cause.y}H{track - _BEND}Q{track} {cause.y} {track} {cause.y + bend}"
            f"V{effect.y - bend}Q{track} {effect.y} {track - _BEND} {effect.y}H{effect.x + REACH}"
        )

    def _shift(self, arc: Arc) -> int:
        """Links between the same two events stand beside each other."""
        pair = (arc.cause, arc.effect)
        at = self._used[pair]
        self._used[pair] += 1
        apart = min(_OWN, _SPREAD // self._pairs[pair])
        return apart * at - apart * (self._pairs[pair] - 1) // 2

    def _is_free(self, arc: Arc) -> bool:
        if arc.effect <= arc.cause:
            return False
        ends = (self._nodes[arc.cause].x, self._nodes[arc.effect].x)
        between = self._nodes[arc.cause + 1 : arc.effect]
        return all(not min(ends) - 2 * REACH < node.x < max(ends) + 2 * REACH for node in between)

    def _assigned(self, arcs: Sequence[Arc]) -> dict[Arc, int]:
        """Give each link the innermost track that is free along its way; the shortest come first."""
        taken: list[list[tuple[int, int]]] = []
        found = {}
        for arc in sorted(arcs, key=lambda arc: (abs(arc.effect - arc.cause), arc.cause, arc.effect, arc.kind)):
            top, bottom = sorted((arc.cause, arc.effect))
            bottom += top == bottom  # round to itself takes room too
            free = (at for at, ways in enumerate(taken) if all(bottom <= a or b <= top for a, b in ways))
            at = next(free, min(len(taken), TRACKS - 1))
            if at == len(taken):
                taken.append([])
            taken[at].append((top, bottom))
            found[arc] = self._first + _BEND + _TRACK * at
        return found

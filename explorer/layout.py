"""Where things stand in the drawings: the minimap of a run and the graph of an event's causes.

Pure: plain numbers in, plain numbers and SVG path data out. Whatever the run's length, both are bounded: the minimap by
its buckets, the graph by its rows. Positions along the run are shares of the width, so that a drawing fits any screen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

MARKS: Final = 240
"""Up to this many events each has its own mark on the minimap."""

BUCKETS: Final = 100
"""Columns of the minimap of a longer run: enough to see its shape, few enough that its drawing is no longer."""

WIDTH: Final = 1280
EDGE: Final = 12
"""Units of the minimap's own width, and how much of it stays free at both ends."""

_DECISIONS, _TOOLS, _MODEL = 20, 33, 44
_FLOOR, _CONTEXT = 64.0, 13.0
_TOP = 12
_TICKS: Final = 6
_FLAG_TURNS: Final = 85
"""Percent of the width from which on the words of the flag stand on its left."""

_TOO_CLOSE: Final = 0.045


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """Events of one kind in one bucket: how many, the first of them, and the largest context after any."""

    bucket: int
    kind: str
    count: int
    context_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Tick:
    """A version on the axis and its place from the left, in percent."""

    version: int
    percent: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Minimap:
    """The drawing as path data, by what is drawn; an absent thing is an empty path."""

    events: int
    is_bucketed: bool
    decisions: str
    people: str
    tools: str
    failures: str
    model: str
    ends: str
    others: str
    notes: str
    compactions: str
    context: str
    ticks: tuple[Tick, ...]
    cursor: Tick
    first_failure: Tick | None
    flag_on_left: bool


def percent(version: int, events: int) -> float:
    """Return a version's place on the axis in percent of the width."""
    share = (version - 1) / (events - 1) if events > 1 else 0.0
    return round(100 * (EDGE + share * (WIDTH - 2 * EDGE)) / WIDTH, 3)


def bucket_count(events: int) -> int:
    """Return how many columns a run's minimap has."""
    return max(1, events if events <= MARKS else BUCKETS)


def minimap(marks: Iterable[Mark], *, events: int, cursor: int, first_failure: int | None) -> Minimap:
    """Draw a run. Buckets divide the versions evenly; with one event in each, marks are drawn, else bars."""
    drawing = _Drawing(events)
    for mark in marks:
        drawing.add(mark)
    flag = Tick(version=first_failure, percent=percent(first_failure, events)) if first_failure else None
    return Minimap(
        events=events,
        is_bucketed=drawing.is_bucketed,
        **drawing.paths(),
        context=drawing.area(),
        ticks=_ticks(events),
        cursor=Tick(version=cursor, percent=percent(cursor, events)),
        first_failure=flag,
        flag_on_left=flag is not None and flag.percent > _FLAG_TURNS,
    )


class _Drawing:
    """Collects path data lane by lane."""

    _KINDS: Final = {
        "reasoned": "decisions",
        "message_received": "people",
        "tool_returned": "tools",
        "tool_failed": "failures",
        "model_called": "",
        "model_responded": "model",
        "started": "ends",
        "answered": "ends",
        "aborted": "failures",
        "context_compacted": "compactions",
        "annotated": "notes",
        "graded": "",
    }
    _SHAPES: Final = {
        "decisions": f"{_DECISIONS - 5}l4 5l-4 5l-4-5z",
        "people": f"{_DECISIONS}h0",
        "tools": f"{_TOOLS - 3}v6",
        "others": f"{_TOOLS - 2}v4",
        "compactions": f"{_TOP}V{_FLOOR:.0f}",
        "notes": "8h0",
    }
    """What stands behind the place of a mark; a line of no length is drawn by its round or square cap."""

    _LANES: Final = ("decisions", "people", "tools", "failures", "model", "ends", "others", "notes", "compactions")

    def __init__(self, events: int) -> None:
        self.events = events
        self.columns = bucket_count(events)
        self.is_bucketed = events > self.columns
        self._parts: dict[str, list[str]] = {name: [] for name in self._LANES}
        self._counts: dict[tuple[str, int], int] = {}
        self._context: dict[int, int] = {}

    def add(self, mark: Mark) -> None:
        """Take the events of one kind and bucket in. Kinds without a lane are small ticks in that of tools."""
        self._context[mark.bucket] = max(self._context.get(mark.bucket, 0), mark.context_bytes)
        lane = self._KINDS.get(mark.kind, "others")
        if not lane:
            return
        if self.is_bucketed and lane in ("decisions", "tools", "model"):
            self._counts[lane, mark.bucket] = self._counts.get((lane, mark.bucket), 0) + mark.count
        else:
            self._parts[lane].append(self._mark(lane, mark))

    def paths(self) -> dict[str, str]:
        """Return path data by lane; bars where buckets hold several events."""
        most = dict.fromkeys(self._LANES, 1)
        for (lane, _), count in self._counts.items():
            most[lane] = max(most[lane], count)
        for (lane, bucket), count in sorted(self._counts.items()):
            self._parts[lane].append(self._bar(lane, bucket, count / most[lane]))
        return {lane: "".join(parts) for lane, parts in self._parts.items()}

    def area(self) -> str:
        """Return the outline of the context's size along the run, empty where none is known."""
        top = max(self._context.values(), default=0)
        if not top:
            return ""
        points = [
            f"{round(self._x(bucket))} {_number(_FLOOR - _CONTEXT * size / top)}"
            for bucket, size in sorted(self._context.items())
        ]
        first, last = round(self._x(min(self._context))), round(self._x(max(self._context)))
        return f"M{first} {_number(_FLOOR)}L{'L'.join(points)}L{last} {_number(_FLOOR)}Z"

    def _x(self, bucket: int) -> float:
        share = bucket / (self.columns - 1) if self.columns > 1 else 0.0
        return EDGE + share * (WIDTH - 2 * EDGE)

    def _mark(self, lane: str, mark: Mark) -> str:
        at = round(self._x(mark.bucket))
        if lane == "failures":
            return f"M{at - 4} {(_MODEL if mark.kind == 'aborted' else _TOOLS) - 4}l8 8m0-8l-8 8"
        return f"M{at} {self._SHAPES.get(lane, f'{_MODEL}h0')}"

    def _bar(self, lane: str, bucket: int, share: float) -> str:
        """Bars grow from their lane's lower edge, never below a visible stump."""
        base = {"decisions": 26, "tools": 38, "model": 49}[lane]
        return f"M{round(self._x(bucket))} {_number(base)}v{round(-(2 + 8 * share))}"


def _ticks(events: int) -> tuple[Tick, ...]:
    """Return the first version, round ones, and the last; those that would touch the last are left out."""
    step = 1
    for step in (size * 10**power for power in range(18) for size in (1, 2, 5)):
        if events / step <= _TICKS:
            break
    inner = [version for version in range(step, events, step) if version > 1]
    kept = [version for version in inner if (events - version) / events > _TOO_CLOSE and version / events > _TOO_CLOSE]
    return tuple(
        Tick(version=version, percent=percent(version, events)) for version in dict.fromkeys([1, *kept, events])
    )


# --- The graph of causes ----------------------------------------------------------------------------------------------

LANES: Final = ("input", "model", "decision", "tool")
ROW: Final = 36
"""Height of a row, in pixels: the drawing stands beside a list whose rows are as high."""

BREAK: Final = 32
"""Height of the line between causes and effects."""

_LANE_X: Final = {"input": 34, "model": 84, "decision": 134, "tool": 184}
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
_REACH: Final = 11
_DASHES: Final = {"read": "read", "quoted": "quoted"}


@dataclass(frozen=True, kw_only=True, slots=True)
class GraphNode:
    """Where a node stands."""

    x: int
    y: int


@dataclass(frozen=True, kw_only=True, slots=True)
class GraphLine:
    """All links of one look as one path. `look` is `solid`, `read`, `quoted` or `inferred`."""

    look: str
    is_effect: bool
    path: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Graph:
    """The drawing of a cause graph: nodes in the order of the rows they belong to."""

    height: int
    nodes: tuple[GraphNode, ...]
    lines: tuple[GraphLine, ...]
    stubs: str
    lanes: tuple[tuple[str, int], ...] = tuple(_LANE_X.items())
    width: int = 224


@dataclass(frozen=True, kw_only=True, slots=True)
class Arc:
    """A link between two rows, by their index."""

    cause: int
    effect: int
    kind: str
    certainty: str


def cause_graph(kinds: Sequence[str], arcs: Iterable[Arc], *, cursor: int, broken: Iterable[int]) -> Graph:
    """Lay events out in four lanes, time running down; `broken` are the rows whose cause is not recorded."""
    nodes = tuple(GraphNode(x=_LANE_X[lane_of(kind)], y=_row_y(at, cursor)) for at, kind in enumerate(kinds))
    paths: dict[tuple[str, bool], list[str]] = {}
    for arc in arcs:
        look = "inferred" if arc.certainty == "inferred" else _DASHES.get(arc.kind, "solid")
        paths.setdefault((look, arc.effect > cursor), []).append(_arc(nodes[arc.cause], nodes[arc.effect]))
    stubs = "".join(f"M{nodes[at].x} {nodes[at].y - _REACH}v-12" for at in broken)
    height = _row_y(len(nodes) - 1, cursor) + ROW // 2 if nodes else 0
    return Graph(
        height=height,
        nodes=nodes,
        stubs=stubs,
        lines=tuple(
            GraphLine(look=look, is_effect=is_effect, path="".join(parts)) for (look, is_effect), parts in paths.items()
        ),
    )


def lane_of(kind: str) -> str:
    """Return the lane of an event kind; what is not known is an input."""
    return _LANE_OF.get(kind, "input")


def _row_y(at: int, cursor: int) -> int:
    return at * ROW + ROW // 2 + (BREAK if at > cursor else 0)


def _arc(cause: GraphNode, effect: GraphNode) -> str:
    """A curve from the cause's lower side to the effect's upper one; a longer one bends past what is between."""
    top, bottom = cause.y + _REACH, effect.y - _REACH
    if bottom - top > ROW + BREAK:
        bend = max(cause.x, effect.x) + 28
        return f"M{cause.x + 9} {top - 5}C{bend} {top + 14} {bend} {bottom - 14} {effect.x + 9} {bottom + 5}"
    pull = min(26, (bottom - top) * 6 // 10)
    return f"M{cause.x} {top}C{cause.x} {top + pull} {effect.x} {bottom - pull} {effect.x} {bottom}"


def _number(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")

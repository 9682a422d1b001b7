"""Where things stand in the drawing of a run: its minimap.

Pure: plain numbers in, plain numbers and SVG path data out. Whatever the run's length, both are bounded: the minimap by
its buckets, the graph by its rows. Positions along the run are shares of the width, so that a drawing fits any screen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

MARKS: Final = 200
"""Up to this many events each has its own mark on the minimap."""

BUCKETS: Final = 200
"""Columns of the minimap of a longer run: enough to see its shape, few enough that its drawing is hardly longer."""

FLAGS: Final = 24
"""Failures of rules that have a flag; the head of the page counts all."""

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
_CROSSES: Final = 64
"""Beyond so many columns with a failure each is a stroke: crosses would be a hedge, and their drawing long."""


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
class Flag:
    """A failure over the lanes: the first says what it is, on its left where there is no room on its right."""

    version: int
    percent: float
    words: str
    is_left: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Sign:
    """A mark with a shape of its own, which keeps it on a screen of any width: percent from the left, units down."""

    percent: float
    y: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Minimap:
    """The drawing as path data, by what is drawn; an absent thing is an empty path.

    Paths are as wide as the screen, and are stretched with it: bars may be, while `diamonds` and `crosses` are not.
    """

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
    flags: tuple[Flag, ...]
    diamonds: tuple[Sign, ...]
    crosses: tuple[Sign, ...]


def percent(version: int, events: int) -> float:
    """Return a version's place on the axis in percent of the width."""
    share = (version - 1) / (events - 1) if events > 1 else 0.0
    return round(100 * (EDGE + share * (WIDTH - 2 * EDGE)) / WIDTH, 3)


def bucket_count(events: int) -> int:
    """Return how many columns a run's minimap has."""
    return max(1, events if events <= MARKS else BUCKETS)


def minimap(
    marks: Iterable[Mark], *, events: int, cursor: int, failures: Sequence[int], words: str = "first failure"
) -> Minimap:
    """Draw a run. Buckets divide the versions evenly; with one event in each, marks are drawn, else bars."""
    drawing = _Drawing(events)
    for mark in marks:
        drawing.add(mark)
    return Minimap(
        events=events,
        is_bucketed=drawing.is_bucketed,
        **drawing.paths(),
        diamonds=tuple(drawing.diamonds),
        crosses=tuple(drawing.crosses) if drawing.has_crosses else (),
        context=drawing.area(),
        ticks=_ticks(events),
        cursor=tick_of(cursor, events),
        flags=flags_of(failures, events=events, words=words),
    )


def tick_of(version: int, events: int) -> Tick:
    """Return a version's place on the axis."""
    return Tick(version=version, percent=percent(version, events))


def flags_of(failures: Sequence[int], *, events: int, words: str) -> tuple[Flag, ...]:
    """Return the flags over the lanes; the first says in `words` what they are."""
    places = [(version, percent(version, events)) for version in sorted(set(failures))[:FLAGS]]
    return tuple(
        Flag(version=version, percent=place, words=words if at == 0 else "", is_left=place > _FLAG_TURNS)
        for at, (version, place) in enumerate(places)
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
        self.diamonds: list[Sign] = []
        self.crosses: list[Sign] = []

    @property
    def has_crosses(self) -> bool:
        """Tell whether failures are few enough for a cross each; else there is a stroke for each."""
        return len(self.crosses) <= _CROSSES

    def add(self, mark: Mark) -> None:
        """Take the events of one kind and bucket in. Kinds without a lane are small ticks in that of tools."""
        self._context[mark.bucket] = max(self._context.get(mark.bucket, 0), mark.context_bytes)
        lane = self._KINDS.get(mark.kind, "others")
        if not lane:
            return
        if self.is_bucketed and lane in ("decisions", "tools", "model"):
            self._counts[lane, mark.bucket] = self._counts.get((lane, mark.bucket), 0) + mark.count
        elif lane == "decisions":
            self.diamonds.append(self._sign(mark, _DECISIONS))
        elif lane == "failures":
            self.crosses.append(self._sign(mark, _MODEL if mark.kind == "aborted" else _TOOLS))
        else:
            self._parts[lane].append(self._mark(lane, mark))

    def paths(self) -> dict[str, str]:
        """Return path data by lane; bars where buckets hold several events."""
        most = dict.fromkeys(self._LANES, 1)
        for (lane, _), count in self._counts.items():
            most[lane] = max(most[lane], count)
        for lane in ("decisions", "tools", "model") if self.is_bucketed else ():
            counts = [self._counts.get((lane, bucket), 0) for bucket in range(self.columns)]
            self._parts[lane].append(self._silhouette(lane, [count / most[lane] for count in counts]))
        if not self.has_crosses:
            strokes = [f"M{round(sign.percent * WIDTH / 100)} {sign.y - 4}v8" for sign in self.crosses]
            self._parts["failures"] = strokes
        return {lane: "".join(parts) for lane, parts in self._parts.items()}

    def area(self) -> str:
        """Return the outline of the context's size along the run, empty where none is known."""
        top = max(self._context.values(), default=0)
        if not top:
            return ""
        first, last = round(self._x(min(self._context))), round(self._x(max(self._context)))
        heights = [
            (round(self._x(bucket)), _number(_FLOOR - _CONTEXT * size / top))
            for bucket, size in sorted(self._context.items())
        ]
        return f"M{first} {_number(_FLOOR)}{_steps(heights)}H{last}V{_number(_FLOOR)}Z"

    def _x(self, bucket: int) -> float:
        share = bucket / (self.columns - 1) if self.columns > 1 else 0.0
        return EDGE + share * (WIDTH - 2 * EDGE)

    def _mark(self, lane: str, mark: Mark) -> str:
        return f"M{round(self._x(mark.bucket))} {self._SHAPES.get(lane, f'{_MODEL}h0')}"

    def _sign(self, mark: Mark, y: int) -> Sign:
        return Sign(percent=round(100 * self._x(mark.bucket) / WIDTH, 2), y=y)

    def _silhouette(self, lane: str, shares: Sequence[float]) -> str:
        """Draw how much of a lane's kind there is along the run, from its lower edge up: what there is can be seen."""
        base = {"decisions": 26, "tools": 38, "model": 49}[lane]
        edges = [round(EDGE + at * (WIDTH - 2 * EDGE) / self.columns) for at in range(self.columns + 1)]
        heights = [(edges[at], str(base - round(2 + 5 * share) if share else base)) for at, share in enumerate(shares)]
        return f"M{edges[0]} {base}{_steps(heights)}H{edges[-1]}V{base}Z"


def _steps(heights: Iterable[tuple[int, str]]) -> str:
    """Return path data that goes level to each place and there to its height; equal neighbours are one step."""
    parts, before = [], ""
    for x, y in heights:
        if y != before:
            parts.append(f"H{x}V{y}")
            before = y
    return "".join(parts)


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


def _number(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")

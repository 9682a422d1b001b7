"""The drawing of causes: nothing stands on anything else, and the same graph is always drawn the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from explorer.cause_graph import (
    BREAK,
    HEAD,
    LANES,
    MOST_ARCS,
    REACH,
    ROW,
    TRACKS,
    Arc,
    Graph,
    Node,
    draw,
    lane_of,
    look_of,
)

_names = st.sampled_from((*LANES, "payment", "parcel", "order", "invoice", "a_very_long_category"))
_KINDS = ("triggered", "read", "quoted", "answers", "authorised", "spawned")


@st.composite
def graphs(draw_from: st.DrawFn) -> tuple[list[str], list[Arc], set[int]]:
    """Rows with their lanes, links any way between them, and headings."""
    lanes = draw_from(st.lists(_names, min_size=1, max_size=60))
    row = st.integers(0, len(lanes) - 1)
    arcs = draw_from(
        st.lists(
            st.builds(
                Arc,
                cause=row,
                effect=row,
                kind=st.sampled_from(_KINDS),
                certainty=st.sampled_from(("recorded", "inferred")),
            ),
            max_size=80,
            unique=True,
        )
    )
    return lanes, arcs, draw_from(st.sets(row, max_size=2))


def points(path: str) -> Iterator[tuple[float, float]]:
    """Return places along a path of M, C, Q, H and V commands: its ends, and points between them."""
    at = (0.0, 0.0)
    for command, said in re.findall(r"([MCQHVv])([^MCQHVv]*)", path):
        told = [float(number) for number in re.findall(r"-?[\d.]+", said)]
        corners = [at, *_corners(command, told, at)]
        at = corners[-1]
        if command != "M":
            yield from _between(corners)


def _corners(command: str, told: list[float], at: tuple[float, float]) -> list[tuple[float, float]]:
    match command:
        case "H":
            return [(told[0], at[1])]
        case "V":
            return [(at[0], told[0])]
        case "v":
            return [(at[0], at[1] + told[0])]
        case _:
            return list(zip(told[::2], told[1::2], strict=True))


def _between(corners: list[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    for step in range(21):
        at = step / 20
        level = corners
        while len(level) > 1:
            level = [(a[0] + (b[0] - a[0]) * at, a[1] + (b[1] - a[1]) * at) for a, b in pairwise(level)]
        yield level[0]


@given(graphs())
def test_events_stand_apart_and_in_the_order_of_time(graph: tuple[list[str], list[Arc], set[int]]) -> None:
    """Each has a row of its own, one lane has one place, and all is within the drawing."""
    lanes, arcs, headings = graph
    drawn = draw(lanes, arcs, headings=headings)
    rows = [node.y for node in drawn.nodes]
    assert all(after - before in (ROW, ROW + BREAK) for before, after in pairwise(rows))
    assert rows[0] == HEAD + ROW // 2 + (BREAK if 0 in headings else 0)
    assert len({node.x for node in drawn.nodes}) <= len(drawn.lanes)
    assert all(REACH < node.x < drawn.width - REACH and node.y + REACH < drawn.height for node in drawn.nodes)
    assert all(b.x - a.x >= 2 * REACH for a, b in pairwise(drawn.lanes))


@given(graphs())
def test_no_line_crosses_an_event(graph: tuple[list[str], list[Arc], set[int]]) -> None:
    """A link touches the two events that it joins, and no other; it stays within the drawing."""
    lanes, arcs, headings = graph
    for arc in arcs[:12]:
        drawn = draw(lanes, [arc], headings=headings)
        (line,) = drawn.lines
        _misses(drawn, line.path, drawn.nodes[arc.cause], drawn.nodes[arc.effect])
    together = draw(lanes, arcs, headings=headings)
    assert all(0 <= x <= together.width and 0 <= y <= together.height for x, y in _all(together))


def _misses(drawn: Graph, path: str, *ends: Node) -> None:
    others = [node for node in drawn.nodes if node not in ends]
    for x, y in points(path):
        assert not any(abs(x - node.x) < REACH - 2 and abs(y - node.y) < REACH - 2 for node in others), (path, x, y)


def _all(drawn: Graph) -> Iterator[tuple[float, float]]:
    for line in drawn.lines:
        yield from points(line.path)


@given(graphs())
def test_every_link_is_drawn_once_in_its_look(graph: tuple[list[str], list[Arc], set[int]]) -> None:
    """Kind and certainty decide the look, and as long as there are tracks no two links lie on each other."""
    lanes, arcs, headings = graph
    drawn = draw(lanes, arcs, headings=headings, quiet=range(len(lanes) // 2, len(lanes)))
    paths = [path for line in drawn.lines for path in re.findall(r"M[^M]+", line.path)]
    assert len(paths) == len(arcs)
    assert len(set(paths)) == len(arcs) or len(arcs) > TRACKS
    for look in {look_of(arc.kind, arc.certainty) for arc in arcs}:
        wanted = sum(look_of(arc.kind, arc.certainty) == look for arc in arcs)
        assert sum(line.path.count("M") for line in drawn.lines if line.look == look) == wanted
    assert drawn == draw(lanes, arcs[::-1], headings=headings, quiet=range(len(lanes) // 2, len(lanes)))


def test_links_between_the_same_events_stand_beside_each_other() -> None:
    """A result that triggered a response and is quoted in it is joined with it by two lines."""
    arcs = [Arc(cause=0, effect=1, kind=kind, certainty="recorded") for kind in ("triggered", "quoted", "read")]
    paths = {line.path for line in draw(["tool", "model"], arcs).lines}
    assert len(paths) == 3
    assert len({path.split(" ")[0] for path in paths}) == 3


def test_a_worked_out_link_is_never_drawn_as_a_recorded_one() -> None:
    """Whatever its kind."""
    assert {look_of(kind, "inferred") for kind in _KINDS} == {"inferred"}
    assert [look_of(kind, "recorded") for kind in _KINDS] == ["solid", "read", "quoted", "solid", "solid", "solid"]


def test_lanes_of_a_run_stay_where_they_are() -> None:
    """An agent's run always has the same four; other streams have one each by category, and at most three."""
    assert [lane.name for lane in draw(["tool"], []).lanes] == list(LANES)
    assert [(lane.name, lane.x) for lane in draw(["payment", "order", "payment"], []).lanes] == [
        ("payment", 47),
        ("order", 123),
    ]
    many = draw(["a", "b", "c", "d", "tool"], [])
    assert [lane.name for lane in many.lanes] == [*LANES, "a", "b", "others"]
    assert many.nodes[2].x == many.nodes[3].x
    assert lane_of("event", "payment") == "payment"
    assert draw(["a_very_long_category"], []).lanes[0].name == "a_very_lon…"


def test_a_missing_link_is_a_stub_towards_where_it_would_come_from() -> None:
    """Above an event, or below it where effects are left out; each reason has an end of its own."""
    stubs = {0: "none", 1: "missing", 2: "cut"}
    drawn = draw(["input", "model", "tool"], [], stubs=stubs)
    assert drawn.stubs.count("v-10") == 3
    assert len(set(re.findall(r"m0 -10([^M]+)", drawn.stub_ends))) == 3
    assert draw(["input"], [], stubs={0: "cut"}, downwards=True).stubs.endswith("v10")


def test_a_tangle_is_drawn_in_part_and_says_so() -> None:
    """The newest links stay."""
    arcs = [Arc(cause=a, effect=b, kind="read", certainty="recorded") for b in range(40) for a in range(b)]
    drawn = draw(["tool"] * 40, arcs)
    assert sum(line.path.count("M") for line in drawn.lines) == MOST_ARCS
    assert drawn.undrawn == len(arcs) - MOST_ARCS
    assert drawn.width < 400

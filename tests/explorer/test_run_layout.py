"""Where things stand in the drawings, and that drawings stay small."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.layout import BREAK, BUCKETS, MARKS, ROW, Arc, Mark, bucket_count, cause_graph, lane_of, minimap, percent

_KINDS = (
    "reasoned",
    "message_received",
    "tool_returned",
    "tool_failed",
    "model_called",
    "model_responded",
    "annotated",
    "odd",
)


def _run(events: int) -> list[Mark]:
    columns = bucket_count(events)
    return [
        Mark(bucket=bucket, kind=kind, count=3, context_bytes=bucket * 10)
        for bucket in range(columns)
        for kind in _KINDS
    ]


@pytest.mark.parametrize("events", [1, 2, MARKS, MARKS + 1, 2_000, 10**9])
def test_the_drawing_is_bounded(events: int) -> None:
    """Whatever the run's length, the paths are short and stay within the drawing."""
    drawn = minimap(_run(events), events=events, cursor=1, first_failure=None)
    paths = (drawn.decisions, drawn.people, drawn.tools, drawn.failures, drawn.model, drawn.context)
    assert sum(map(len, paths)) < 40_000
    for path in paths:
        places = [float(x) for x in re.findall(r"M(-?[\d.]+)", path)]
        assert all(0 <= x <= 1280 for x in places)
    assert len(drawn.ticks) <= 8


def test_a_short_run_has_a_mark_for_each_event() -> None:
    """Up to 240 events each decision is a diamond; beyond, decisions are bars of their number."""
    assert minimap(_run(MARKS), events=MARKS, cursor=1, first_failure=None).decisions.count("M") == MARKS
    long = minimap(_run(MARKS + 1), events=MARKS + 1, cursor=1, first_failure=None)
    assert long.is_bucketed
    assert long.decisions.count("M") == BUCKETS


def test_a_failure_is_never_merged_away() -> None:
    """A bucket of many results with one failure among them keeps its cross."""
    marks = [
        Mark(bucket=3, kind="tool_returned", count=900, context_bytes=0),
        Mark(bucket=3, kind="tool_failed", count=1, context_bytes=0),
    ]
    assert minimap(marks, events=100_000, cursor=1, first_failure=None).failures


def test_a_context_nobody_recorded_is_no_line() -> None:
    """Without sizes there is no area, not one of height zero."""
    assert (
        minimap(
            [Mark(bucket=0, kind="reasoned", count=1, context_bytes=0)], events=1, cursor=1, first_failure=None
        ).context
        == ""
    )


@given(st.integers(1, 10**6), st.data())
def test_places_follow_versions(events: int, data: st.DataObject) -> None:
    """A later version stands further right, the first at the left edge and the last at the right one."""
    one, two = sorted(data.draw(st.tuples(st.integers(1, events), st.integers(1, events))))
    assert 0 < percent(1, events) <= percent(one, events) <= percent(two, events) <= percent(events, events) < 100


@pytest.mark.parametrize(
    ("events", "versions"),
    [(1, [1]), (7, [1, 2, 4, 6, 7]), (200, [1, 50, 100, 150, 200]), (2_000, [1, 500, 1_000, 1_500, 2_000])],
)
def test_the_axis_has_round_numbers(events: int, versions: list[int]) -> None:
    """Between the first and the last version stand a few round ones."""
    assert [tick.version for tick in minimap([], events=events, cursor=1, first_failure=None).ticks] == versions


def test_a_flag_near_the_end_has_its_words_on_the_left() -> None:
    """The words of the flag never leave the drawing."""
    assert minimap([], events=200, cursor=1, first_failure=199).flag_on_left
    assert not minimap([], events=200, cursor=1, first_failure=20).flag_on_left


def test_time_runs_down_and_lanes_are_by_kind() -> None:
    """Rows stand below each other in their kind's lane, with room for a line under the cursor."""
    graph = cause_graph(["started", "model_responded", "reasoned", "tool_returned"], [], cursor=2, broken=())
    assert [node.y for node in graph.nodes] == [18, 18 + ROW, 18 + 2 * ROW, 18 + 3 * ROW + BREAK]
    assert [node.x for node in graph.nodes] == sorted({node.x for node in graph.nodes})
    assert lane_of("never heard of") == "input"


def test_links_of_one_look_are_one_path() -> None:
    """Kinds and certainty decide how a link is drawn; inferred ones are never drawn as recorded."""
    arcs = [
        Arc(cause=0, effect=1, kind="triggered", certainty="recorded"),
        Arc(cause=1, effect=2, kind="answers", certainty="recorded"),
        Arc(cause=0, effect=2, kind="read", certainty="recorded"),
        Arc(cause=0, effect=2, kind="quoted", certainty="inferred"),
    ]
    graph = cause_graph(["started", "model_responded", "reasoned"], arcs, cursor=2, broken=(0,))
    assert {line.look: line.path.count("M") for line in graph.lines} == {"solid": 2, "read": 1, "inferred": 1}
    assert graph.stubs.count("M") == 1

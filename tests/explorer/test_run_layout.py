"""Where things stand in the drawings, and that drawings stay small."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.layout import FLAGS, MARKS, Mark, Minimap, bucket_count, minimap, percent

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
    drawn = minimap(_run(events), events=events, cursor=1, failures=())
    paths = (drawn.decisions, drawn.people, drawn.tools, drawn.failures, drawn.model, drawn.context)
    assert sum(map(len, paths)) < 40_000
    for path in paths:
        places = [float(x) for x in re.findall(r"M(-?[\d.]+)", path)]
        assert all(0 <= x <= 1280 for x in places)
    signs = (*drawn.diamonds, *drawn.crosses)
    assert len(signs) <= MARKS
    assert all(0 <= sign.percent <= 100 for sign in signs)
    assert len(drawn.ticks) <= 8


def test_a_short_run_has_a_mark_for_each_event() -> None:
    """Up to 200 events each decision is a diamond; beyond, one outline tells how many there are along the run."""
    assert len(minimap(_run(MARKS), events=MARKS, cursor=1, failures=()).diamonds) == MARKS
    long = minimap(_run(MARKS + 1), events=MARKS + 1, cursor=1, failures=())
    assert long.is_bucketed
    assert long.decisions == "M12 26H12V19H1268V26Z"


def test_a_failure_is_never_merged_away() -> None:
    """A bucket of many results with one failure among them keeps its cross."""
    marks = [
        Mark(bucket=3, kind="tool_returned", count=900, context_bytes=0),
        Mark(bucket=3, kind="tool_failed", count=1, context_bytes=0),
    ]
    assert len(minimap(marks, events=100_000, cursor=1, failures=()).crosses) == 1


def test_many_failures_are_strokes() -> None:
    """A cross for each would be a hedge; every column keeps its mark."""
    failed = [Mark(bucket=at, kind="tool_failed", count=1, context_bytes=0) for at in range(200)]
    few = minimap(failed[:20], events=100_000, cursor=1, failures=())
    assert (len(few.crosses), few.failures) == (20, "")
    drawn = minimap(failed, events=100_000, cursor=1, failures=())
    assert (drawn.failures.count("v8"), drawn.crosses) == (200, ())


def test_a_context_nobody_recorded_is_no_line() -> None:
    """Without sizes there is no area, not one of height zero."""
    assert (
        minimap([Mark(bucket=0, kind="reasoned", count=1, context_bytes=0)], events=1, cursor=1, failures=()).context
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
    assert [tick.version for tick in minimap([], events=events, cursor=1, failures=()).ticks] == versions


def test_a_flag_near_the_end_has_its_words_on_the_left() -> None:
    """The words of the flag never leave the drawing."""
    assert [flag.is_left for flag in _flags(199).flags] == [True]
    assert [flag.is_left for flag in _flags(20).flags] == [False]


def test_only_the_first_flag_has_words() -> None:
    """Later failures are flags alone; there are never more than fit."""
    assert [(flag.version, flag.words) for flag in _flags(60, 23, 60).flags] == [(23, "first failure"), (60, "")]
    assert len(_flags(*range(1, 200)).flags) == FLAGS


def _flags(*failures: int) -> Minimap:
    return minimap([], events=200, cursor=1, failures=failures)

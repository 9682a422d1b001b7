"""Drawings of bisects, searches by eye, texts side by side, times in forms, charts: pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plotly.graph_objects import Figure  # type: ignore[import-untyped]

from explorer import manual_bisect, probes
from explorer.charts import Day, trend
from explorer.line_diff import side_by_side
from explorer.moments import MomentRefused, in_form, moment
from explorer.plotly import style_ids
from journal.domain.bisect import bisect_run, scan
from journal.domain.invariant import Fails, Holds, Raised
from tests.journal.domain.test_bisect import Run, Scripted

TOKYO = timezone(timedelta(hours=9))


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(0, 59))
def test_stretches_say_of_each_event_what_the_rule_said(answers: list[bool], after: int) -> None:
    """Nothing overlaps, nothing is missing, and neighbours differ."""
    after = min(after, len(answers) - 1)
    judged = [(at, Holds() if holds else Fails("no")) for at, holds in enumerate(answers, 1) if at > after]
    found = probes.stretches(scan(judged), after)
    told = {version: word for first, last, word in found for version in range(first, last + 1)}
    assert told == {at: "holds" if answers[at - 1] else "fails" for at in range(after + 1, len(answers) + 1)}
    assert all(one[2] != other[2] for one, other in pairwise(found))


def test_a_rule_that_went_wrong_is_a_stretch_of_its_own() -> None:
    """What was said before stands; nothing is said of what comes after."""
    outcome = scan([(1, Holds()), (2, Fails("no")), (3, Raised("lost")), (4, Holds())])
    assert probes.stretches(outcome) == [(1, 1, "holds"), (2, 2, "fails"), (3, 3, "raised")]


def test_the_band_of_a_search_shrinks_to_the_answer() -> None:
    """Each probe lies in what was possible before it, and the last but one leaves one event."""
    answers: list[bool | None] = [at < 22 for at in range(200)]
    outcome = bisect_run(Scripted(answers, monotone=True), Run(200))
    rows = probes.drawing(outcome, events=200).rows
    assert all(row.first <= row.version <= row.last for row in rows)
    widths = [row.last - row.first for row in rows]
    assert widths == sorted(widths, reverse=True)
    assert (outcome.first_failing, rows[0].first, rows[0].last) == (23, 1, 200)


@given(st.integers(1, 300), st.data())
def test_a_person_who_knows_finds_the_first_bad_event(length: int, data: st.DataObject) -> None:
    """In about log2(n) words, whatever they skip meanwhile; a search read back from its address is the same."""
    bad_from = data.draw(st.integers(1, length))
    skips = data.draw(st.sets(st.integers(1, length), max_size=5))
    search = manual_bisect.Search(after=0, until=length)
    while (version := search.next) is not None:
        word: Literal["good", "bad", "skip"] = "good" if version < bad_from else "bad"
        search = search.saying(version, "skip" if version in skips else word)
        assert manual_bisect.read(search.written(), after=0, until=length) == search
        assert len(search.said) <= length.bit_length() + len(skips) + 1
    assert bad_from in search.suspects
    assert not skips & set(search.suspects[:-1]) or set(search.suspects[:-1]) <= skips


@pytest.mark.parametrize("text", ["x", "5", "99g", "0g", "١g", "-3b", "5q", "9" * 40 + "g", ",,,"])
def test_words_that_make_no_sense_were_not_said(text: str) -> None:
    """Addresses are typed by people."""
    assert manual_bisect.read(text, after=2, until=50).said == ()


def test_good_behind_bad_is_told() -> None:
    """Then the run went bad more than once, or a word is wrong."""
    search = manual_bisect.read("10b,30g", after=0, until=50)
    assert (search.contradicts, search.good, search.bad) == (True, 0, 10)


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abc")))
def test_both_texts_can_be_read_off_the_sides(old: list[str], new: list[str]) -> None:
    """Line by line, with their numbers."""
    rows = side_by_side("\n".join(old), "\n".join(new))
    assert [row.old for row in rows if row.old_number] == [*"\n".join(old).splitlines()]
    assert [row.new for row in rows if row.new_number] == [*"\n".join(new).splitlines()]
    assert all((row.mark == "=") == (row.old == row.new and bool(row.old_number and row.new_number)) for row in rows)


def test_an_end_is_all_of_the_day_or_minute_that_is_named() -> None:
    """In the reader's zone; what names its own zone keeps it."""
    assert moment("2026-11-08", TOKYO) == datetime(2026, 11, 7, 15, tzinfo=UTC)
    assert moment("2026-11-08", UTC, is_end=True) == datetime(2026, 11, 8, 23, 59, 59, 999999, tzinfo=UTC)
    assert moment("2026-11-08T02:14", UTC, is_end=True) == datetime(2026, 11, 8, 2, 14, 59, 999999, tzinfo=UTC)
    assert moment("2026-11-08T02:14:03Z", TOKYO, is_end=True) == datetime(2026, 11, 8, 2, 14, 3, tzinfo=UTC)
    assert (moment(" ", UTC), in_form(None, UTC)) == (None, "")
    assert in_form(datetime(2026, 11, 7, 15, tzinfo=UTC), TOKYO) == "2026-11-08T00:00"


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "0001-01-01", "٢٠٢٦-11-08"])
def test_what_is_no_time_is_refused_with_an_example(text: str) -> None:
    """Times before there were any are none either."""
    with pytest.raises(MomentRefused, match="2026-11-08T02:14"):
        moment(text, TOKYO)


def test_a_trend_is_a_figure_that_plotly_takes() -> None:
    """Lines are named at their ends, a day nobody judged is a gap, and the first failing run is an upright."""
    days = [
        Day(name="2026-11-07", runs=4, fails=0, share=0.0, before=0.0),
        Day(name="2026-11-08", runs=2, fails=0, share=None, before=None),
        Day(name="2026-11-09", runs=4, fails=1, share=25.0, before=0.0),
    ]
    figure = trend(days, now="version 2", before="version 1", first="2026-11-09", first_words="9 Nov, first")
    drawn = {**figure, "data": [{**line, "line": {**line["line"], "color": "red"},
                                 "marker": {**line["marker"], "color": "red"}} for line in figure["data"]]}  # fmt: skip
    layout = {key: value for key, value in figure["layout"].items() if key not in ("annotations", "shapes")}
    Figure(data=drawn["data"], layout=layout)  # raises at any name that is not Plotly's
    assert [line["y"] for line in figure["data"]] == [[0.0, None, 25.0], [0.0, None, 0.0]]
    assert {note["text"] for note in figure["layout"]["annotations"]} == {"version 1", "version 2", "9 Nov, first"}
    assert figure["layout"]["yaxis"]["range"] == [0, 40]
    assert figure["layout"]["shapes"][0]["x0"] == "2026-11-09"


def test_plotly_is_kept_from_writing_style_sheets() -> None:
    """The ids are those of the installed version."""
    assert style_ids()[0] == "plotly.js-style-global"
    assert all(len(name) == 64 for name in style_ids()[1:])

"""Two runs side by side: where they part, what is equal though its ids are not, what it cost from there on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journal.domain import agent_run as run
from journal.domain import aggregate
from journal.domain.comparing import Comparison, History, compare, less
from tests.builders import failed, reasoned, recorded, responded, returned, started

ASKED = (started(), run.MessageReceived(role="user", content="Fix it."))


def history(structs: Sequence[msgspec.Struct], stream: str = "agent_run-a", at: int | None = None) -> History:
    """Return a run to compare."""
    events = recorded(structs, stream=stream)
    return History(
        stream=stream,
        events=events,
        newest=len(events),
        at=at,
        state_at=lambda version: aggregate.fold(stream, events[:version]),
    )


def compared(left: Sequence[msgspec.Struct], right: Sequence[msgspec.Struct], **more: Any) -> Comparison:
    """Return two runs compared."""
    return compare(history(left), history(right, "agent_run-b"), **more)


def test_two_runs_part_where_the_model_answers_differently() -> None:
    """The sentence says until where they are the same, what is different, and where."""
    found = compared(
        [*ASKED, run.ModelCalled(), responded("I edit."), reasoned("edit_file", "x"), returned(1, "edit_file", "x")],
        [*ASKED, run.ModelCalled(), responded("I read."), reasoned("read_file", "y"), returned("t", "read_file", "y")],
    )
    assert found.words() == "Same until 2, then the model answered differently at 4"
    assert [pair.mark for pair in found.pairs] == ["equal", "equal", "differs", "differs", "differs"]
    assert (found.left.at, found.right.at, found.left.same, found.right.same) == (4, 4, 2, 2)


@pytest.mark.parametrize(
    ("left", "right", "words"),
    [
        ([started()], [started(prompt="Other")], "Different from the first step on: the request is another at 1"),
        ([*ASKED, reasoned("a")], [*ASKED, reasoned("b")], "Same until 2, then another tool is called at 3"),
        (
            [*ASKED, reasoned("a", path="x")],
            [*ASKED, reasoned("a", path="y")],
            "Same until 2, then the call is made with other arguments at 3",
        ),
        ([*ASKED, returned(1)], [*ASKED, returned(2)], "Same until 2, then the tool gave another result at 3"),
        ([*ASKED, returned(1)], [*ASKED, failed()], "Same until 2, then something else happens at 3"),
        ([*ASKED, returned(1)], [*ASKED], "Same until 2, then B ends and A goes on at 3"),
        ([*ASKED], [*ASKED, returned(1)], "Same until 2, then A ends and B goes on at 3"),
        ([*ASKED], [*ASKED], "The same in all 2 steps"),
        (
            [started(), run.Annotated(text="n"), responded("a")],
            [started(), responded("b")],
            "Same until 1, then the model answered differently at 3 and 2",
        ),
    ],
)
def test_what_parts_them_is_named(left: list[msgspec.Struct], right: list[msgspec.Struct], words: str) -> None:
    """By what kind of step it is; no text of a run is in the sentence."""
    assert compared(left, right).words() == words


def test_ids_times_and_prices_are_no_difference() -> None:
    """Nor is the order of keys in arguments, a request to the model, a note or a verdict."""
    left = [started(), responded(cost_usd=0.1), reasoned("a", "c1", x=1, y=2), returned({"k": 1}, "a", "c1")]
    right = [
        started(model="other"),
        run.ModelCalled(),
        responded(cost_usd=0.9, input_tokens=7),
        run.Annotated(text="hm"),
        reasoned("a", "c9", y=2, x=1),
        returned({"k": 1}, "a", "c9"),
        run.Graded(rule="r", verdict="fails"),
    ]
    found = compared(left, right)
    assert found.parting is None
    assert [pair.mark for pair in found.pairs] == ["equal"] * 4


def test_what_one_run_does_later_is_the_same_elsewhere() -> None:
    """A call that only one side has at its place, and the other has at another."""
    extra = [reasoned("b"), returned(1, "b"), responded("on")]
    found = compared(
        [*ASKED, reasoned("look"), *extra, reasoned("end")],
        [*ASKED, *extra, reasoned("look"), reasoned("end")],
    )
    (place,) = [at for at, pair in enumerate(found.pairs) if pair.mark == "left"]
    assert found.elsewhere[place] == 6


def test_the_cost_is_that_behind_the_parting() -> None:
    """Of each run, and A less B; what neither recorded is not told."""
    same = [*ASKED, responded(cost_usd=0.25, input_tokens=100)]
    found = compared(
        [*same, responded("a", cost_usd=0.5, input_tokens=10), failed()],
        [*same, responded("b", cost_usd=0.25, input_tokens=40)],
    )
    assert found.left.since["cost_usd"] == 0.5
    assert found.right.since["input_tokens"] == 40
    difference = less(found.left.since, found.right.since)
    assert (difference["events"], difference["cost_usd"], difference["tool_errors"]) == (1, 0.25, 1)
    bare = compared([*ASKED, responded(cost_usd=None)], [*ASKED])
    assert bare.left.since["cost_usd"] is None


def test_one_run_at_two_versions_differs_by_what_lies_between() -> None:
    """Its steps are equal; its states are not."""
    structs = [*ASKED, responded("one"), responded("two")]
    found = compare(history(structs, at=2), history(structs, at=4))
    assert found.words() == "One run at 2 and at 4"
    assert {pair.mark for pair in found.pairs} == {"equal"}
    assert {change.path for change in found.changes} >= {"/context/1", "/context/2", "/totals/decisions"}


def test_states_are_compared_where_somebody_says() -> None:
    """Instead of where the runs part."""
    left, right = [*ASKED, responded("a"), responded("c")], [*ASKED, responded("b")]
    found = compare(history(left, at=4), history(right, "agent_run-b", at=2))
    assert (found.left.at, found.right.at) == (4, 2)
    assert any(change.path == "/totals/decisions" and change.before == 2 for change in found.changes)


def test_streams_of_another_category_are_compared_by_their_events() -> None:
    """Without totals, which they do not have."""
    events = [run.MemoryWritten(key="a", value=1), run.MemoryWritten(key="a", value=2)]
    found = compare(history(events, "order-1"), history(events[:1], "order-2"))
    assert found.words() == "Same until 1, then B ends and A goes on at 2"
    assert found.left.totals["cost_usd"] is None


_STEPS = st.lists(
    st.one_of(
        st.builds(responded, st.sampled_from(["a", "b"])),
        st.builds(reasoned, st.sampled_from(["x", "y"]), st.sampled_from(["c1", "c2"])),
        st.builds(returned, st.integers(0, 1), st.sampled_from(["x", "y"])),
        st.builds(run.Annotated, text=st.just("n")),
    ),
    max_size=12,
)


@settings(max_examples=40)
@given(_STEPS, _STEPS)
def test_swapping_the_sides_tells_the_same(left: list[msgspec.Struct], right: list[msgspec.Struct]) -> None:
    """Where they part, and what they have in common."""
    one, other = compared([*ASKED, *left], [*ASKED, *right]), compared([*ASKED, *right], [*ASKED, *left])
    assert (one.left.same, one.right.same) == (other.right.same, other.left.same)
    assert (one.parting is None) == (other.parting is None)


@settings(max_examples=40)
@given(_STEPS)
def test_a_run_beside_itself_is_equal_throughout(structs: list[msgspec.Struct]) -> None:
    """And costs nothing more."""
    found = compared([*ASKED, *structs], [*ASKED, *structs])
    assert {pair.mark for pair in found.pairs} == {"equal"}
    assert found.changes == ()
    assert found.parting is None

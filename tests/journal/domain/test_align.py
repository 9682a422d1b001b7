"""Two sequences side by side, against an oracle that tries everything."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journal.domain.align import GAP, Alignment, Item, align, pair_cost

ITEMS = st.builds(Item, st.integers(0, 3), st.sampled_from("ab"), st.sampled_from("xy"))
SEQUENCES = st.lists(ITEMS, max_size=9)


def cheapest(left: Sequence[Item], right: Sequence[Item]) -> int:
    """Return what the cheapest alignment costs, by trying every way."""

    @cache
    def rest(at: int, beside: int) -> int:
        if at == len(left) or beside == len(right):
            return GAP * (len(left) - at + len(right) - beside)
        both = pair_cost(left[at], right[beside]) + rest(at + 1, beside + 1)
        return min(both, GAP + rest(at + 1, beside), GAP + rest(at, beside + 1))

    return rest(0, 0)


def told(found: Alignment, left: Sequence[Item], right: Sequence[Item]) -> int:
    """Return what the pairs of an alignment cost, after seeing that they hold every item once and in order."""
    assert [pair.left for pair in found.pairs if pair.left is not None] == list(range(len(left)))
    assert [pair.right for pair in found.pairs if pair.right is not None] == list(range(len(right)))
    cost = 0
    for pair in found.pairs:
        if pair.left is None or pair.right is None:
            assert pair.mark == ("right" if pair.left is None else "left")
            cost += GAP
        else:
            one, other = left[pair.left], right[pair.right]
            assert pair.mark == ("equal" if one.key == other.key else "differs")
            cost += pair_cost(one, other)
    return cost


@given(SEQUENCES, SEQUENCES)
def test_no_alignment_is_cheaper(left: list[Item], right: list[Item]) -> None:
    """And it costs what it says."""
    found = align(left, right)
    assert found.is_cheapest
    assert told(found, left, right) == found.cost == cheapest(left, right)


@given(SEQUENCES)
def test_a_sequence_beside_itself_is_equal_throughout(items: list[Item]) -> None:
    """At no cost."""
    found = align(items, items)
    assert [pair.mark for pair in found.pairs] == ["equal"] * len(items)
    assert found.cost == 0


@given(SEQUENCES, SEQUENCES)
def test_it_does_not_matter_which_stands_on_the_left(left: list[Item], right: list[Item]) -> None:
    """As far as the cost goes."""
    assert align(left, right).cost == align(right, left).cost


@settings(max_examples=40)
@given(st.lists(ITEMS, min_size=20, max_size=60), st.lists(ITEMS, max_size=60), st.integers(1, 200))
def test_a_narrow_look_still_holds_everything(left: list[Item], right: list[Item], cells: int) -> None:
    """It is never cheaper than the cheapest, and where it did not look everywhere it says so."""
    found = align(left, right, cells=cells)
    assert told(found, left, right) == found.cost >= align(left, right).cost
    if found.cost > align(left, right).cost:
        assert not found.is_cheapest


@pytest.mark.parametrize("length", [100_000])
def test_long_alike_runs_take_one_pass(length: int) -> None:
    """What both begin and end with is not put into the table, so a change in the middle is found exactly."""
    items = [Item(at, "a") for at in range(length)]
    other = [*items[: length // 2], Item("new", "a"), *items[length // 2 :]]
    found = align(items, other)
    assert (found.cost, found.is_cheapest) == (GAP, True)


def test_pairs_of_one_group_stand_side_by_side() -> None:
    """Two calls of one tool rather than two calls of any; kinds are never mixed."""
    left = [Item(1, "call", "edit")]
    right = [Item(2, "result", "edit"), Item(3, "call", "read"), Item(4, "call", "edit")]
    assert [tuple(pair) for pair in align(left, right).pairs] == [
        (None, 0, "right"),
        (None, 1, "right"),
        (0, 2, "differs"),
    ]

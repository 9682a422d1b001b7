"""Dispatch ids are derived, and a ring of them is bounded, honest about it, and part of the state."""

from __future__ import annotations

from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journal.domain.dispatch import NAMESPACE, DedupeRing, NewDispatch, answer_id, dispatch_id, resolved
from journal.domain.event import EventData
from journal.errors import PayloadRefused
from tests.builders import identity, raw

EVENT = "01992f0c-7a1e-7c3a-b1aa-0d5b6f2f9a11"


def test_the_derivation_is_the_documented_one() -> None:
    """Another program derives the same id from the same four names."""
    name = f'["default","{EVENT}","webhook","müller"]'
    assert dispatch_id("default", EVENT, "webhook", "müller") == uuid5(NAMESPACE, name)
    assert str(dispatch_id("default", EVENT, "webhook", "w-1")) == "ee040918-a29f-5b61-a120-685760a80725"


@given(st.lists(st.text(), min_size=8, max_size=8))
def test_different_names_give_different_ids(parts: list[str]) -> None:
    """Nothing that stands in a name can make it run into the next one."""
    left, right = parts[:4], parts[4:]
    assert (dispatch_id(*left) == dispatch_id(*right)) == (left == right)


def test_a_dispatch_belongs_to_the_event_that_asks_for_it() -> None:
    """The last of the append, unless it says which."""
    events = [raw(id=identity(1)), raw(id=identity(2))]
    asked = [NewDispatch(effect="mail", target="a"), NewDispatch(effect="mail", target="a", of=0)]
    rows = resolved("default", events, asked, now_us=7)
    assert [row.event_id for row in rows] == [identity(2), identity(1)]
    assert rows[0].id == str(dispatch_id("default", identity(2), "mail", "a"))
    assert rows[0].due_us == 7


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ([NewDispatch(effect="mail", target="a"), NewDispatch(effect="mail", target="a")], "asks for it twice"),
        ([NewDispatch(effect="mail", target="a", of=5)], "the append has 1 events"),
    ],
)
def test_what_has_no_id_of_its_own_is_refused(asked: list[NewDispatch], reason: str) -> None:
    """Two dispatches with one id would be one, and nobody would notice."""
    with pytest.raises(PayloadRefused, match=reason):
        resolved("default", [EventData(type="test.noted", data=b"{}", id=identity(1))], asked, now_us=0)


def test_the_oldest_id_makes_room() -> None:
    """And the ring says that it is nearly full before that, and how many it has forgotten after."""
    ring = DedupeRing(10)
    for number in range(8):
        ring.add(str(number))
    assert not ring.is_nearly_full
    ring.add("8")
    assert ring.is_nearly_full
    for number in range(9, 12):
        ring.add(str(number))
    assert (ring.seen("1"), ring.seen("2"), len(ring), ring.evicted) == (False, True, 10, 2)


def test_an_id_that_came_again_stays_longer() -> None:
    """What was redelivered once may be again."""
    ring = DedupeRing(2)
    ring.add("a")
    ring.add("b")
    ring.hit("a")
    ring.add("c")
    assert ring.seen("a")
    assert not ring.seen("b")
    assert ring.hit_rate == 0.25


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=60), st.integers(1, 8))
def test_a_ring_survives_its_snapshot_at_any_point(steps: list[tuple[bool, int]], cut: int) -> None:
    """A ring restored halfway and given the rest is the ring that was never stored."""
    whole, halves = DedupeRing(4), DedupeRing(4)
    for at, (is_hit, number) in enumerate(steps):
        if at == cut:
            halves = DedupeRing.from_json(halves.to_json())
        for ring in (whole, halves):
            ring.hit(str(number)) if is_hit else ring.add(str(number))
    assert whole.to_json() == halves.to_json()
    assert whole.fork().to_json() == whole.to_json()


def test_a_ring_has_room_for_one_at_least() -> None:
    """One without would take every redelivery for new."""
    with pytest.raises(ValueError, match="one place or more"):
        DedupeRing(0)


def test_an_answer_has_its_own_id_for_each_part() -> None:
    """And always the same one."""
    dispatch = str(dispatch_id("default", EVENT, "alert", "alerts-2026-11"))
    assert answer_id(dispatch) == answer_id(dispatch) != answer_id(dispatch, "again")
    assert UUID(answer_id(dispatch)).version == 5

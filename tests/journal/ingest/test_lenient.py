"""Odd fields count as absent, and results find their calls."""

from __future__ import annotations

import pytest

from journal.ingest.lenient import Calls, as_float, as_int, fingerprint, plain_text


@pytest.mark.parametrize("odd", [None, True, "7", [], {}, float("inf"), float("nan"), 10**400])
def test_what_is_no_finite_number_is_absent(odd: object) -> None:
    """Neither a count nor an amount is read from it."""
    assert (as_int(odd), as_float(odd)) == (None, None)


def test_a_whole_number_may_be_written_as_a_float() -> None:
    """7.0 is a count of seven, 7.5 is none."""
    assert (as_int(7.0), as_int(7.5)) == (7, None)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("hello", "hello"),
        ([{"type": "text", "text": "a"}, {"type": "image"}, "b"], "a\nb"),
        ([], None),
        ({"text": "a"}, None),
        (None, None),
    ],
)
def test_a_message_says_its_text(content: object, said: str | None) -> None:
    """Blocks without text say nothing."""
    assert plain_text(content) == said


def test_a_repeated_call_id_is_told_apart() -> None:
    """The second call with an id has a number behind it, and results answer the calls in order."""
    calls = Calls()
    first, second = (calls.open("a", key=key, tool="run") for key in ("1", "2"))
    assert (first.id, second.id) == ("a", "a#2")
    assert [calls.answer("a"), calls.answer("a"), calls.answer("a")] == [first, second, None]


def test_a_result_without_an_id_answers_the_oldest_call() -> None:
    """Calls without ids keep none."""
    calls = Calls()
    first, second = (calls.open(None, key=key, tool="run") for key in ("1", "2"))
    assert first.id is None
    assert [calls.answer(None), calls.answer(None)] == [first, second]


def test_a_fingerprint_does_not_see_the_order_of_keys() -> None:
    """Two objects with the same fields have the same one; other values have another."""
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1}) != fingerprint({"a": 1})

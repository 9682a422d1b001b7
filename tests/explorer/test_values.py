"""Values of events, and texts that hold them: as a whole, never as part of another."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.values import LONGEST, MOST, Value, figures_in, holds, value_of, values_in
from journal.domain.codec import text

HELD = (
    ("at a rate of 0.01084.", "0.01084"), ("worth 29.00 EUR", "29.0"), ("1,234.50 in all", "1234.5"), ("$5.00!", "5"),
    ("a range of 3-5", "5"), ("-7 degrees", "-7"), ("1e3 of them", "1000"),
    ("0.009734\nnorthbank v2\n31.3", "northbank v2"),
    ("Told USER-31, again", "user-31"), ("see (billing/refunds.py)", "billing/refunds.py"), ("日本の都", "日本の都"),
    ("the 87990.", "87990"), ("=> done", "=> done"),
)  # fmt: skip
FALSE_FRIENDS = (
    ("10.01084", "0.01084"), ("0.010841", "0.01084"), ("v0.01084", "0.01084"), ("-0.01084", "0.01084"),
    ("version 1.2.3.4", "1.2"), ("12,345", "345"), ("12,345", "12"), ("879901", "87990"), ("x87990", "87990"),
    ("user-31 said", "user-3"), ("user-3-copy", "user-3"), ("new-user-3", "user-3"), ("concatenate", "cat"),
    ("northbank v2.1", "northbank v2"), ("northbank v20", "northbank v2"), ("the\ncat", "the cat"), ("", "5"),
)  # fmt: skip


@pytest.mark.parametrize(("said", "value"), HELD)
def test_a_text_holds_a_value_that_stands_in_it_as_a_whole(said: str, value: str) -> None:
    """Numbers count as numbers, however they are written; other values letter by letter, without regard to case."""
    assert holds(said, Value(text=value))


@pytest.mark.parametrize(("said", "value"), FALSE_FRIENDS)
def test_a_text_does_not_hold_a_value_that_is_part_of_another(said: str, value: str) -> None:
    """Neither a longer number nor a longer word."""
    assert not holds(said, Value(text=value))


@given(st.decimals(min_value=Decimal(0), max_value=Decimal(10) ** 9, places=3), st.integers(1, 9))
def test_a_number_is_found_in_any_of_its_spellings_and_in_no_other_number(number: Decimal, digit: int) -> None:
    """With another count of places or thousands apart; with one more digit in front or behind it is another."""
    value = Value(text=str(number))
    for written in value.spellings:
        assert holds(f"It is {written}.", value)
        assert holds(f"({written}%)", value)
        assert not holds(f"{written}x", value)
        assert not holds(f"{digit}{written}", value) or Decimal(f"{digit}{written}".replace(",", "")) == number
    assert not holds(f"{number}{digit}", value)


@given(st.text(alphabet="ab1 -.", min_size=1, max_size=12), st.text(alphabet="ab1 -.\n", max_size=30))
def test_what_holds_a_value_has_it_in_it(sought: str, said: str) -> None:
    """Whatever is said to hold a value that is no number has its letters in a row."""
    value = value_of(sought)
    if value is not None and value.number is None and holds(said, value):
        assert value.text.lower() in said.lower()


def test_the_values_of_a_result_are_what_it_brought_and_not_how_it_was_called() -> None:
    """Names of tools, ids of calls and durations are no values; of JSON in a string its leaves are."""
    result = {"currency": "USD", "rate": 0.01084, "feed": "northbank v2", "ok": True, "none": None}
    found = values_in(
        "agent_run.tool_returned",
        {"toolName": "exchange_rate", "callId": "c_02", "responseJson": text(result), "latencyMs": 75.3},
    )
    assert [(value.text, value.name, value.is_telling) for value in found] == [
        ("USD", "currency", False), ("0.01084", "rate", True), ("northbank v2", "feed", True),
    ]  # fmt: skip


def test_of_a_long_text_the_names_with_digits_are_values() -> None:
    """A sentence is found by nobody; what it names may be."""
    said = "Order 88535 of user-93 was moved to the new shelf by the night shift, and nobody noticed until 7 o'clock."
    assert [value.text for value in values_in("agent_run.message_received", {"content": said})] == ["88535", "user-93"]


def test_the_values_of_an_event_are_bounded() -> None:
    """However many there are, and however deep they stand."""
    deep: object = "the end 12345"
    for _ in range(3_000):
        deep = [deep]
    assert [value.text for value in values_in("other.thing", {"deep": deep})] == ["the end 12345", "12345"]
    assert len(values_in("other.thing", {"many": [f"value {number:04}" for number in range(200)]})) == MOST


def test_the_figures_of_an_answer_are_its_numbers_of_any_length() -> None:
    """In the order in which it states them, each once."""
    said = "order 87990 is 20 days old, and our policy (v3) allows 14 days. 14 days!"
    assert [value.text for value in figures_in(said)] == ["87990", "20", "v3", "14"]


@pytest.mark.parametrize("typed", ["", " ", "x", "\x00\x00", "…!"])
def test_what_cannot_be_looked_for_is_no_value(typed: str) -> None:
    """One letter, or no letter at all."""
    assert value_of(typed) is None


def test_a_typed_value_is_tidied_and_cut() -> None:
    """White space is one space, as in the texts that are searched."""
    found = value_of("  northbank \t v2\x00 " + "y" * 500)
    assert found is not None
    assert found.text.startswith("northbank v2 y")
    assert len(found.text) == LONGEST


@pytest.mark.parametrize(
    "text", ["at 12:14:05", "2026-09-14", '{"at":"2026-10-24T22:14:55Z"}', "14:30", "2026-11-14 14:14:14.14+14:14"]
)
def test_a_number_is_no_part_of_a_time(text: str) -> None:
    """Fourteen minutes past, or the fourteenth, say nothing of fourteen days."""
    assert not holds(text, Value(text="14"))
    assert holds(f"{text} within 14 days", Value(text="14"))


def test_a_date_in_an_answer_is_looked_up_whole() -> None:
    """Not as a year, a month and a day."""
    found = [value.text for value in figures_in("Ordered on 2026-09-14, 14 days, at 12:05")]
    assert found == ["2026-09-14", "14", "12:05"]
    assert holds('{"ordered":"2026-09-14"}', Value(text="2026-09-14"))

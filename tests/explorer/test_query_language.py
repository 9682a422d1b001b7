"""The query line: what is typed, what it means, and what is said where it means nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer import query_language as language
from explorer.query_language import Comparison, Query, parse, with_flag, with_text, with_value


def said(query: Query) -> list[tuple[str, list[str], bool]]:
    """Return the terms without their places."""
    return [(term.key, [value.text for value in term.values], term.is_negated) for term in query.terms]


def test_a_query_is_terms_side_by_side() -> None:
    """Keys, alternatives, a minus, a flag, quoted and bare words are told apart."""
    query = parse('agent:coder,writer -status:aborted steps:>150 failed "line 88" refund')
    assert said(query) == [
        ("agent", ["coder", "writer"], False),
        ("status", ["aborted"], True),
        ("steps", [">150"], False),
        ("failed", [], False),
        ("text", ["line 88"], False),
        ("text", ["refund"], False),
    ]
    assert not query.problems


def test_quotation_marks_keep_spaces_commas_and_colons_together() -> None:
    """A value may hold anything in quotation marks, and its own marks after a backslash."""
    assert said(parse(r'tool:"a, b: \"c\"",grep')) == [("tool", ['a, b: "c"', "grep"], False)]


def test_a_flag_in_quotation_marks_is_a_word() -> None:
    """`failed` filters; `"failed"` is looked for."""
    assert [term.key for term in parse('failed "failed"').terms] == ["failed", "text"]


@pytest.mark.parametrize("text", ["a-b", "--x", "x-"])
def test_a_minus_in_a_word_is_part_of_it(text: str) -> None:
    """Only the one in front of a term negates."""
    assert not parse(text).problems


@pytest.mark.parametrize(("text", "left"), [("-", ""), ("- x", "x"), ("--", ""), ("x => y", "x y")])
def test_signs_alone_are_shown_with_what_is_left(text: str, left: str) -> None:
    """Dashes that negate nothing are a text, and a text of signs is found by no index."""
    (problem,) = parse(text).problems
    assert "a letter or a digit" in problem.message
    assert problem.fixed == left


def test_a_mistyped_key_is_shown_with_the_nearest_one() -> None:
    """The problem points at the word, and holds the query with it put right."""
    (problem,) = parse("last:7d agnt:coder").problems
    assert (problem.word, problem.start, problem.end) == ("agnt", 8, 12)
    assert problem.message == "There is no key agnt. Nearest: agent."
    assert problem.fixed == "last:7d agent:coder"


def test_something_with_a_colon_that_is_no_key_may_be_quoted() -> None:
    """An address typed as a word leads to the query that finds it."""
    (problem,) = parse("http://shop.example").problems
    assert problem.fixed == '"http://shop.example"'


@pytest.mark.parametrize(
    ("text", "word", "fixed"),
    [
        ("status:runing", "runing", "status:running"),
        ("steps:many", "many", None),
        ("last:week", "week", None),
        ("since:yesterday", "yesterday", None),
        ("agent:", "agent:", None),
        ('tool:"grep', '"grep', 'tool:"grep"'),
        ('tool:"grep"x', "x", 'tool:"grep" x'),
    ],
)
def test_what_is_wrong_is_pointed_at(text: str, word: str, fixed: str | None) -> None:
    """Each kind of mistake names its place, and the way out where there is one."""
    (problem,) = parse(text).problems
    assert (problem.word, problem.fixed) == (word, fixed)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        (">150", Comparison(op=">", number=150)),
        ("<=1.5", Comparison(op="<=", number=1.5)),
        (">$1", Comparison(op=">", number=1)),
        ("0", Comparison(op="=", number=0)),
        ("1e9", None),
        ("٣", None),
    ],
)
def test_numbers_are_compared(text: str, meaning: Comparison | None) -> None:
    """An operator and a plain number, in ASCII digits."""
    assert language.comparison(text) == meaning


def test_both_ends_of_a_range_of_days_are_inside() -> None:
    """`since` is the first moment of its day and `until` the last one."""
    assert language.moment("2026-11-22", is_end=False) == datetime(2026, 11, 22, tzinfo=UTC)
    assert language.moment("2026-11-22", is_end=True) == datetime(2026, 11, 23, tzinfo=UTC) - timedelta(microseconds=1)


def test_a_time_with_a_zone_is_turned_to_utc() -> None:
    """A time that names no zone is UTC."""
    assert language.moment("2026-11-22T12:04+02:00", is_end=False) == datetime(2026, 11, 22, 10, 4, tzinfo=UTC)
    assert language.moment("2026-11-22T12:04", is_end=False) == datetime(2026, 11, 22, 12, 4, tzinfo=UTC)


def test_choosing_a_value_in_the_menu_switches_it() -> None:
    """It is added to the alternatives, and taken out by choosing it again; other terms stay as typed."""
    query = parse("last:7d agent:coder refund")
    more = parse(with_value(query, "agent", "night shift"))
    assert more.text == 'last:7d agent:coder,"night shift" refund'
    assert with_value(more, "agent", "coder") == 'last:7d agent:"night shift" refund'
    assert with_value(query, "agent", "coder") == "last:7d refund"


def test_choosing_another_length_of_time_replaces_it() -> None:
    """Two lengths side by side would mean the shorter one, which nobody asks for."""
    assert with_value(parse("last:7d"), "last", "30d") == "last:30d"


def test_a_flag_is_switched() -> None:
    """It comes at the end, and goes from wherever it stands."""
    assert with_flag(parse("refund"), "failed") == "refund failed"
    assert with_flag(parse("failed refund"), "failed") == "refund"


def test_a_value_is_exchanged_in_its_place() -> None:
    """A suggestion keeps the rest of the query."""
    query = parse("tool:edit_fil refund")
    assert with_text(query, query.terms[0].values[0], "edit file") == 'tool:"edit file" refund'


@given(st.text())
def test_no_text_makes_the_parser_fail(text: str) -> None:
    """Each text gives terms or problems, all within the text and in its order."""
    query = parse(text)
    ends = [term.end for term in query.terms]
    assert ends == sorted(ends)
    assert all(0 <= problem.start <= problem.end <= len(text) for problem in query.problems)


_pieces = st.sampled_from(
    [
        "agent:",
        "-",
        '"',
        ",",
        "\\",
        " ",
        ":",
        "*",
        "x",
        "steps:",
        ">",
        "9",
        "last:",
        "7d",
        "failed",
        "since:",
        "2026-11-22",
    ]
)


@given(st.lists(_pieces, max_size=12).map("".join))
def test_no_mixture_of_the_language_makes_the_parser_fail(text: str) -> None:
    """Nor does one that is made of its own signs; and a query that is put right is understood better than before."""
    query = parse(text)
    for problem in query.problems:
        if problem.fixed is not None:
            assert problem.fixed != text


@given(st.text(min_size=1).filter(lambda text: "\x00" not in text))
def test_a_written_value_is_read_back(value: str) -> None:
    """Whatever a run's agent is called, choosing it in the menu finds it."""
    query = parse(language.written("agent", value))
    assert said(query) == [("agent", [value], False)]
    assert not query.problems


def test_a_query_that_is_too_long_is_not_read() -> None:
    """The limit is named."""
    (problem,) = parse("x " * language.MAX_LENGTH).problems
    assert "2,000" in problem.message

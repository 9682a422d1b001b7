"""Text, words and passages: what the search indexes are given and what pages show."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.queries.run_address import Address
from explorer.queries.run_find import NEAR, TICKS, found_of, ticks
from explorer.search import InRun
from explorer.search.passages import marked, passage, passages_of
from explorer.search.text import LIMIT, content_of, fold, tidy
from explorer.search.words import in_project, in_run, needle, words_of

ANY_TEXT = st.text(max_size=60)


# --- Text -------------------------------------------------------------------------------------------------------------


def test_values_are_found_and_names_are_not() -> None:
    """A line for each value in its order; JSON within text counts for what it says; true and null say nothing."""
    payload = {
        "toolName": "edit_file",
        "argsJson": '{"path": "billing/refunds.py", "lines": [88, 1.5], "force": true, "note": "a\\nb"}',
        "content": [{"type": "text", "text": "  two \t words "}, None, ""],
    }
    said = "edit_file\nbilling/refunds.py\n88\n1.5\na b\ntext\ntwo words"
    assert content_of(payload).text == said


@pytest.mark.parametrize("text", ["{not json", "[1, 2", '"quoted"', "{}x", "[]"])
def test_text_that_is_not_json_is_text(text: str) -> None:
    """A model's malformed arguments can be found as they stand; an empty list says nothing."""
    assert content_of({"argsJson": text}).text == ("" if text == "[]" else text)


def test_encoded_files_are_left_out() -> None:
    """Base64 is nobody's word; a long text with spaces is text."""
    blob = "iVBORw0KGgoAAAANSUhEUgAAAAUA" * 50
    assert content_of({"data": blob, "url": f"data:image/png;base64,{blob}==", "text": "a chart"}).text == "a chart"
    assert content_of({"text": "word " * 400}).text == ("word " * 400).strip()


@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT, LIMIT + 1, 5 * LIMIT])
def test_a_long_text_is_cut_and_says_so(size: int) -> None:
    """By characters of what can be found, over all values together."""
    content = content_of({"first": "x" * 10, "then": "é " * (size // 2)})
    assert len(content.text) <= LIMIT
    assert content.is_cut == (11 + len(("é " * (size // 2)).strip()) > LIMIT)


def test_deep_data_is_read() -> None:
    """As deep as the journal takes it, and JSON in JSON in JSON."""
    deep: Any = "needle"
    for _ in range(190):
        deep = [{"inner": deep}]
    assert content_of({"x": deep}).text == "needle"
    nested = "needle"
    for _ in range(9):
        nested = json.dumps({"inner": nested})
    assert content_of({"x": nested}).text == "needle"


@given(ANY_TEXT)
def test_folding_keeps_every_character_in_its_place(text: str) -> None:
    """Marks are made from offsets: folded and written text have the same ones. Folding twice changes nothing."""
    assert len(fold(text)) == len(text)
    assert fold(fold(text)) == fold(text)
    assert fold(text.upper()) == fold(text) or len(text.upper()) != len(text) or text.upper().lower() != text.lower()


# --- Words ------------------------------------------------------------------------------------------------------------


@given(ANY_TEXT)
def test_words_are_plain(text: str) -> None:
    """Every database takes them as one word each: ASCII letters and digits, not too short or too long for MySQL."""
    for word in words_of(tidy(text)) | {in_run("p", text), in_project(text)}:
        assert word.isascii()
        assert word.isalnum()
        assert 3 <= len(word) <= 84


@given(st.lists(ANY_TEXT, min_size=1, max_size=4))
def test_the_words_of_a_needle_are_words_of_the_text_around_it(parts: list[str]) -> None:
    """Put between two spaces, whatever is looked for is found by the index."""
    text = tidy(" ".join(parts))
    for part in parts:
        sought = needle(part)
        words = words_of(text)
        if f" {sought.text} " in f" {text} ":
            for term in sought.terms:
                assert term.word in words or (term.is_prefix and any(word.startswith(term.word) for word in words))


def test_places_are_no_words() -> None:
    """A text that spells the word of another project or run does not stand in it."""
    assert not words_of(f"{in_project('theirs')} {in_run('theirs', 'agent_run-1')}") & {
        in_project("theirs"),
        in_run("theirs", "agent_run-1"),
    }


@pytest.mark.parametrize("typed", ["", " ", "--", "=>", "\u202e", "…", "%"])
def test_signs_alone_are_no_needle(typed: str) -> None:
    """There is nothing that an index could be asked for."""
    assert not needle(typed)


# --- Passages ---------------------------------------------------------------------------------------------------------


@given(ANY_TEXT, st.text(min_size=1, max_size=3))
def test_marks_lose_nothing(text: str, typed: str) -> None:
    """The parts are the text, and each marked one is what was looked for."""
    sought = fold(typed)
    parts = list(marked(text, sought))
    assert "".join(part.text for part in parts) == text
    assert all(fold(part.text) == sought for part in parts if part.is_hit)
    assert any(part.is_hit for part in parts) == (sought in fold(text))


@given(st.integers(0, 300), st.integers(0, 300))
def test_a_passage_is_short_and_has_the_hit(before: int, behind: int) -> None:
    """However much stands around it."""
    text = "ab " * before + "Needle" + " yz" * behind
    (first,) = passages_of(text, "needle", version=3, is_cut=False, most=3)
    assert [part.text for part in first.parts if part.is_hit] == ["Needle"]
    assert len(first.text) < 260
    shown = first.text.strip("…")
    assert shown in text
    assert first.text.startswith("…") == (not text.startswith(shown))
    assert first.text.endswith("…") == (not text.endswith(shown))


def test_passages_do_not_tell_the_same_twice() -> None:
    """Hits that one passage shows are marked in it; the next passage is further on."""
    text = "needle needle " + "x " * 200 + "needle"
    found = passages_of(text, "needle", version=1, is_cut=True, most=3)
    assert [sum(part.is_hit for part in one.parts) for one in found] == [2, 1]
    assert all(one.is_cut for one in found)


def test_a_line_end_is_a_space_in_a_passage() -> None:
    """Values stand one after the other in it."""
    found = passage("one\ntwo needle\nthree", "needle", version=1, is_start=True, is_cut=False)
    assert found.text == "one two needle three"


# --- Hits of a run ----------------------------------------------------------------------------------------------------


@given(st.sets(st.integers(1, 100_000), max_size=400), st.integers(1, 100_000))
def test_ticks_are_bounded_and_show_every_place(versions: set[int], events: int) -> None:
    """At most as many strokes as places, one for each part of the run that has a hit, from left to right."""
    inside = sorted(version for version in versions if version <= events)
    strokes = ticks(inside, events).split("M")[1:]
    assert len(strokes) == len({(version - 1) * TICKS // events for version in inside}) <= TICKS
    places = [float(stroke.split()[0]) for stroke in strokes]
    assert places == sorted(places)


@given(st.sets(st.integers(1, 3_000), max_size=2_000), st.integers(1, 3_000))
def test_the_cursor_stands_among_the_hits(hits: set[int], version: int) -> None:
    """Its number, its neighbours and the hits that the page knows are those of the whole list."""
    versions = sorted(hits)
    found = found_of(
        InRun(versions=tuple(versions)),
        needle("x"),
        Address(stream="agent_run-1", q="x"),
        version=version,
        events=3_000,
    )
    assert found.total == len(versions)
    assert found.at == (versions.index(version) + 1 if version in hits else 0)
    assert found.before == max((hit for hit in versions if hit < version), default=None)
    assert found.after == min((hit for hit in versions if hit > version), default=None)
    begin = found.first_near - 1
    assert list(found.near) == versions[begin : begin + len(found.near)]
    assert len(found.near) <= 2 * NEAR + 1
    assert {found.before, found.after} - {None} <= set(found.near)

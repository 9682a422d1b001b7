"""What a call did, as lines or as names and values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.edits import did, line_diff
from journal.domain.codec import text


@pytest.mark.parametrize(("old", "new"), [("old_str", "new_str"), ("old_string", "new_string"), ("search", "replace")])
def test_a_replacement_is_a_diff(old: str, new: str) -> None:
    """The usual pairs of names are shown as removed and added lines, and the file in the head."""
    shown = did(text({"path": "a.py", old: "x = 1\ny = 2", new: "x = 3\ny = 2"}))
    assert shown.edit is not None
    assert [(line.mark, line.text) for line in shown.edit.lines] == [("−", "x = 1"), ("+", "x = 3"), ("", "y = 2")]
    assert (shown.target, shown.arguments) == ("a.py", ())


def test_a_new_file_has_line_numbers() -> None:
    """A whole file is all added, numbered, and cut with the number of further lines."""
    shown = did(text({"path": "a.py", "content": "\n".join(f"line {number}" for number in range(100))}))
    assert shown.edit is not None
    assert (shown.edit.lines[4].mark, shown.edit.lines[4].number) == ("+", 5)
    assert (len(shown.edit.lines), shown.edit.more) == (60, 40)


def test_a_patch_keeps_its_own_marks() -> None:
    """The lines of a patch are shown with the marks they have."""
    shown = did(text({"patch": "--- a\n+++ b\n@@ -1 +1 @@\n-x\n+y\n z"}))
    assert shown.edit is not None
    assert [line.mark for line in shown.edit.lines] == ["", "", "", "−", "+", ""]


def test_other_arguments_are_names_and_values() -> None:
    """A call that is no edit is shown as it was given, long values with their true size."""
    shown = did(text({"pattern": "round(", "limit": 5, "deep": {"a": [1]}, "long": "x" * 5_000}))
    assert [(argument.name, argument.value) for argument in shown.arguments][:3] == [
        ("pattern", "round("),
        ("limit", "5"),
        ("deep", '{"a": [1]}'),
    ]
    assert shown.arguments[3].note == "1,200 of 5,000 characters; the whole is under Payload"


@pytest.mark.parametrize("raw", ['{"path": "a', "[1, 2]", '"text"', "", "null"])
def test_malformed_arguments_are_shown_as_they_are(raw: str) -> None:
    """Arguments that are no object are one text, or nothing."""
    shown = did(raw)
    assert shown.edit is None
    assert len(shown.arguments) == (0 if raw in ("", "null") else 1)


_LINES = st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=12)


@given(_LINES, _LINES)
def test_a_diff_has_every_changed_line(old: list[str], new: list[str]) -> None:
    """What is added less what is removed is what the new text has more of each line than the old."""
    lines = line_diff("\n".join(old), "\n".join(new)).lines
    left, right = "\n".join(old).splitlines(), "\n".join(new).splitlines()
    for line in ("a", "b", "c", ""):
        marks = [shown.mark for shown in lines if shown.text == line]
        assert marks.count("+") - marks.count("−") == right.count(line) - left.count(line)

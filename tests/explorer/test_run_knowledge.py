"""What the model could know, told from earlier calls and results alone."""

from __future__ import annotations

from typing import Any

import pytest

from explorer.knowledge import Heard, Known, knowledge, reads, values_of
from journal.domain.codec import text


def _result(version: int, tool: str, *, failed: bool = False, **arguments: Any) -> tuple[str, dict[str, Any]]:
    entry = {
        "version": version,
        "tool": tool,
        "call_version": version - 1,
        "failed": failed,
        "preview": "…",
        "size_bytes": 2_400,
    }
    return f"{tool} {text(arguments)}", entry


def _about(
    value: str, results: list[tuple[str, dict[str, Any]]], heard: list[Heard] | None = None, **more: Any
) -> Known:
    return knowledge({"path": value}, dict(results), heard or [], **more)[0]


def test_a_file_that_was_read_is_read_whole() -> None:
    """A read of the very path counts, with how much came back."""
    heard = [Heard(version=11, tool="read_file", text="x", described="148 lines, 7.9 kB")]
    known = _about("a/b.py", [_result(11, "read_file", path="a/b.py")], heard)
    assert (known.extent, known.words, known.note, known.version) == ("whole", "read whole", "148 lines, 7.9 kB", 11)


def test_a_range_is_read_in_part() -> None:
    """A read of some lines is not a read of the file, and a later whole read wins over it."""
    part = _result(11, "read_file", path="a/b.py", offset=10, limit=5)
    assert _about("a/b.py", [part]).words == "read in part"
    assert _about("a/b.py", [part, _result(13, "view", path="a/b.py")]).version == 13


def test_a_mention_is_seen_in_part() -> None:
    """A path that only stands in another result was seen there, with the number of lines."""
    grep = Heard(version=20, tool="grep", text="a/b.py:1: x\na/b.py:9: y\nc.py: z")
    known = _about("a/b.py", [_result(20, "grep", pattern="x")], [grep])
    assert (known.words, known.note, known.version) == ("seen in part", "2 lines in the result of grep", 20)


def test_a_name_is_less_than_a_path() -> None:
    """A listing that has only the file's name says so."""
    listing = Heard(version=6, tool="list_dir", text="refunds.py\nmoney.py")
    assert _about("billing/refunds.py", [], [listing]).note == "its name, 1 line in the result of list_dir"


def test_nothing_is_written_out() -> None:
    """What was never read is said to be, with where it was looked for, and named in a message where it was."""
    known = _about("a/b.py", [_result(4, "read_file", path="other.py")])
    assert (known.words, known.note, known.version) == ("never read", "in no result before", None)
    assert _about("a/b.py", [], searched_from=101).note == "in no result from 101 on; older ones not searched"
    assert _about("a/b.py", [], [Heard(version=2, tool="", text="fix a/b.py")]).note == "named in a message"


def test_a_failed_read_is_not_a_read() -> None:
    """A read that failed leaves the file unread."""
    known = _about("a/b.py", [_result(8, "read_file", failed=True, path="a/b.py")])
    assert (known.extent, known.words, known.note) == ("failed", "not read", "read_file of it failed")


def test_an_edit_is_not_a_read() -> None:
    """A call that only names the file does not show it."""
    known = _about("a/b.py", [_result(8, "edit_file", path="a/b.py")])
    assert (known.words, known.note) == ("not read", "only named in a call of edit_file")


def test_the_newest_other_results_follow() -> None:
    """After what the call is about stand the three newest other results, oldest first."""
    results = dict(_result(version, "run_tests", path=f"t{version}.py") for version in (4, 6, 8, 10))
    rows = knowledge({"path": "a.py"}, results, [])
    assert [row.version for row in rows] == [None, 6, 8, 10]


def test_long_arguments_are_compared_by_what_is_left_of_them() -> None:
    """The state keeps the beginning of a long key; a path in it still counts."""
    key, entry = _result(9, "read_file", path="a/b.py", reason="x" * 500)
    cut = f"{key[:180]}… sha256:0123456789ab"
    assert knowledge({"path": "a/b.py"}, {cut: entry}, [])[0].words == "read whole"


@pytest.mark.parametrize(
    ("arguments", "values"),
    [
        ({"path": "a.py", "old_string": "x = 1\n"}, ("a.py",)),
        ({"command": "python -m pytest tests/test_a.py -k x"}, ("tests/test_a.py",)),
        ({"order_id": "#W2378156", "amount": 3, "note": "please be quick"}, ("#W2378156",)),
        ({"files": ["a.py", "b/c.py"]}, ("a.py", "b/c.py")),
        ({"count": "12.5", "flag": "yes"}, ()),
        ("not an object, see docs/a.md", ("docs/a.md",)),
        (None, ()),
        ({"path": 7, "deep": {"path": "x.py"}}, ()),
    ],
)
def test_paths_and_identifiers_are_found(arguments: Any, values: tuple[str, ...]) -> None:
    """Paths, addresses and identifiers are what a call is about; prose and numbers are not."""
    assert values_of(arguments) == values


@pytest.mark.parametrize(
    ("tool", "arguments", "expected"),
    [
        ("read_file", {}, True),
        ("getOrderDetails", {}, True),
        ("str_replace_editor", {"command": "view"}, True),
        ("bash", {"command": "cat a.py"}, True),
        ("bash", {"command": "cat a.py | head"}, False),
        ("bash", {"command": ""}, False),
        ("grep", {}, False),
        ("spreadsheet", {}, False),
        ("edit_file", {}, False),
    ],
)
def test_reading_is_told_by_the_name(tool: str, arguments: dict[str, str], expected: bool) -> None:  # noqa: FBT001
    """A tool whose name has a word for reading gives back what it names; a search does not."""
    assert reads(tool, arguments) is expected


@pytest.mark.parametrize(
    ("value", "short"),
    [
        ("billing/refunds.py", "billing/refunds.py"),
        ("/workspace/project/src/library/expr/match.c", "…/src/library/expr/match.c"),
        ("x" * 20 + "y" * 20, "x" * 13 + "…" + "y" * 12),
        ("a/" + "b" * 60, "…" + "b" * 26),
    ],
)
def test_a_long_value_keeps_what_tells_it_apart(value: str, short: str) -> None:
    """Of a long path the end is shown, where the file's name is."""
    assert Known(value=value, extent="never", words="never read").short == short

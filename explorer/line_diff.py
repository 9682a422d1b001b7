"""Two texts side by side, or one under the other, line by line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A line of the old text beside one of the new: `mark` is `=`, `~`, `+` or `−`; a missing side has no number."""

    mark: str
    old_number: int | None = None
    old: str = ""
    new_number: int | None = None
    new: str = ""

    @property
    def word(self) -> str:
        """What the mark means, for who cannot see it."""
        return {"=": "same", "~": "changed", "+": "added", "−": "removed"}[self.mark]


def side_by_side(old: str, new: str) -> tuple[Row, ...]:
    """Return every line of both texts, those that belong together in one row."""
    return tuple(_rows(old.splitlines(), new.splitlines()))


def _rows(old: list[str], new: list[str]) -> Iterator[Row]:
    for _, first, last, begin, end in SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        left = [(number + 1, old[number]) for number in range(first, last)]
        right = [(number + 1, new[number]) for number in range(begin, end)]
        for before, after in zip_longest(left, right):
            yield _row(before, after)


def _row(before: tuple[int, str] | None, after: tuple[int, str] | None) -> Row:
    if before is None and after is not None:
        return Row(mark="+", new_number=after[0], new=after[1])
    if after is None and before is not None:
        return Row(mark="−", old_number=before[0], old=before[1])
    if before is None or after is None:
        raise AssertionError("a row has a side")
    mark = "=" if before[1] == after[1] else "~"
    return Row(mark=mark, old_number=before[0], old=before[1], new_number=after[0], new=after[1])

"""The place of a hit with what stands around it, cut by offsets: pages mark what was found without reading HTML."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from explorer.search.text import fold

BEFORE: Final = 24
"""Characters of a passage in front of what was found: a narrow row must not cut the hit off."""

READ_BEFORE: Final = 80
READ: Final = 400
"""What is read of a text for its passage: some more than is shown, to begin and end at a space."""

SHOWN: Final = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A part of a passage, and whether it is what was looked for."""

    text: str
    is_hit: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Passage:
    """Where something was found. `is_cut` says that not all of the event's text can be found."""

    version: int
    parts: tuple[Part, ...]
    is_cut: bool

    @property
    def text(self) -> str:
        """Return the passage without its marks."""
        return "".join(part.text for part in self.parts)


def passage(  # noqa: PLR0913 - a piece, and what is known of it
    piece: str, folded_needle: str, *, version: int, is_start: bool, is_cut: bool, before: int = BEFORE
) -> Passage:
    """Return the passage around the first hit in a piece of a text, which begins the text where it `is_start`."""
    line = piece.replace("\n", " ")
    at = max(fold(piece).find(folded_needle), 0)
    begin = _begin(line, at, before)
    end = _end(line, max(begin + SHOWN, at + len(folded_needle)))
    shown = line[begin:end]
    parts = list(marked(shown, folded_needle))
    if begin > 0 or not is_start:
        parts.insert(0, Part(text="…", is_hit=False))
    if end < len(line):
        parts.append(Part(text="…", is_hit=False))
    return Passage(version=version, parts=tuple(parts), is_cut=is_cut)


def passages_of(text: str, folded_needle: str, *, version: int, is_cut: bool, most: int) -> tuple[Passage, ...]:
    """Return the first passages of a whole text, none of them showing what an earlier one shows."""
    folded, at = fold(text), 0
    found: list[Passage] = []
    while len(found) < most and (place := folded.find(folded_needle, at)) >= 0:
        begin = max(0, place - READ_BEFORE, at)
        piece = text[begin : begin + READ]
        found.append(
            passage(piece, folded_needle, version=version, is_start=begin == 0, is_cut=is_cut, before=READ_BEFORE)
        )
        at = max(place + len(folded_needle), place + SHOWN)
    return tuple(found)


def marked(text: str, folded_needle: str) -> Iterator[Part]:
    """Yield a text in parts, those that were looked for marked."""
    folded, at = fold(text), 0
    while folded_needle and (found := folded.find(folded_needle, at)) >= 0:
        if found > at:
            yield Part(text=text[at:found], is_hit=False)
        at = found + len(folded_needle)
        yield Part(text=text[found:at], is_hit=True)
    if at < len(text):
        yield Part(text=text[at:], is_hit=False)


def _begin(line: str, at: int, before: int) -> int:
    """Begin at a word where one begins near."""
    if at <= before:
        return 0
    space = line.find(" ", at - before, at)
    return space + 1 if space >= 0 else at - before


def _end(line: str, end: int) -> int:
    if end >= len(line):
        return len(line)
    space = line.rfind(" ", end - BEFORE, end)
    return space if space >= 0 else end

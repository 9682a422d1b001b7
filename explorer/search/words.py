"""Text to the words that an index holds, and what is typed to the words that it is asked for.

Every database gets the same words, made here, in letters that each of them takes as one word and none of them ignores:
how MySQL, PostgreSQL and SQLite cut text differs, and none cuts Chinese or Japanese into words. What the index finds is
then looked for in the text itself (`explorer.search.sql`), so words only have to miss nothing:

- A word is a run of letters and digits. It can be found from its beginning, and from where a digit follows a letter, a
  letter a digit, or a capital a small letter: `line88` by `88`, `EditFile` by `file`.
- In scripts that are written without spaces, each two neighbouring characters are a word, so every place is a start.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from explorer.search.text import fold, tidy

LONGEST: Final = 40
"""Characters of a word that the index holds; longer ones are found by these and then compared in the text."""

PARTS: Final = 8
"""Words with more parts than these, as hashes have, are found from their beginning alone."""

_TERMS: Final = 12
_WORD, _RUN, _PROJECT = "kk", "kr", "kp"
"""What the words of a text and of the places that it stands in begin with. Two letters, as MySQL leaves words of fewer
than three out; and no word of a text can pass for a place."""

_UNSPACED: Final = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
    "\uff66-\uff9f\U00020000-\U0003ffff"
)
"""Thai, Lao, Burmese, Khmer, Japanese, Chinese; Korean, whose words carry endings."""

_PIECE: Final = re.compile(rf"(?P<unspaced>[{_UNSPACED}]+)|[^\W_{_UNSPACED}]+")


@dataclass(frozen=True, kw_only=True)
class Term:
    """A word that the index is asked for; where it `is_prefix`, any word that begins so."""

    word: str
    is_prefix: bool


@dataclass(frozen=True, kw_only=True)
class Needle:
    """What is looked for: `folded` is what a text must hold, `terms` the words that it has then.

    `is_enough` says that a text with the words also holds the needle, and need not be looked at.
    """

    text: str
    folded: str
    terms: tuple[Term, ...]
    is_enough: bool

    def __bool__(self) -> bool:
        """Return whether there is anything that an index can be asked for: a letter or a digit."""
        return bool(self.terms)


def needle(typed: str) -> Needle:
    """Return what to look for when somebody typed this."""
    text = tidy(typed)
    folded = fold(text)
    found = [term for piece in _PIECE.finditer(folded) for term in _asked(piece, is_last=piece.end() == len(folded))]
    distinct = sorted(dict.fromkeys(found), key=lambda term: (-len(term.word), term.word))
    return Needle(
        text=text,
        folded=folded,
        terms=tuple(distinct[:_TERMS]),
        is_enough=len(found) == 1 and _is_one_piece(folded),
    )


def words_of(text: str) -> set[str]:
    """Return the words by which a text is found."""
    folded = fold(text)
    found: set[str] = set()
    for piece in _PIECE.finditer(folded):
        if piece["unspaced"]:
            found.update(_pairs(piece[0]))
        else:
            found.update(_from_starts(piece[0], text[piece.start() : piece.end()]))
    return found


def in_run(project: str, stream: str) -> str:
    """Return the word that all texts of a run have."""
    return _RUN + _digest(project, stream)


def in_project(project: str) -> str:
    """Return the word that all texts have which a search across the runs of a project looks at."""
    return _PROJECT + _digest(project)


def starts_of(word: str) -> list[int]:
    """Return where the parts of a word begin, its own beginning first."""
    inner = [at for at in range(1, len(word)) if _begins(word, at)]
    return [0, *inner] if len(word) <= LONGEST and len(inner) < PARTS else [0]


def _begins(word: str, at: int) -> bool:
    before, here = word[at - 1], word[at]
    if before.isdigit() != here.isdigit():
        return True
    return here.isupper() and (before.islower() or word[at + 1 : at + 2].islower())


@lru_cache(maxsize=1 << 16)
def _from_starts(folded: str, written: str) -> tuple[str, ...]:
    return tuple(_word(folded[at:]) for at in starts_of(written))


def _pairs(run: str) -> Iterator[str]:
    return (_word(run[at : at + 2]) for at in range(len(run)))


def _asked(piece: re.Match[str], *, is_last: bool) -> Iterator[Term]:
    """A last word may go on in the text; one of a single letter would lead to half of all words, and is taken whole."""
    run = piece[0]
    if not piece["unspaced"]:
        word = _word(run)
        yield Term(word=word, is_prefix=is_last and len(run) > 1 and len(word) < len(_WORD) + LONGEST)
    elif len(run) == 1:
        yield Term(word=_word(run), is_prefix=True)
    else:
        yield from (Term(word=word, is_prefix=False) for word in list(_pairs(run))[:-1])


def _is_one_piece(folded: str) -> bool:
    piece = _PIECE.fullmatch(folded)
    return piece is not None and len(_spelt(folded)) <= LONGEST


def _word(folded: str) -> str:
    return _WORD + _spelt(folded[:LONGEST])[:LONGEST]


def _spelt(folded: str) -> str:
    """Write a word in ASCII letters and digits, character by character, so that a beginning stays a beginning."""
    if folded.isascii() and "q" not in folded:
        return folded
    return "".join(_letter(character) for character in folded)


def _letter(character: str) -> str:
    """No spelling is the beginning of another one."""
    if character == "q":
        return "qq"
    if character.isascii():
        return character
    return f"q{ord(character):04x}" if ord(character) <= 0xFFFF else f"qx{ord(character):06x}"  # noqa: PLR2004


def _digest(*names: str) -> str:
    return blake2b("\n".join(names).encode(), digest_size=8).hexdigest()

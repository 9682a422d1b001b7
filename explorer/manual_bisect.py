"""A bisect whose rule is a person: they look at an event and say whether the run was still good there.

The journal keeps nothing of it: what was said stands in the address, so that half a search can be sent to somebody.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal

Said = Literal["good", "bad", "skip"]
SAID: Final[tuple[Said, ...]] = ("good", "bad", "skip")
_MOST: Final = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """What was said so far, in order. Before `after` the run was good; at `until` it is taken to be bad.

    Like a rule that claims to be monotone, it assumes that a run which went bad stays bad.
    """

    after: int
    until: int
    said: tuple[tuple[int, Said], ...] = ()

    @property
    def good(self) -> int:
        """The last event known to be good; that before the range where none is."""
        bad = self._lowest_bad
        return max((version for version, word in self.said if word == "good" and version < bad), default=self.after)

    @property
    def bad(self) -> int:
        """The first event known to be bad; the last of the range where nobody said so."""
        return self._lowest_bad

    @property
    def _lowest_bad(self) -> int:
        return min((version for version, word in self.said if word == "bad"), default=self.until)

    @property
    def skipped(self) -> frozenset[int]:
        """Those of which nobody could tell."""
        return frozenset(version for version, word in self.said if word == "skip")

    @property
    def contradicts(self) -> bool:
        """Whether something good was said of an event behind a bad one: then it went bad more than once."""
        return any(word == "good" and version > self.bad for version, word in self.said)

    @property
    def next(self) -> int | None:
        """The event to look at: in the middle of what is possible, or the nearest to it that was not skipped."""
        good, bad, skipped = self.good, self.bad, self.skipped
        middle = (good + bad) // 2
        around = (middle + side * step for step in range(bad - good) for side in (-1, 1))
        return next((version for version in around if good < version < bad and version not in skipped), None)

    @property
    def suspects(self) -> tuple[int, ...]:
        """The events that may be the first bad one: one, or those skipped right before it too."""
        return tuple(range(self.good + 1, self.bad + 1))

    def saying(self, version: int, word: Said) -> Search:
        """Return the search after one more word."""
        return replace(self, said=(*self.said, (version, word)))

    def back(self) -> Search:
        """Return the search without the last word."""
        return replace(self, said=self.said[:-1])

    def written(self) -> str:
        """Return what was said for an address: `100b,50g,75s`."""
        return ",".join(f"{version}{word[0]}" for version, word in self.said)


def read(text: str, *, after: int, until: int) -> Search:
    """Read what `written` wrote; what makes no sense, or lies outside the range, was not said."""
    return Search(after=after, until=until, said=tuple(_words(text.split(",")[:_MOST], after, until)))


def _words(parts: Iterable[str], after: int, until: int) -> Iterable[tuple[int, Said]]:
    known = {word[0]: word for word in SAID}
    for part in parts:
        number, letter = part[:-1], part[-1:]
        if letter in known and number.isdecimal() and len(number) < 19 and after < int(number) <= until:  # noqa: PLR2004 - as many digits as a version has
            yield int(number), known[letter]

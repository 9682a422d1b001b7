"""The drawing of a bisect: what was asked, in order, on the axis that the run's minimap has.

Pure: outcomes in, plain numbers out. Whatever the run's length, the rows are bounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from explorer.layout import percent
from journal.domain.bisect import Flip, Outcome, Probe

MOST: Final = 40
_THINNEST: Final = 0.25

Word = Literal["holds", "fails", "raised"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One row: an event that was asked about, or a stretch of events with one verdict.

    `first` and `last` are what was still possible when it was asked, or the stretch; the rest are places in percent.
    """

    order: int
    version: int
    word: Word
    first: int
    last: int
    at: float
    band_at: float
    band_width: float

    @property
    def numbers(self) -> str:
        """Return "41–59", or "41" for one event alone."""
        return f"{self.first:,}" if self.first == self.last else f"{self.first:,}–{self.last:,}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawing:
    """The rows of a bisect. `left_out` counts those in the middle that are not drawn."""

    rows: tuple[Row, ...]
    left_out: int
    is_search: bool


def drawing(outcome: Outcome, *, events: int, after: int = 0) -> Drawing:
    """Draw what led to an outcome: the probes of a search, or the stretches that a reading found.

    `events` is the length of the axis, `after` where the range begins.
    """
    is_search = bool(outcome.probes)
    rows = list(
        _probes(outcome.probes, after, outcome.events, events) if is_search else _stretches(outcome, after, events)
    )
    kept = rows if len(rows) <= MOST else [*rows[: MOST - 1], rows[-1]]
    return Drawing(rows=tuple(kept), left_out=len(rows) - len(kept), is_search=is_search)


def _probes(probes: Sequence[Probe], after: int, until: int, events: int) -> Iterator[Row]:
    good, bad = after, until
    for order, probe in enumerate(probes, 1):
        yield _row(order, probe.version, probe.verdict, good + 1, bad, events)
        if probe.verdict == "fails":
            bad = min(bad, probe.version)
        elif probe.verdict == "holds":
            good = max(good, probe.version)


def _stretches(outcome: Outcome, after: int, events: int) -> Iterator[Row]:
    for order, (first, last, word) in enumerate(stretches(outcome, after), 1):
        yield _row(order, first, word, first, last, events)


def stretches(outcome: Outcome, after: int = 0) -> list[tuple[int, int, Word]]:
    """Return the verdicts along a run as stretches of events, in order: first, last, verdict."""
    end = outcome.raised_at - 1 if outcome.raised_at is not None else outcome.events
    found: list[tuple[int, int, Word]] = []
    first, word = after + 1, "holds"
    for flip in (*outcome.flips, Flip(version=end + 1, to="holds")):
        if flip.version > first:
            found.append((first, flip.version - 1, word))  # type: ignore[arg-type]
        first, word = flip.version, flip.to
    if outcome.raised_at is not None:
        found.append((outcome.raised_at, outcome.raised_at, "raised"))
    return found


def _row(order: int, version: int, word: Word, first: int, last: int, events: int) -> Row:  # noqa: PLR0913, PLR0917
    left, right = percent(first, events), percent(max(first, last), events)
    return Row(
        order=order,
        version=version,
        word=word,
        first=first,
        last=last,
        at=percent(version, events),
        band_at=left,
        band_width=round(max(right - left, _THINNEST), 3),
    )


def changes(flips: Iterable[Flip], most: int = 6) -> str:
    """Say what came after the first failure: "recovered at 41, failed again at 60"; empty where nothing did."""
    words = [f"recovered at {flip.version:,}" if flip.to == "holds" else f"failed again at {flip.version:,}"
             for flip in list(flips)[1:]]  # fmt: skip
    more = len(words) - most
    return ", ".join(words[:most]) + (f", and {more:,} more changes" if more > 0 else "")

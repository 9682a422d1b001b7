"""Finding text in a run: its hits, where the cursor stands among them, their ticks on the minimap, and their passages.

A find is one query, whatever the run's length and the number of hits; moving from hit to hit is none.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from explorer import search
from explorer.layout import WIDTH, percent
from explorer.models import RunSummary
from explorer.queries.run_address import Address
from explorer.search import InRun
from explorer.search.passages import Passage, passages_of
from explorer.search.text import content_of
from explorer.search.words import Needle, needle
from journal.domain.event import RecordedEvent

TICKS: Final = 256
"""Places of the minimap that may have a tick."""

NEAR: Final = 500
"""Hits on each side of the cursor that a page knows, to go to them at once."""

_SHOWN_HERE: Final = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What was found in a run, seen from an event of it.

    `at` is the number of the hit that the cursor stands on, 0 where it stands on none. `near` are the hits around it,
    the first of them number `first_near`. `is_more` says that only the beginning of the hits is known.
    """

    sought: Needle
    address: Address
    version: int
    total: int
    at: int
    before: int | None
    after: int | None
    first: int | None
    last: int | None
    near: tuple[int, ...]
    first_near: int
    is_more: bool
    ticks: str
    rows: Mapping[int, Passage] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """Say how many hits there are, and which of them this is."""
        if not self.sought:
            return "a letter or a digit is needed"
        many = f"{'more than ' if self.is_more else ''}{self.total:,}"
        if self.at:
            return f"{self.at:,} of {many}"
        return "no hits" if not self.total else f"{many} hit{'' if self.total == 1 else 's'}"

    @property
    def previous_href(self) -> str:
        """Where the hit before this event is; before the first comes the last."""
        version = self.before or self.last
        return self.address.at(version) if version else ""

    @property
    def next_href(self) -> str:
        """Where the hit after this event is; after the last comes the first."""
        version = self.after or self.first
        return self.address.at(version) if version else ""

    @property
    def near_text(self) -> str:
        """Return the versions of the hits around the cursor for the page's script."""
        return ",".join(map(str, self.near))


def find(run: RunSummary, address: Address, version: int) -> Found | None:
    """Look for the address's text in a run; None where it has none."""
    if not address.q:
        return None
    sought = needle(address.q)
    hits = search.get_index().in_run(run.project, run.stream, sought)
    return found_of(hits, sought, address, version=version, events=run.events)


def found_of(hits: InRun, sought: Needle, address: Address, *, version: int, events: int) -> Found:
    """Return what is shown of hits, with the cursor at `version`."""
    versions = hits.versions
    below, upto = bisect_left(versions, version), bisect_right(versions, version)
    begin = max(0, below - NEAR)
    near = tuple(versions[begin : upto + NEAR])
    return Found(
        sought=sought,
        address=address,
        version=version,
        total=len(versions),
        at=upto if upto > below else 0,
        before=versions[below - 1] if below else None,
        after=versions[upto] if upto < len(versions) else None,
        first=versions[0] if versions else None,
        last=versions[-1] if versions else None,
        near=near,
        first_near=begin + 1,
        is_more=not hits.is_all,
        ticks=ticks(versions, events),
    )


def ticks(versions: Sequence[int], events: int) -> str:
    """Return the ticks of hits as one path: at most `TICKS` strokes, however many hits there are."""
    places = {min(TICKS - 1, (version - 1) * TICKS // max(1, events)): version for version in reversed(versions)}
    return "".join(f"M{percent(version, events) * WIDTH / 100:.1f} 57v7" for _, version in sorted(places.items()))


def in_rows(run: RunSummary, address: Address, *, after: int, until: int) -> Mapping[int, Passage]:
    """Return what was found in the events of a part of the list, by version: no query where nothing is looked for."""
    sought = needle(address.q) if address.q else None
    if not sought:
        return {}
    return search.get_index().passages_between(run.project, run.stream, sought, after=after, until=until)


def in_event(event: RecordedEvent, address: Address) -> tuple[Passage, ...]:
    """Return the first places in an event that hold what is looked for, read from the event itself."""
    sought = needle(address.q) if address.q else None
    if not sought:
        return ()
    content = content_of(event.payload)
    return passages_of(content.text, sought.folded, version=event.version, is_cut=content.is_cut, most=_SHOWN_HERE)

"""Where the values of an event stand again: found by the search index, and then looked for in the text as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from explorer import search
from explorer.models import SEARCH, EventLine
from explorer.search import EventHit, get_index, needle
from explorer.values import Value, holds
from journal.runtime import checkpoint

CHOSEN: Final = 6
"""Values that are followed at once."""

_PAGE: Final = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Sighting:
    """A value, and which events hold it: `later` than the event that it is asked of, by id, and how many earlier.

    `is_all` is False where the search stopped at its bound, so that more may hold it.
    """

    value: Value
    later: tuple[str, ...] = ()
    earlier: int = 0
    is_all: bool = True
    is_cut: bool = False
    is_followed: bool = False

    @property
    def is_new(self) -> bool:
        """Whether no event before had the value: then what holds it later has it from there, or by the same way."""
        return self.is_all and not self.earlier

    @property
    def words(self) -> str:
        """Say where else it stands."""
        later = f"{len(self.later):,} later {'event' if len(self.later) == 1 else 'events'}"
        if not self.is_all:
            return f"in more than {search.EVENTS:,} events; {later} among those looked at"
        if self.is_new:
            return f"new with this event · {later}" if self.later else "new with this event · nowhere later"
        earlier = f"{self.earlier:,} earlier {'event' if self.earlier == 1 else 'events'}"
        return f"stood in {earlier} already · {later}"


def sightings(project: str, values: Sequence[Value], *, position: int) -> tuple[Sighting, ...]:
    """Return where some values stand in the project's runs, before and after a position: a few queries for all."""
    asked = [(value, needle(spelling)) for value in values for spelling in value.spellings]
    answers = get_index().events(project, [one for _value, one in asked])
    hits: dict[str, dict[str, EventHit]] = {value.text: {} for value in values}
    whole: dict[str, bool] = {value.text: True for value in values}
    for (value, _needle), answer in zip(asked, answers, strict=True):
        hits[value.text].update((hit.event_id, hit) for hit in answer.hits if holds(hit.text, value))
        whole[value.text] &= answer.is_all
    places = positions(project, {event_id for found in hits.values() for event_id in found})
    return tuple(_sighting(value, hits[value.text], places, position, is_all=whole[value.text]) for value in values)


def _sighting(
    value: Value, hits: Mapping[str, EventHit], places: Mapping[str, int], position: int, *, is_all: bool
) -> Sighting:
    later = sorted((event_id for event_id in hits if places.get(event_id, 0) > position), key=places.__getitem__)
    earlier = sum(0 < places.get(event_id, 0) < position for event_id in hits)
    is_cut = any(hits[event_id].is_cut for event_id in later)
    return Sighting(value=value, later=tuple(later), earlier=earlier, is_all=is_all, is_cut=is_cut)


def followed(found: Iterable[Sighting], chosen: Sequence[str] | None, *, most: int = CHOSEN) -> tuple[Sighting, ...]:
    """Mark which values are followed: those that are asked for, else those that are telling and new with the event.

    At most `CHOSEN` that are asked for, and `most` of the others.
    """
    seen = list(found)
    wanted = (
        [one.value.text for one in seen if one.is_new and one.value.is_telling][:most]
        if chosen is None
        else list(chosen)[:CHOSEN]
    )
    return tuple(replace(one, is_followed=one.value.text in wanted) for one in seen)


def positions(project: str, event_ids: Iterable[str]) -> dict[str, int]:
    """Return the positions of some events, of those that the lists hold."""
    ids = sorted(event_ids)
    found: dict[str, int] = {}
    for start in range(0, len(ids), _PAGE):
        rows = EventLine.objects.filter(run__project=project, event_id__in=ids[start : start + _PAGE])
        found.update(rows.values_list("event_id", "position"))
    return found


def read_until() -> int:
    """Return the position up to which texts can be searched."""
    mark = checkpoint.peek(SEARCH)
    return mark.position if mark else 0

"""What rests on an event, or on several: everything downstream, over all runs of a project, by causes and by values.

By causes: what names the event as a cause, directly or through others. By value: later events that hold a value which
the event brought in, and what those led to. Causes are told by the sources, or worked out on import; that a value
stands again is a fact, that it came from the event is a guess. So each event says how it was reached.

Everything is bounded, in queries and in events, and what was not looked at is said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from explorer import figures
from explorer.listed import is_listed
from explorer.models import EventLine
from explorer.queries.blast_values import CHOSEN, Sighting, followed, read_until, sightings
from explorer.search.text import LIMIT
from explorer.values import MOST as VALUES
from explorer.values import value_of, values_in
from journal.domain.event import RecordedEvent
from journal.domain.lineage import CausalLink, Walk
from journal.errors import VersionNotFound
from journal.runtime import checkpoint
from journal.store import get_store, lineage

How = Literal["recorded", "inferred", "value"]

__all__ = [
    "CHOSEN",
    "HOWS",
    "MOST",
    "MOST_ORIGINS",
    "Blast",
    "How",
    "Suspect",
    "as_json",
    "blast",
    "blast_of",
    "suspect_json",
]

HOWS: Final[tuple[How, ...]] = ("recorded", "inferred", "value")
"""By what an event was reached, the most certain first."""

MOST: Final = lineage.MOST
"""Events that each of the two walks may touch."""

MOST_ORIGINS: Final = 24
"""Events that can be asked about together."""

_MOST_FOLLOWED: Final = 24
"""Values that are followed by themselves where several events are asked about."""

_PAGE: Final = 500
_ANSWER: Final = "answered"


@dataclass(frozen=True, kw_only=True, slots=True)
class Suspect:
    """One event that rests on another: how it was reached, and over how many links.

    `via` is the event that holds the value by which it was reached, itself perhaps; `holds` are the values that it
    holds itself.
    """

    event_id: str
    stream: str
    run_title: str
    version: int
    position: int
    kind: str
    summary: str
    occurred_us: int
    time_known: bool
    how: How
    links: int
    via: tuple[str, int] | None = None
    holds: tuple[str, ...] = ()

    @property
    def is_answer(self) -> bool:
        """Whether it is an answer to a user."""
        return self.kind == _ANSWER

    @property
    def words(self) -> str:
        """Say how it was reached."""
        if self.how != "value":
            far = figures.counted(self.links, "link")
            return f"{far} away, all recorded" if self.how == "recorded" else f"{far} away, some inferred"
        if not self.links:
            return "holds the value"
        stream, version = self.via or ("", 0)
        other = "" if stream == self.stream else " of another run"
        return f"{figures.counted(self.links, 'link')} from {version}{other}, which holds the value"


@dataclass(frozen=True, kw_only=True, slots=True)
class Blast:
    """Everything that rests on some events, in the journal's order, and what of the journal was looked at.

    `searched` and `unsearched` are sentences. `is_cut` says that a bound was reached: there may be more. An event that
    is asked about is not counted, though it may rest on another one of them.
    """

    origins: tuple[EventLine, ...]
    suspects: tuple[Suspect, ...]
    values: tuple[Sighting, ...]
    searched: tuple[str, ...]
    unsearched: tuple[str, ...]
    is_cut: bool

    @property
    def origin(self) -> EventLine:
        """Return the event that it is about, the first of several."""
        return self.origins[0]

    @property
    def answers(self) -> tuple[Suspect, ...]:
        """Return the answers to users among them."""
        return tuple(one for one in self.suspects if one.is_answer)

    @property
    def has_looked(self) -> bool:
        """Whether the values were looked for: they are not where the address wants none followed."""
        return any(one.is_followed for one in self.values) or any(one.later or one.earlier for one in self.values)

    @property
    def runs(self) -> int:
        """Return how many runs they are of."""
        return len({one.stream for one in self.suspects})

    def by_how(self) -> list[tuple[How, int, int, int]]:
        """Return for each way how many events, runs and answers were reached by it."""
        parts = {how: [one for one in self.suspects if one.how == how] for how in HOWS}
        return [
            (how, len(part), len({one.stream for one in part}), sum(one.is_answer for one in part))
            for how, part in parts.items()
        ]

    def by_kind(self) -> list[tuple[str, int]]:
        """Return how many there are of each kind, the most first."""
        return Counter(one.kind for one in self.suspects).most_common()


def blast(project: str, stream: str, version: int, *, values: Sequence[str] | None = None) -> Blast | None:
    """Return what rests on an event; None where the project has no such run.

    `values` are the values to follow, at most `CHOSEN` of them: an empty list follows causes alone, and None those that
    are telling and stood nowhere before the event.

    Raises:
        VersionNotFound: the run has no such event.
    """
    return blast_of(project, [(stream, version)], values=values)


def blast_of(project: str, events: Sequence[tuple[str, int]], *, values: Sequence[str] | None = None) -> Blast | None:
    """Return what rests on any of some events, at most `MOST_ORIGINS`; None where the project has not all of the runs.

    Each event's values are looked for after that event. `values` are as for `blast`, and are looked for after each.

    Raises:
        VersionNotFound: a run has no such event.
    """
    origins = []
    for stream, version in dict.fromkeys(events):
        origin = _origin(project, stream, version)
        if origin is None:
            return None
        origins.append(origin)
    if not origins or len(origins) > MOST_ORIGINS:
        return None
    origins.sort(key=lambda line: line.position)
    store = get_store(project)
    found = store.events([line.event_id for line in origins])
    seen = _merged([_sightings(found[line.event_id], values) for line in origins], values, origins)
    return _Blast(project, tuple(origins), seen).told()


def _origin(project: str, stream: str, version: int) -> EventLine | None:
    line = EventLine.objects.filter(run__project=project, run__stream=stream, version=version).select_related("run")
    origin: EventLine | None = line.first()
    if origin is None and (newest := get_store(project).stream_version(stream)):
        raise VersionNotFound(stream=stream, version=version, newest=newest)
    return origin


def _merged(
    each: Sequence[tuple[Sighting, ...]], chosen: Sequence[str] | None, origins: Sequence[EventLine]
) -> tuple[Sighting, ...]:
    """Return each value once: what holds it after any of the events, and whether it was new with one of them."""
    if len(each) == 1:
        return each[0]
    own = {line.event_id for line in origins}
    merged: dict[str, Sighting] = {}
    for one in (one for part in each for one in part):
        known = merged.get(one.value.text, one)
        merged[one.value.text] = replace(
            one,
            later=tuple(event_id for event_id in dict.fromkeys((*known.later, *one.later)) if event_id not in own),
            earlier=min(known.earlier, one.earlier),
            is_all=known.is_all and one.is_all,
            is_cut=known.is_cut or one.is_cut,
        )
    return followed(merged.values(), chosen, most=_MOST_FOLLOWED)


def _sightings(event: RecordedEvent, chosen: Sequence[str] | None) -> tuple[Sighting, ...]:
    """Look for the event's own values, and for those that were asked for beside them."""
    own = values_in(event.type, event.payload)
    known = {value.text for value in own}
    typed = [found for text in (chosen or ())[:CHOSEN] if (found := value_of(text)) is not None]
    wanted = [*own, *(value for value in typed if value.text not in known)]
    if chosen is not None and not chosen:
        return tuple(Sighting(value=value) for value in own)
    seen = sightings(event.project, wanted, position=event.position)
    return followed(seen, None if chosen is None else [value.text for value in typed])


class _Blast:
    """Puts the two ways together: an event that both reach counts by the more certain one."""

    def __init__(self, project: str, origins: tuple[EventLine, ...], seen: tuple[Sighting, ...]) -> None:
        self._project = project
        self._origins = origins
        self._ids = [origin.event_id for origin in origins]
        self._seen = seen
        self._caused = lineage.spread(project, self._ids, direction="down", most=MOST)
        self._holds = self._holding()
        starts = [event_id for event_id in self._holds if event_id not in self._caused.depths]
        self._held = lineage.spread(project, starts, direction="down", most=MOST)
        self._by_value = self._held.depths.keys() - self._caused.depths.keys()

    def told(self) -> Blast:
        recorded = _reached(self._ids, self._caused.links)
        came_from = _origins(self._held)
        ids = (self._caused.depths.keys() | self._by_value) - set(self._ids)
        lines = _lines(self._project, ids)
        suspects = []
        for event_id, line in lines.items():
            how: How = "value"
            if event_id in self._caused.depths:
                how = "recorded" if event_id in recorded else "inferred"
            source = lines.get(came_from.get(event_id, ""))
            suspects.append(
                Suspect(
                    event_id=event_id,
                    stream=line.run.stream,
                    run_title=line.run.title,
                    version=line.version,
                    position=line.position,
                    kind=line.kind,
                    summary=line.summary,
                    occurred_us=line.occurred_us,
                    time_known=line.time_known,
                    how=how,
                    links=(self._held if how == "value" else self._caused).depths[event_id],
                    via=(source.run.stream, source.version) if how == "value" and source is not None else None,
                    holds=self._holds.get(event_id, ()),
                )
            )
        return Blast(
            origins=self._origins,
            suspects=tuple(sorted(suspects, key=lambda one: (one.position, one.event_id))),
            values=self._seen,
            searched=tuple(self._searched()),
            unsearched=tuple(self._unsearched(len(ids) - len(lines))),
            is_cut=self._is_cut,
        )

    def _holding(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for one in self._seen:
            for event_id in one.later if one.is_followed else ():
                found[event_id] = (*found.get(event_id, ()), one.value.text)
        return found

    @property
    def _is_cut(self) -> bool:
        return self._caused.cut or self._held.cut or any(not one.is_all for one in self._seen if one.is_followed)

    def _searched(self) -> Iterable[str]:
        known = figures.counted(len(self._caused.links), "link")
        below = "the event" if len(self._ids) == 1 else f"the {len(self._ids)} events"
        yield f"Causes: {known} below {below} were followed, over all runs of the project."
        values = [one for one in self._seen if one.is_followed]
        if values:
            held = figures.counted(len(self._holds), "later event")
            named = figures.counted(len(values), "value")
            yield (
                f"Values: the texts of all runs of the project were searched for {named}; {held}"
                f" {'holds' if len(self._holds) == 1 else 'hold'} one as a whole, and"
                f" {figures.counted(len(self._held.links), 'link')} below those were followed."
            )

    def _unsearched(self, unlisted: int) -> Iterable[str]:
        if self._caused.cut or self._held.cut:
            yield f"A walk touches {MOST:,} events at most. That was reached: there are more."
        mark = checkpoint.peek("causes")
        newest = self._origins[-1].position
        if (mark.position if mark else 0) < newest:
            yield "The links of the newest events are not read yet, this event's among them."
        if unlisted:
            yield f"{figures.counted(unlisted, 'event')} in reach {'is' if unlisted == 1 else 'are'} not in the lists."
        left = sum(one.is_new and one.value.is_telling and not one.is_followed for one in self._seen)
        if left and len(self._ids) > 1 and any(one.is_followed for one in self._seen):
            were = "was" if left == 1 else "were"
            yield f"{figures.counted(left, 'more value')} that came with these events {were} not followed."
        if not any(one.is_followed for one in self._seen):
            yield "No value was followed: only what causes tell is here."
            return
        for one in self._seen:
            if one.is_followed and not one.is_all:
                yield f"“{one.value.text}” stands in more events than were looked at: the newest were."
        if read_until() < newest:
            yield "The texts of the newest events are not indexed yet."
        yield (
            "A value that was rounded, translated or told in other words is not found."
            f" Of one event {LIMIT:,} characters are searched, and of its own values the first {VALUES}."
        )


def _reached(starts: Iterable[str], links: Iterable[CausalLink]) -> set[str]:
    """Return what recorded links alone lead to."""
    after: dict[str, list[str]] = {}
    for link in links:
        if link.certainty == "recorded":
            after.setdefault(link.cause, []).append(link.effect)
    waiting, found = list(starts), set(starts)
    while waiting:
        fresh = [effect for effect in after.get(waiting.pop(), ()) if effect not in found]
        found.update(fresh)
        waiting += fresh
    return found


def _origins(walk: Walk) -> dict[str, str]:
    """Return for each event of a walk a start that it was reached from by a shortest way."""
    by_cause: dict[str, list[str]] = {}
    for link in walk.links:
        by_cause.setdefault(link.cause, []).append(link.effect)
    found = {event_id: event_id for event_id, depth in walk.depths.items() if depth == 0}
    for event_id in sorted(walk.depths, key=walk.depths.__getitem__):
        for effect in by_cause.get(event_id, ()):
            if effect not in found and walk.depths.get(effect) == walk.depths[event_id] + 1:
                found[effect] = found[event_id]
    return found


def _lines(project: str, event_ids: Collection[str]) -> dict[str, EventLine]:
    """Return the rows of some events that are somebody's run."""
    ids = sorted(event_ids)
    found: dict[str, EventLine] = {}
    columns = ("event_id", "version", "position", "kind", "summary", "occurred_us", "time_known")
    for start in range(0, len(ids), _PAGE):
        rows = EventLine.objects.filter(run__project=project, event_id__in=ids[start : start + _PAGE])
        for line in rows.select_related("run").only(*columns, "run__stream", "run__title"):
            if is_listed(line.run.stream):
                found[line.event_id] = line
    return found


def as_json(found: Blast) -> dict[str, Any]:
    """Return it as plain values: what the API and the command print."""
    return {
        "stream": found.origin.run.stream,
        "version": found.origin.version,
        "event": found.origin.event_id,
        "origins": [
            {"stream": line.run.stream, "version": line.version, "event": line.event_id} for line in found.origins
        ],
        "counts": {
            "events": len(found.suspects),
            "runs": found.runs,
            "answers": len(found.answers),
            "by_certainty": {
                how: {"events": events, "runs": runs, "answers": answers}
                for how, events, runs, answers in found.by_how()
            },
        },
        "values": [
            {
                "value": one.value.text,
                "name": one.value.name,
                "followed": one.is_followed,
                "new": one.is_new,
                "earlier": one.earlier,
                "later": len(one.later),
                "complete": one.is_all,
            }
            for one in found.values
        ],
        "events": [suspect_json(one) for one in found.suspects],
        "searched": list(found.searched),
        "not_searched": list(found.unsearched),
        "cut": found.is_cut,
    }


def suspect_json(one: Suspect) -> dict[str, Any]:
    """Return one event of it as plain values."""
    via: Mapping[str, Any] | None = {"stream": one.via[0], "version": one.via[1]} if one.via else None
    return {
        "id": one.event_id,
        "stream": one.stream,
        "version": one.version,
        "position": one.position,
        "kind": one.kind,
        "answer": one.is_answer,
        "certainty": one.how,
        "links": one.links,
        "via": via,
        "holds": list(one.holds),
        "summary": one.summary,
    }

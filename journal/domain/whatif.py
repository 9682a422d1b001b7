"""The other history: a run's events with some put in, exchanged or left out, and what state and rules make of it.

The other history is a stream like any other, numbered from 1 without holes, so that what is found here is what would be
found had it been recorded. Numbers in the data of its events (`atVersion`, `droppedVersions`, messages by version) are
moved along. To be compared with the recorded run its state is told in that run's numbers again: an event that was put
in behind 22 is called 22a, and stands as a number below 0.

Nobody is asked what the agent would have done: the events behind an edit stay as they were recorded.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, Literal
from uuid import NAMESPACE_URL, uuid5

import msgspec

from journal.domain import aggregate, codec
from journal.domain.aggregate import Renumberable, State
from journal.domain.bisect import Outcome, Scanner
from journal.domain.diff import Change, diff
from journal.domain.event import EventData, RecordedEvent
from journal.domain.invariant import Invariant, Lookup, judge, no_lookup
from journal.domain.judging import Fold
from journal.domain.whatif_edits import Edit, check_places

How = Literal["recorded", "replaced", "inserted"]

_LETTERS: Final = 26


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """An event of the other history. `version` of its event counts there; `recorded` is its number in the recorded run.

    `recorded` is None for an event that was put in, `after` the number of the recorded event it stands behind or is.
    `number` is what comparisons call it: `recorded`, or -1, -2, … for events that were put in.
    """

    event: RecordedEvent
    how: How
    label: str
    after: int
    recorded: int | None
    number: int


class Dropped(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded event that the other history lacks."""

    event: RecordedEvent
    label: str


class Divergence(msgspec.Struct, frozen=True, kw_only=True):
    """The first place at which the states differ: after the event `label`, or where that one is missing.

    `after` is its place in the recorded run, `version` in the other history; 0 where it is missing there.
    """

    label: str
    after: int
    version: int
    how: Literal["replaced", "inserted", "dropped"]


class Verdicts(msgspec.Struct, frozen=True, kw_only=True):
    """A rule on both histories. The other outcome counts in the other history; `at` names its first failing event."""

    rule: str
    rule_version: int
    title: str
    recorded: Outcome
    other: Outcome
    recorded_at: str
    at: str

    @property
    def is_changed(self) -> bool:
        """Whether the verdict is another, or the event is another at which it first fails or goes wrong."""
        return (self.recorded.verdict, self.recorded_at) != (self.other.verdict, self.at)


class WhatIf(msgspec.Struct, frozen=True, kw_only=True):
    """Both histories after the recorded event `at`, compared. `changes` are told in the recorded run's numbers.

    `compared` is the other state in those numbers, `other` the same in its own.
    """

    stream: str
    at: int
    edits: tuple[Edit, ...]
    places: tuple[Place, ...]
    dropped: tuple[Dropped, ...]
    recorded: State
    other: State
    compared: State
    divergence: Divergence | None
    changes: tuple[Change, ...]
    verdicts: tuple[Verdicts, ...]

    def label(self, number: int) -> str:
        """Return what the event of a number of `changes` is called: `23`, `22a`."""
        if number >= 0:
            return str(number)
        return next((place.label for place in self.places if place.number == number), "")

    def own_version(self, number: int | None) -> int | None:
        """Return the other history's own version of a number of `changes`, None where it has none."""
        if number is None:
            return None
        begins = self.places[0].event.version if self.places else 0
        if 0 <= number < begins:
            return number
        return next((place.event.version for place in self.places if place.number == number), None)

    def words(self) -> str:
        """Return what comes of it in a sentence: the first rule that says something else, else what the state does."""
        for found in self.verdicts:
            if found.is_changed:
                now, before = _said(found.other, found.at), _said(found.recorded, found.recorded_at)
                return f"{found.rule} {now}; as recorded it {before}"
        same = "every rule says what it said" if self.verdicts else "no rule was asked"
        if self.divergence is None:
            return f"Nothing changes: the state is the same, and {same}"
        return f"The state is another from {self.divergence.label} on; {same}"


def what_if(  # noqa: PLR0913 - two histories, and what is asked of them
    stream: str,
    events: Sequence[RecordedEvent],
    edits: Sequence[Edit],
    *,
    before: State | None = None,
    newest: int | None = None,
    at: int | None = None,
    rules: Sequence[Invariant] = (),
    lookup: Lookup = no_lookup,
) -> WhatIf:
    """Return what a run's state and `rules` would be had its history been another. Changes nothing.

    `events` are the run's from its first on, or those behind `before`, the run's state before the first edit: rules
    need the whole run, so with `before` there are none. They may end before the run does, whose length is `newest`.
    States are compared after event `at`, the last that is given where none is asked for.

    Raises:
        EditsRefused: an edit is about a version that the run does not have, or two are about the same.
        ValueError: `events` begin behind the first edit, or rules are asked without the run's beginning.
    """
    begins = before.version if before is not None else 0
    last = begins + len(events)
    check_places(edits, max(newest or 0, last))
    if begins and any(edit.version <= begins for edit in edits):
        raise ValueError(f"an edit stands before event {begins + 1}, the first that is given")
    if rules and begins:
        raise ValueError("rules are asked from a run's first event on")
    until = last if at is None else min(at, last)
    places, dropped = other_history(stream, events, edits, begins=begins)
    renumbered = _Numbers(places, begins)
    folded = _Folded(stream, before, renumbered)
    divergence = folded.through(events, places, edits, until)
    compared = folded.other_in_recorded_numbers()
    as_recorded = _graded(stream, events, rules, lookup)
    otherwise = _graded(stream, (place.event for place in places), rules, lookup)
    return WhatIf(
        stream=stream,
        at=until,
        edits=tuple(edits),
        places=places,
        dropped=dropped,
        recorded=folded.recorded,
        other=folded.other,
        compared=compared,
        divergence=divergence,
        changes=tuple(diff(folded.recorded, compared)),
        verdicts=tuple(_verdicts(as_recorded, otherwise, rules, renumbered)),
    )


# --- The events -------------------------------------------------------------------------------------------------------


def other_history(
    stream: str, events: Sequence[RecordedEvent], edits: Sequence[Edit], *, begins: int = 0
) -> tuple[tuple[Place, ...], tuple[Dropped, ...]]:
    """Return the other history in order, and what it lacks. `events` follow the recorded version `begins`.

    An event that is put in happens when the one before it happened, under an id that is derived from its place.
    """
    changed = {edit.version: edit for edit in edits if edit.op != "insert"}
    inserted: dict[int, list[Edit]] = {}
    for edit in edits:
        if edit.op == "insert":
            inserted.setdefault(edit.version, []).append(edit)
    making = _Making(stream, edits, begins)
    dropped = []
    for new in inserted.get(begins, ()):
        making.insert(new, after=begins, like=events[0] if events else None)
    for event in events:
        change = changed.get(event.version)
        if change is not None and change.op == "drop":
            dropped.append(Dropped(event=event, label=str(event.version)))
        else:
            making.keep(event, change.event if change is not None else None)
        for new in inserted.get(event.version, ()):
            making.insert(new, after=event.version, like=event)
    return tuple(making.places), tuple(dropped)


class _Making:
    """Puts the other history together."""

    def __init__(self, stream: str, edits: Sequence[Edit], begins: int) -> None:
        self.places: list[Place] = []
        self._stream = stream
        self._begins = begins
        self._moved = _Moves(edits).of
        self._inserted = 0
        self._at_one_place: dict[int, int] = {}

    @property
    def _next(self) -> int:
        return self._begins + len(self.places) + 1

    def keep(self, event: RecordedEvent, instead: EventData | None) -> None:
        """Take a recorded event over, or what stands instead of it."""
        how: How = "recorded" if instead is None else "replaced"
        taken = event if instead is None else _instead_of(event, instead)
        self._add(taken, how, str(event.version), after=event.version, recorded=event.version, number=event.version)

    def insert(self, edit: Edit, *, after: int, like: RecordedEvent | None) -> None:
        """Put an event in behind the recorded event `after`, at the time of `like`."""
        if edit.event is None or like is None:
            return
        self._inserted += 1
        nth = self._at_one_place.get(after, 0)
        self._at_one_place[after] = nth + 1
        label = f"{after}{_letters(nth)}"
        event = RecordedEvent(
            position=like.position,
            project=like.project,
            stream=self._stream,
            version=0,
            id=str(uuid5(NAMESPACE_URL, f"nagare:what-if:{like.project}:{self._stream}:{label}")),
            type=edit.event.type,
            schema=edit.event.schema,
            data=edit.event.data,
            metadata=edit.event.metadata,
            occurred_at=edit.event.occurred_at or like.occurred_at,
            recorded_at=like.recorded_at,
        )
        self._add(event, "inserted", label, after=after, recorded=None, number=-self._inserted)

    def _add(  # noqa: PLR0913 - a place is what it is
        self, event: RecordedEvent, how: How, label: str, *, after: int, recorded: int | None, number: int
    ) -> None:
        event = _with_references(event, self._moved)
        if event.version != self._next:
            event = msgspec.structs.replace(event, version=self._next)
        self.places.append(Place(event=event, how=how, label=label, after=after, recorded=recorded, number=number))


def _instead_of(event: RecordedEvent, new: EventData) -> RecordedEvent:
    return msgspec.structs.replace(
        event,
        type=new.type,
        schema=new.schema,
        data=new.data,
        metadata=event.metadata if new.metadata == b"{}" else new.metadata,
        occurred_at=new.occurred_at or event.occurred_at,
    )


def _letters(nth: int) -> str:
    """Return a, b, … z, aa, ab, and so on."""
    letters = ""
    nth += 1
    while nth:
        nth, letter = divmod(nth - 1, _LETTERS)
        letters = chr(ord("a") + letter) + letters
    return letters


class _Moves:
    """Where recorded versions stand in the other history."""

    def __init__(self, edits: Iterable[Edit]) -> None:
        self._inserted = sorted(edit.version for edit in edits if edit.op == "insert")
        self._dropped = sorted(edit.version for edit in edits if edit.op == "drop")

    def of(self, version: int) -> int | None:
        """Return it, None for an event that was left out."""
        place = bisect_left(self._dropped, version)
        if place < len(self._dropped) and self._dropped[place] == version:
            return None
        return version + bisect_left(self._inserted, version) - place


_REFERRING: Final = {
    "agent_run.model_called": "messages",
    "agent_run.context_compacted": "droppedVersions keptVersions",
    "agent_run.graded": "atVersion",
    "agent_run.annotated": "atVersion",
}
"""The fields that name events of their own run by number."""


def _with_references(event: RecordedEvent, moved: Callable[[int], int | None]) -> RecordedEvent:
    """Return the event with the numbers of other events in it as the other history has them."""
    names = _REFERRING.get(event.type)
    if names is None:
        return event
    data = dict(event.payload)
    for name in names.split():
        if name in data and (now := _moved_value(data[name], moved)) != data[name]:
            data[name] = now
    return event if data == event.payload else msgspec.structs.replace(event, data=codec.encode(data))


def _moved_value(value: Any, moved: Callable[[int], int | None]) -> Any:
    if isinstance(value, list):
        return [now for one in value if (now := _moved_value(one, moved)) is not None]
    if isinstance(value, dict) and set(value) == {"version"}:
        now = _moved_value(value["version"], moved)
        return {"version": now} if now is not None else None
    if isinstance(value, int) and not isinstance(value, bool):
        return moved(value)
    return value


# --- The states -------------------------------------------------------------------------------------------------------


class _Numbers:
    """Translates the other history's versions into the recorded run's numbers."""

    def __init__(self, places: Sequence[Place], begins: int) -> None:
        self._begins = begins
        self._places = places

    def place(self, version: int) -> Place | None:
        at = version - self._begins - 1
        return self._places[at] if 0 <= at < len(self._places) else None

    def number(self, version: int) -> int:
        found = self.place(version)
        return version if found is None else found.number

    def label(self, version: int | None) -> str:
        if version is None:
            return ""
        found = self.place(version)
        return str(version) if found is None else found.label


class _Folded:
    """The two states on their way along the two histories."""

    def __init__(self, stream: str, before: State | None, numbers: _Numbers) -> None:
        self.recorded = before if before is not None else aggregate.initial(stream)
        self.other = self.recorded.fork()
        self._numbers = numbers

    def through(
        self, events: Sequence[RecordedEvent], places: Sequence[Place], edits: Sequence[Edit], until: int
    ) -> Divergence | None:
        """Fold both up to the recorded version `until`; return where they first differ.

        A difference can arise at an edit only: equal states stay equal under the same events.
        """
        found: Divergence | None = None
        begins = self.recorded.version
        done = 0
        ends = [place.after for place in places]
        for stop in sorted({min(edit.version, until) for edit in edits} | {until}):
            for event in events[max(0, self.recorded.version - begins) : max(0, stop - begins)]:
                self.recorded.apply(event)
            upto = bisect_right(ends, stop)
            is_missing = any(edit.op == "drop" and edit.version == stop for edit in edits)
            # Where the event of a stop is left out, the states differ before anything is put in behind it.
            for place in places[done:upto]:
                if place.how == "inserted" and place.after == stop and is_missing:
                    found = found or self._missing(stop)
                    is_missing = False
                self.other.apply(place.event)
                if found is None and place.how != "recorded" and place.after == stop and self._differ():
                    found = Divergence(label=place.label, after=place.after, version=place.event.version, how=place.how)
            if is_missing:
                found = found or self._missing(stop)
            done = upto
        return found

    def other_in_recorded_numbers(self) -> State:
        if not isinstance(self.other, Renumberable):
            return self.other
        return self.other.renumbered(self._numbers.number)

    def _missing(self, version: int) -> Divergence | None:
        if not self._differ():
            return None
        return Divergence(label=str(version), after=version, version=0, how="dropped")

    def _differ(self) -> bool:
        return bool(diff(self.recorded, self.other_in_recorded_numbers()))


# --- The rules --------------------------------------------------------------------------------------------------------


def _verdicts(
    as_recorded: Sequence[Outcome], otherwise: Sequence[Outcome], rules: Sequence[Invariant], numbers: _Numbers
) -> Iterator[Verdicts]:
    for rule, recorded, other in zip(rules, as_recorded, otherwise, strict=True):
        yield Verdicts(
            rule=rule.name,
            rule_version=rule.version,
            title=rule.title,
            recorded=recorded,
            other=other,
            recorded_at=str(_where(recorded) or ""),
            at=numbers.label(_where(other)),
        )


def _graded(stream: str, events: Iterable[RecordedEvent], rules: Sequence[Invariant], lookup: Lookup) -> list[Outcome]:
    if not rules:
        return []
    fold = Fold(stream, rules, lookup=lookup)
    asked = [(rule.begin(stream), Scanner()) for rule in rules]
    count = 0
    for event in events:
        ctx = fold.take(event)
        count = event.version
        for evaluator, scanner in asked:
            if not scanner.is_over:
                scanner.take(event.version, judge(evaluator, ctx))
    return [
        scanner.outcome(events=count, monotone=rule.monotone) for rule, (_, scanner) in zip(rules, asked, strict=True)
    ]


def _where(outcome: Outcome) -> int | None:
    return outcome.first_failing if outcome.verdict == "fails" else outcome.raised_at


def _said(outcome: Outcome, at: str) -> str:
    match outcome.verdict:
        case "holds":
            return "holds"
        case "fails":
            return f"fails at {at}"
        case "raised":
            return f"could not be evaluated at {at}"

"""Every rule on a run with all it finds, not the first failure alone, and the decision they point at together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from journal.domain.event import RecordedEvent
from journal.domain.invariant import Call, Fails, Invariant, Judgement, Lookup, no_lookup
from journal.domain.suspect import Charge, Course, Suspect, suspect
from journal.errors import StreamNotFound
from journal.runtime.grader import Found, Grader
from journal.runtime.grading import graded
from journal.store import EventStore

NO_WITNESSES: Final = frozenset(("budgets",))
"""Themes left out: a budget fails where it is used up, whatever went wrong before."""


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What every rule says of a run, by its name. `suspect` is None where no rule but budgets fails."""

    found: dict[str, Found]
    suspect: Suspect | None


class _Witness(Grader):
    """A rule on its way that keeps each of its failures."""

    def __init__(self, rule: Invariant, stream: str) -> None:
        super().__init__(rule, stream)
        self.charges: list[Charge] = []

    def settle(self, event: RecordedEvent, call: Call | None, judgement: Judgement) -> None:
        """Take the judgement in, and keep it where it is a failure."""
        super().settle(event, call, judgement)
        if isinstance(judgement, Fails) and not self.scanner.is_over:
            self.charges.append(Charge(event.version, judgement.versions))


def judged(
    stream: str, events: Iterable[RecordedEvent], rules: Sequence[Invariant], *, lookup: Lookup = no_lookup
) -> Judged:
    """Return what every rule says of a run, and which decision they suspect, from reading its events once."""
    course = Course()
    graders = [_Witness(rule, stream) for rule in rules]
    found = graded(stream, _along(course, events), graders, lookup=lookup)
    charges = {each.rule.name: each.charges for each in graders if each.charges and each.rule.theme not in NO_WITNESSES}
    return Judged(found=found, suspect=suspect(course.decisions, charges) if charges else None)


def judge_stream(store: EventStore, stream: str, rules: Sequence[Invariant], *, lookup: Lookup = no_lookup) -> Judged:
    """Return what every rule says of a run of the journal, and which decision they suspect.

    Raises:
        StreamNotFound: the stream has no events.
    """
    if not store.stream_version(stream):
        raise StreamNotFound(stream=stream, project=store.project)
    return judged(stream, store.read_stream(stream), rules, lookup=lookup)


def _along(course: Course, events: Iterable[RecordedEvent]) -> Iterator[RecordedEvent]:
    for event in events:
        course.take(event)
        yield event

"""How often the rules name the event that people saw as the decisive mistake (Who&When), in two ways, beside baselines.

*First failing* is the first event that breaks any rule; the *suspect* is the decision that all failures point at
together (`domain.suspect`). Rules and suspicion see events alone; the annotation is only read here, to compare.
Distances are in steps of the conversation, which is what the annotation counts in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Final

import msgspec

from journal.domain.event import RecordedEvent
from journal.domain.invariant import Invariant, all_invariants
from journal.domain.suspect import Course, suspect
from journal.ingest.files import find
from journal.ingest.importer import Importer
from journal.runtime.suspecting import NO_WITNESSES, judged
from journal.store.memory import MemoryStore

WITHIN: Final = (0, 1, 3)
RESAMPLES: Final = 2_000
_SURE: Final = 0.95


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One conversation: its steps, the annotated mistake's step, and what each way to guess says.

    `by_place` is what the suspicion comes to with no rule at all: how much is due to where mistakes tend to be.
    """

    stream: str
    steps: int
    mistake: int
    by_suspect: int | None = None
    by_rules: int | None
    by_first_error: int | None
    by_place: int | None = None
    rule: str | None = None

    @property
    def middle(self) -> int:
        """The step in the middle, the earlier of two."""
        return (self.steps - 1) // 2


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """How many of `cases` a way to guess gets at most 0, 1, 3 steps off; `guessed` is where it says anything."""

    name: str
    cases: int
    guessed: int
    exact: float
    within_1: float
    within_3: float


class Lead(msgspec.Struct, frozen=True, kw_only=True):
    """By how much the suspect is ahead of another way to guess, at most `within` steps off, in 95 of 100 resamples."""

    over: str
    within: int
    lead: float
    low: float
    high: float


_Hit = Callable[[Case, int], float]
"""The chance that a way to guess is at most so many steps off in a case."""


def run(folder: str) -> list[Case]:
    """Import a folder of conversations into a journal in memory and judge each.

    Raises:
        ImportRefused: a file is no conversation.
    """
    store = MemoryStore()
    Importer(store=store).run(find([folder]))
    by_stream: dict[str, list[RecordedEvent]] = {}
    for event in store.read_all():
        by_stream.setdefault(event.stream, []).append(event)
    rules = [rule for rule in all_invariants() if rule.theme not in NO_WITNESSES]
    cases = (case(stream, events, rules) for stream, events in by_stream.items())
    return [found for found in cases if found is not None]


def case(stream: str, events: Sequence[RecordedEvent], rules: Sequence[Invariant]) -> Case | None:
    """Return one conversation's case; None where the annotation names no step that is there."""
    at = next((event.payload.get("atVersion") for event in events if event.payload.get("label") == "mistake"), None)
    steps = steps_of(events)
    if at not in steps:
        return None
    verdicts = judged(stream, events, rules)
    failed = [found for found in verdicts.found.values() if found.first_failing is not None]
    first = min(failed, key=lambda found: found.outcome.first_failing or 0, default=None)
    error = next((event.version for event in events if event.type == "agent_run.tool_failed"), None)
    place = _by_place(events)
    return Case(
        stream=stream,
        steps=len(set(steps.values())),
        mistake=steps[at],
        by_suspect=verdicts.suspect.step if verdicts.suspect else place,
        by_rules=steps.get(first.outcome.first_failing or 0) if first else None,
        by_first_error=steps.get(error or 0),
        by_place=place,
        rule=first.rule if first else None,
    )


def steps_of(events: Iterable[RecordedEvent]) -> dict[int, int]:
    """Return the step, from 0, that each event of the conversation belongs to. System prompts are no step."""
    course = Course()
    return {event.version: step for event in events if (step := course.take(event)) is not None}


def _by_place(events: Iterable[RecordedEvent]) -> int | None:
    course = Course()
    for event in events:
        course.take(event)
    found = suspect(course.decisions, {})
    return found.step if found else None


def scores(cases: Sequence[Case]) -> list[Score]:
    """Return the score of the suspect, of the first failing event, and of each baseline."""
    return [_score(name, hit, guessed, cases) for name, (hit, guessed) in _WAYS.items()]


def leads(cases: Sequence[Case], *, resamples: int = RESAMPLES) -> list[Lead]:
    """Return how far the suspect is ahead of each other way to guess, conversations drawn anew with replacement.

    The draws are seeded, so that the same cases give the same intervals.
    """
    ours, _ = _WAYS[SUSPECT]
    found = []
    for name, (hit, _) in _WAYS.items():
        for most in WITHIN if name != SUSPECT else ():
            ahead = [ours(each, most) - hit(each, most) for each in cases]
            low, high = _interval(ahead, resamples)
            found.append(Lead(over=name, within=most, lead=sum(ahead) / max(len(ahead), 1), low=low, high=high))
    return found


def _interval(ahead: Sequence[float], resamples: int) -> tuple[float, float]:
    if not ahead:
        return 0.0, 0.0
    random = Random(0)  # noqa: S311 - nothing depends on it that anybody could wish to foresee
    means = sorted(sum(random.choices(ahead, k=len(ahead))) / len(ahead) for _ in range(resamples))
    out = round(resamples * (1 - _SURE) / 2)
    return means[out], means[-1 - out]


def _score(name: str, hit: _Hit, guessed: Callable[[Case], bool], cases: Sequence[Case]) -> Score:
    exact, one, three = (sum(hit(each, most) for each in cases) / max(len(cases), 1) for most in WITHIN)
    return Score(
        name=name, cases=len(cases), guessed=sum(map(guessed, cases)), exact=exact, within_1=one, within_3=three
    )


def _near(of: Callable[[Case], int | None]) -> tuple[_Hit, Callable[[Case], bool]]:
    """Return the hits of a way that names a step or none; none is a miss."""

    def hit(each: Case, most: int) -> float:
        guess = of(each)
        return float(guess is not None and abs(guess - each.mistake) <= most)

    return hit, lambda each: of(each) is not None


def _random(each: Case, most: int) -> float:
    """Return what a step drawn evenly gets on average: reckoned out, not drawn."""
    return (min(each.mistake + most, each.steps - 1) - max(each.mistake - most, 0) + 1) / each.steps


SUSPECT: Final = "most suspect"
_WAYS: Final[dict[str, tuple[_Hit, Callable[[Case], bool]]]] = {
    SUSPECT: _near(lambda each: each.by_suspect),
    "first failing": _near(lambda each: each.by_rules),
    "first error": _near(lambda each: each.by_first_error),
    "random step": (_random, lambda _: True),
    "middle step": _near(lambda each: each.middle),
    "place alone": _near(lambda each: each.by_place),
}

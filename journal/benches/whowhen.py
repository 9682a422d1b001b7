"""How often the built-in rules' first failing event is where people saw the decisive mistake (Who&When).

Rules see events alone; the annotation is only read here, to compare. Distances are in steps of the conversation, which
is what the annotation counts in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from journal.domain.event import RecordedEvent
from journal.domain.invariant import Invariant, all_invariants
from journal.ingest.files import find
from journal.ingest.importer import Importer
from journal.runtime.grading import grade_run
from journal.store.memory import MemoryStore

WITHIN: Final = (0, 1, 3)
NOT_JUDGED: Final = frozenset(("budgets",))
"""Themes left out: a budget fails where it is used up, whatever went wrong before."""

_SPEAKING: Final = ("model_responded", "tool_returned", "tool_failed", "message_received")


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One conversation: its steps as versions, the annotated mistake's step, and what each way to guess says."""

    stream: str
    steps: int
    mistake: int
    by_rules: int | None
    by_first_error: int | None
    rule: str | None = None


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """How many of `cases` a way to guess gets at most 0, 1, 3 steps off; `guessed` is where it says anything."""

    name: str
    cases: int
    guessed: int
    exact: float
    within_1: float
    within_3: float


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
    rules = [rule for rule in all_invariants() if rule.theme not in NOT_JUDGED]
    cases = (case(stream, events, rules) for stream, events in by_stream.items())
    return [found for found in cases if found is not None]


def case(stream: str, events: Sequence[RecordedEvent], rules: Sequence[Invariant]) -> Case | None:
    """Return one conversation's case; None where the annotation names no step that is there."""
    at = next((event.payload.get("atVersion") for event in events if event.payload.get("label") == "mistake"), None)
    steps = steps_of(events)
    if at not in steps:
        return None
    failed = [found for found in grade_run(stream, events, rules).values() if found.first_failing is not None]
    first = min(failed, key=lambda found: found.outcome.first_failing or 0, default=None)
    error = next((event.version for event in events if event.type == "agent_run.tool_failed"), None)
    return Case(
        stream=stream,
        steps=len(set(steps.values())),
        mistake=steps[at],
        by_rules=steps.get(first.outcome.first_failing or 0) if first else None,
        by_first_error=steps.get(error or 0),
        rule=first.rule if first else None,
    )


def steps_of(events: Iterable[RecordedEvent]) -> dict[int, int]:
    """Return the step, from 0, that each event of the conversation belongs to. System prompts are no step."""
    found: dict[int, int] = {}
    step = -1
    for event in events:
        name = event.type.removeprefix("agent_run.")
        if name in _SPEAKING and event.payload.get("role") != "system":
            step += 1
        if step >= 0 and name not in ("graded", "annotated"):
            found[event.version] = step
    return found


def scores(cases: Sequence[Case]) -> list[Score]:
    """Return the built-in rules' score, and those of the first error and of a step drawn at random."""
    return [
        _score("built-in rules", [(each.by_rules, each) for each in cases]),
        _score("first error", [(each.by_first_error, each) for each in cases]),
        _random(cases),
    ]


def _score(name: str, guesses: Sequence[tuple[int | None, Case]]) -> Score:
    far = [abs(guess - each.mistake) for guess, each in guesses if guess is not None]
    exact, one, three = (sum(distance <= most for distance in far) / max(len(guesses), 1) for most in WITHIN)
    return Score(name=name, cases=len(guesses), guessed=len(far), exact=exact, within_1=one, within_3=three)


def _random(cases: Sequence[Case]) -> Score:
    """Return what a step drawn evenly from each conversation gets on average: reckoned out, not drawn."""

    def expected(most: int) -> float:
        hits = (
            (min(each.mistake + most, each.steps - 1) - max(each.mistake - most, 0) + 1) / each.steps for each in cases
        )
        return sum(hits) / max(len(cases), 1)

    exact, one, three = map(expected, WITHIN)
    return Score(name="random step", cases=len(cases), guessed=len(cases), exact=exact, within_1=one, within_3=three)

"""First failures: found by search and by reading, against asking about every event."""

from __future__ import annotations

from collections.abc import Iterator
from math import log2

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journal.domain import agent_run as run
from journal.domain.bisect import Flip, Outcome, bisect_run, first_failure, scan
from journal.domain.invariant import Context, Fails, Holds, Invariant, Raised, Verdict
from tests.builders import recorded

(EVENT,) = recorded([run.Annotated()])


class Run:
    """A run of which nothing matters but how long it is."""

    def __init__(self, newest: int) -> None:
        self.newest = newest

    def at(self, version: int) -> Context:
        """Return the context of an event."""
        return Context(event=EVENT, stream="agent_run-1", version=version)

    def contexts(self) -> Iterator[Context]:
        """Yield all of them."""
        return map(self.at, range(1, self.newest + 1))


class Scripted(Invariant):
    """Says at each version what it was told to: True holds, False fails, None raises. Counts how often it is asked."""

    name = "scripted"
    title = "Scripted"
    uses_state = uses_previous = False

    def __init__(self, answers: list[bool | None], *, monotone: bool) -> None:
        self.answers = answers
        self.monotone = monotone  # type: ignore[misc]
        self.asked = 0

    def evaluate(self, ctx: Context) -> Verdict:
        """Answer by the script."""
        self.asked += 1
        answer = self.answers[ctx.version - 1]
        if answer is None:
            raise KeyError("no such field")
        return Holds() if answer else Fails("as scripted", (ctx.version,))


def bisected(answers: list[bool | None], *, monotone: bool, check: bool = True) -> Outcome:
    """Return the outcome of a script."""
    return bisect_run(Scripted(answers, monotone=monotone), Run(len(answers)), check=check)


def brute(answers: list[bool | None]) -> tuple[str, int | None, list[tuple[int, str]], int | None]:
    """Return verdict, first failure, flips and where it raised, in the most literal way."""
    known = answers[: answers.index(None)] if None in answers else answers
    raised_at = answers.index(None) + 1 if None in answers else None
    flips = [
        (at, "holds" if now else "fails")
        for at, (before, now) in enumerate(zip([True, *known], known, strict=False), 1)
        if before != now
    ]
    failed = known.index(False) + 1 if False in known else None
    return "fails" if failed else "raised" if raised_at else "holds", failed, flips, raised_at


def told(outcome: Outcome) -> tuple[str, int | None, list[tuple[int, str]], int | None]:
    """Return the same of an outcome."""
    flips = [(flip.version, str(flip.to)) for flip in outcome.flips]
    return outcome.verdict, outcome.first_failing, flips, outcome.raised_at


FLIPPING = st.lists(st.booleans(), max_size=80)
RAISING = st.lists(st.sampled_from((True, True, True, False, False, None)), max_size=40)
MONOTONE = st.tuples(st.integers(0, 300), st.integers(0, 300)).map(lambda n: [True] * n[0] + [False] * n[1])


@settings(max_examples=1_000)
@given(FLIPPING | RAISING)
def test_reading_a_run_finds_what_asking_about_every_event_finds(answers: list[bool | None]) -> None:
    """Verdict, first failure, every flip, and where the rule went wrong."""
    outcome = bisected(answers, monotone=False)
    assert told(outcome) == brute(answers)
    assert outcome.method == "scan"
    assert not outcome.is_claim_broken


@settings(max_examples=1_000)
@given(FLIPPING | RAISING)
def test_a_wrong_claim_to_be_monotone_is_never_answered_with(answers: list[bool | None]) -> None:
    """The answer is that of the reading, and where the rule held again it is said."""
    outcome = bisected(answers, monotone=True)
    assert told(outcome) == brute(answers)
    _, _, flips, _ = brute(answers)
    assert outcome.is_claim_broken == (len(flips) > 1)
    if outcome.is_claim_broken:
        assert outcome.recovered_at == flips[1][0]
        assert outcome.method == "scan"
        assert f"held again at {flips[1][0]}" in outcome.words()


@settings(max_examples=300)
@given(MONOTONE)
def test_a_monotone_rule_is_searched_for(answers: list[bool | None]) -> None:
    """At most log2(n) + 2 evaluations find what asking about every event finds; the check is counted beside."""
    rule = Scripted(answers, monotone=True)
    outcome = bisect_run(rule, Run(len(answers)), check=False)
    assert told(outcome) == brute(answers)
    assert rule.asked == outcome.evaluations <= (log2(len(answers)) + 2 if answers else 0)
    checked = bisected(answers, monotone=True)
    assert (checked.evaluations, checked.checked) == (outcome.evaluations, len(answers))
    assert (told(checked), checked.method) == (brute(answers), "bisect")


@settings(max_examples=1_000)
@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_the_first_failure_of_a_range(after: int, length: int, good: int) -> None:
    """It is the lowest failing version past `after`, or None where the range's end holds."""
    until = after + length
    asked: list[int] = []

    def holds(version: int) -> bool:
        asked.append(version)
        return version <= after + good

    expected = after + good + 1 if good < length else None
    assert first_failure(holds, after=after, until=until) == expected
    assert len(asked) <= (log2(length) + 2 if length else 0)
    assert all(after < version <= until for version in asked)


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    """With both ends named."""
    with pytest.raises(ValueError, match="after 7 is past until 3"):
        first_failure(lambda _: True, after=7, until=3)


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([], "Holds: there are no events."),
        ([True, True], "Holds at all 2 events."),
        ([False, False], "Never held: fails at event 1 and at every event since, 2 in all."),
        ([False, True], "Fails at event 1, the first; there is no event before it that held."),
        ([True, True, False], "First fails at event 3; held at 2."),
        (
            [True, None],
            (
                "It cannot be told: the rule itself went wrong at event 2 (KeyError: 'no such field')."
                " That is no failure of the run."
            ),
        ),
        (
            [True, False, None],
            (
                "First fails at event 2; held at 1."
                " The rule raised at event 3 (KeyError: 'no such field'); nothing is known from there on."
            ),
        ),
    ],
)
def test_outcomes_are_worded(answers: list[bool | None], words: str) -> None:
    """Holding, never having held, failing and going wrong are told apart."""
    assert bisected(answers, monotone=False).words() == words


def test_a_search_that_was_not_checked_says_so() -> None:
    """It stands and falls with the rule's claim."""
    assert bisected([True, False], monotone=True, check=False).words() == (
        "First fails at event 2; held at 1. Searched, not read: true if the rule, once broken, stays broken."
    )


def test_an_answer_that_is_no_verdict_is_an_error_of_the_rule() -> None:
    """A rule in code that returns True has said nothing."""

    class Careless(Scripted):
        def evaluate(self, ctx: Context) -> Verdict:
            return ctx.version < 2  # type: ignore[return-value]

    outcome = bisect_run(Careless([], monotone=False), Run(3))
    assert (outcome.verdict, outcome.raised_at) == ("raised", 1)
    assert outcome.error == "returned True, which is neither Holds() nor Fails(…)"


def test_judgements_can_come_from_anywhere() -> None:
    """`scan` takes them by version, and reads past no error."""
    outcome = scan([(4, Holds()), (5, Fails("seen")), (6, Raised("lost")), (7, Fails("not looked at"))])
    assert (outcome.first_failing, outcome.raised_at, outcome.flips) == (5, 6, (Flip(version=5, to="fails"),))


@given(FLIPPING, st.integers(0, 90))
def test_a_range_counts_what_lies_behind_its_beginning(answers: list[bool], after: int) -> None:
    """Read from there on, a run fails where its rest fails first."""
    outcome = bisect_run(Scripted(list(answers), monotone=False), Run(len(answers)), after=after)
    rest = [at for at, holds in enumerate(answers, 1) if at > after and not holds]
    assert outcome.first_failing == (rest[0] if rest else None)
    assert all(flip.version > after for flip in outcome.flips)


@given(st.integers(1, 90), st.integers(0, 90), st.integers(0, 90))
def test_a_search_in_a_range_asks_about_nothing_before_it(length: int, good: int, after: int) -> None:
    """And finds what reading finds."""
    answers: list[bool | None] = [at < good for at in range(length)]
    outcome = bisect_run(Scripted(answers, monotone=True), Run(length), after=after)
    assert all(probe.version > after for probe in outcome.probes)
    failing = [at for at, holds in enumerate(answers, 1) if not holds and at > after]
    assert outcome.first_failing == (failing[0] if failing else None)
    assert not outcome.is_claim_broken

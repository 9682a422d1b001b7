"""Which decision all failures point at: by hand on small runs, and what must hold on any."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from journal.domain import agent_run as run
from journal.domain.suspect import Charge, Course, Decision, Suspect, suspect
from tests.builders import reasoned, recorded, responded, returned, started

TEN = [Decision(version, step) for step, version in enumerate(range(10, 20))]


def test_the_course_of_a_run_counts_turns_and_keeps_decisions() -> None:
    """System prompts and labels are no steps; what a response leads to belongs to it."""
    course = Course()
    events = [
        started(),
        run.MessageReceived(role="system", content="You are an expert."),
        run.MessageReceived(role="user", content="How many?"),
        responded(),
        reasoned(),
        returned(),
        responded(),
        run.Graded(rule="r", by="someone", verdict="fails"),
    ]
    assert [course.take(event) for event in recorded(events)] == [None, None, 0, 1, 1, 2, 3, None]
    assert course.decisions == [Decision(4, 1), Decision(7, 3)]


def test_where_no_response_is_recorded_calls_are_the_decisions() -> None:
    """A source may tell the calls alone."""
    course = Course()
    for event in recorded([started(), reasoned(), returned(), reasoned(), returned()]):
        course.take(event)
    assert [decision.version for decision in course.decisions] == [4]


def test_a_failure_is_charged_to_the_decision_behind_it() -> None:
    """To those it cites, else to the newest before it: never to the symptom."""
    spread = [Decision(version, step) for step, version in enumerate(range(10, 40, 3))]
    assert suspect(spread, {"rule": [Charge(30, (19, 30))]}) == Suspect(19, 3, ("rule",))
    assert suspect(spread, {"rule": [Charge(30)]}) == Suspect(28, 6, ("rule",))
    nothing_before = suspect(spread, {"rule": [Charge(9)]})
    assert nothing_before is not None
    assert nothing_before.rules == ()


def test_a_rule_that_fails_in_many_places_says_little_of_each() -> None:
    """One that fails once outweighs it, although it began earlier."""
    noisy = [Charge(version) for version in (11, 13, 15, 17)]
    assert suspect(TEN, {"noisy": noisy, "telling": [Charge(14)]}) == Suspect(14, 4, ("telling",))


def test_what_breaks_again_counts_less_than_what_broke_first() -> None:
    """A repeat often follows from the first."""
    repeats = [Charge(13), Charge(16), Charge(19)]
    assert suspect(TEN, {"one": repeats}) == Suspect(13, 3, ("one",))


def test_rules_that_agree_outweigh_an_earlier_one() -> None:
    """The first failure of all is not the answer."""
    found = suspect(TEN, {"early": [Charge(10)], "a": [Charge(16)], "b": [Charge(17, (16,))]})
    assert found == Suspect(16, 6, ("a", "b"))


def test_without_failures_place_alone_decides() -> None:
    """Toward the beginning, and where the most is near; nobody who decided nothing is suspected."""
    found = suspect(TEN, {})
    assert found is not None
    assert 0 < found.step < 5
    assert suspect([], {"rule": [Charge(1)]}) is None
    assert suspect(TEN[:1], {}) == Suspect(10, 0)


def test_late_failures_of_a_long_run_are_not_drowned() -> None:
    """What place counts for does not grow with the length."""
    long = [Decision(version, version) for version in range(1, 20_001)]
    assert suspect(long, {"rule": [Charge(19_990)]}) == Suspect(19_990, 19_990, ("rule",))


@settings(max_examples=50)
@given(
    many=st.integers(1, 30),
    charges=st.dictionaries(
        st.sampled_from("abcd"),
        st.lists(st.builds(Charge, st.integers(0, 40), st.lists(st.integers(0, 40)).map(tuple))),
    ),
)
def test_the_suspect_is_a_decision_and_its_rules_charge_it(many: int, charges: dict[str, list[Charge]]) -> None:
    """Whatever fails wherever, in whatever order rules are told."""
    decisions = [Decision(version, version // 2) for version in range(5, 5 + many)]
    found = suspect(decisions, charges)
    assert found is not None
    assert Decision(found.version, found.step) in decisions
    assert set(found.rules) <= set(charges)
    assert suspect(decisions, dict(reversed(charges.items()))) == found

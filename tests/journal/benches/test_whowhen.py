"""Rules against people's annotations: what is counted, on small conversations and on the published ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from journal.benches.whowhen import Case, case, leads, run, scores, steps_of
from journal.domain import agent_run
from journal.domain.invariant import all_invariants
from tests.builders import STREAM, recorded, responded, started

DATA = (Path(__file__).resolve().parents[3] / "../shared/data/trajectories/who-and-when").resolve()
TALK = [
    started(),
    agent_run.MessageReceived(role="system", content="You are an expert."),
    responded("I look."),
    agent_run.HandedOff(to_agent="analyst"),
    responded("```python\n1/\n```"),
    agent_run.ToolFailed(message="SyntaxError"),
    agent_run.Answered(response="7"),
]


def test_a_step_is_a_turn_of_the_conversation() -> None:
    """System prompts are none, and what a turn leads to belongs to it."""
    assert steps_of(recorded(TALK)) == {3: 0, 4: 0, 5: 1, 6: 2, 7: 2}


def test_the_annotation_is_only_compared_with() -> None:
    """The rules' first failing event and the first error, as steps."""
    noted = recorded([*TALK, agent_run.Annotated(label="mistake", at_version=5)])
    found = case(STREAM, noted, [rule for rule in all_invariants() if rule.name == "code-runs"])
    assert found == Case(
        stream=STREAM,
        steps=3,
        mistake=1,
        by_suspect=1,
        by_rules=2,
        by_first_error=2,
        by_place=0,
        rule="code-runs",
    )
    elsewhere = recorded([*TALK, agent_run.Annotated(label="mistake", at_version=99)])
    assert case(STREAM, elsewhere, all_invariants()) is None


def test_scores_count_what_is_not_guessed_as_missed() -> None:
    """And a random step's score is reckoned out."""
    cases = [
        Case(stream="a", steps=4, mistake=1, by_rules=1, by_first_error=None),
        Case(stream="b", steps=10, mistake=9, by_suspect=8, by_rules=6, by_first_error=8),
    ]
    suspected, rules, error, random, middle, place = scores(cases)
    assert (suspected.guessed, suspected.exact, suspected.within_1, suspected.within_3) == (1, 0.0, 0.5, 0.5)
    assert (rules.guessed, rules.exact, rules.within_1, rules.within_3) == (2, 0.5, 0.5, 1.0)
    assert (error.guessed, error.exact, error.within_1, error.within_3) == (1, 0.0, 0.5, 0.5)
    assert (middle.guessed, middle.exact, middle.within_1, middle.within_3) == (2, 0.5, 0.5, 0.5)
    assert place.guessed == 0
    assert random.exact == pytest.approx((1 / 4 + 1 / 10) / 2)
    assert random.within_1 == pytest.approx((3 / 4 + 2 / 10) / 2)
    assert random.within_3 == pytest.approx((4 / 4 + 4 / 10) / 2)


def test_a_lead_has_an_interval() -> None:
    """That is the same each time, holds the lead, and is no wider than a point where all cases are alike."""
    ahead = Case(stream="a", steps=9, mistake=4, by_suspect=4, by_rules=0, by_first_error=None)
    behind = Case(stream="b", steps=9, mistake=4, by_suspect=8, by_rules=4, by_first_error=4)
    mixed = leads([ahead, ahead, ahead, behind], resamples=200)
    assert mixed == leads([ahead, ahead, ahead, behind], resamples=200)
    first = next(each for each in mixed if each.over == "first failing" and each.within == 0)
    assert first.lead == pytest.approx((3 - 1) / 4)
    assert -1 <= first.low < first.lead < first.high <= 1
    assert {(each.low, each.high) for each in leads([ahead] * 4, resamples=50) if each.over == "first failing"} == {
        (1.0, 1.0)
    }
    assert leads([])[0].lead == 0


@pytest.fixture(scope="module")
def published() -> list[Case]:
    """Judge the published conversations, once."""
    return run(str(DATA))


@pytest.mark.skipif(not DATA.is_dir(), reason="the published conversations are not there")
def test_the_suspect_clearly_beats_both_baselines_on_the_published_conversations(published: list[Case]) -> None:
    """At the mistake, within one and within three steps of it: none of the intervals reaches down to no lead."""
    assert len(published) > 90
    beaten = [each for each in leads(published) if each.over in ("first error", "random step")]
    assert [(each.over, each.within) for each in beaten if each.low <= 0] == []
    assert len(beaten) == 6


@pytest.mark.skipif(not DATA.is_dir(), reason="the published conversations are not there")
def test_first_failures_beat_both_baselines_at_the_mistake_and_beside_it(published: list[Case]) -> None:
    """Within three steps they are no better than chance."""
    _, rules, error, random, *_ = scores(published)
    assert rules.exact > 1.5 * max(error.exact, random.exact)
    assert rules.within_1 > 1.4 * max(error.within_1, random.within_1)
    assert rules.within_3 >= max(error.within_3, random.within_3)

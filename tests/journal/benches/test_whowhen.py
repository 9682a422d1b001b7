"""Rules against people's annotations: what is counted, on small conversations and on the published ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from journal.benches.whowhen import Case, case, run, scores, steps_of
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
    assert found == Case(stream=STREAM, steps=3, mistake=1, by_rules=2, by_first_error=2, rule="code-runs")
    elsewhere = recorded([*TALK, agent_run.Annotated(label="mistake", at_version=99)])
    assert case(STREAM, elsewhere, all_invariants()) is None


def test_scores_count_what_is_not_guessed_as_missed() -> None:
    """And a random step's score is reckoned out."""
    cases = [
        Case(stream="a", steps=4, mistake=1, by_rules=1, by_first_error=None),
        Case(stream="b", steps=10, mistake=9, by_rules=6, by_first_error=8),
    ]
    rules, error, random = scores(cases)
    assert (rules.guessed, rules.exact, rules.within_1, rules.within_3) == (2, 0.5, 0.5, 1.0)
    assert (error.guessed, error.exact, error.within_1, error.within_3) == (1, 0.0, 0.5, 0.5)
    assert random.exact == pytest.approx((1 / 4 + 1 / 10) / 2)
    assert random.within_1 == pytest.approx((3 / 4 + 2 / 10) / 2)
    assert random.within_3 == pytest.approx((4 / 4 + 4 / 10) / 2)


@pytest.mark.skipif(not DATA.is_dir(), reason="the published conversations are not there")
def test_rules_beat_both_baselines_on_the_published_conversations() -> None:
    """At the mistake and within one step of it."""
    rules, error, random = scores(run(str(DATA)))
    assert rules.cases > 90
    assert rules.exact > 1.5 * max(error.exact, random.exact)
    assert rules.within_1 > 1.4 * max(error.within_1, random.within_1)
    assert rules.within_3 >= max(error.within_3, random.within_3)

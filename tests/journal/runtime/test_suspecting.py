"""Every rule on a run, and whom they suspect together."""

from __future__ import annotations

from journal.domain import agent_run as run
from journal.domain.invariant import all_invariants
from journal.runtime.grading import grade_run
from journal.runtime.suspecting import NO_WITNESSES, judged
from tests.builders import STREAM, recorded, responded, started

CODE = "```python\n1/0\n```"
TALK = [
    started(prompt="How much?"),
    responded("I look it up."),
    responded(CODE),
    run.ToolFailed(message="ZeroDivisionError"),
    responded("It was 3.41, 5.92 and 881,000 of them."),
    run.Answered(response="881,000"),
]


def test_what_is_found_is_what_grading_finds() -> None:
    """Keeping all failures changes no verdict."""
    events, rules = recorded(TALK), all_invariants()
    assert judged(STREAM, events, rules).found == grade_run(STREAM, events, rules)


def test_the_decision_behind_a_failure_is_suspected_not_where_it_shows() -> None:
    """The code is written at 3 and fails at 4."""
    rules = [rule for rule in all_invariants() if rule.name == "code-runs"]
    found = judged(STREAM, recorded(TALK), rules)
    first = found.found["code-runs"].first_failing
    assert first is not None
    assert first.version == 4
    assert found.suspect is not None
    assert (found.suspect.version, found.suspect.rules) == (3, ("code-runs",))


def test_labels_change_nothing() -> None:
    """What people said of the run is not looked at."""
    labels = [
        run.Graded(rule="mistake", by="x", verdict="fails", at_version=5),
        run.Annotated(label="mistake", at_version=5),
    ]
    rules = all_invariants()
    assert judged(STREAM, recorded([*TALK, *labels]), rules).suspect == judged(STREAM, recorded(TALK), rules).suspect


def test_nobody_is_suspected_where_nothing_fails_but_a_budget() -> None:
    """A budget fails where it is used up, whatever went wrong before."""
    budgets = [rule for rule in all_invariants() if rule.theme in NO_WITNESSES]
    spent = [started(), *(responded() for _ in range(101))]
    found = judged(STREAM, recorded(spent), budgets)
    assert found.found["step-budget"].outcome.verdict == "fails"
    assert found.suspect is None

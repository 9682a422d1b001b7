"""Verdicts on a run: its own and those of re-grades, in the list, in the head and at the event they are about."""

from __future__ import annotations

import pytest

from explorer.models import RunSummary
from explorer.projections import Explorer
from explorer.sparkline import sparkline
from explorer.verdicts import beside, noted, regraded, rules_at, verdicts_of
from journal.domain.agent_run import Graded, GradedRun
from journal.runtime.projection import catch_up_all
from journal.store import get_store
from tests.builders import event
from tests.coding_run import coding_run

RUN = "agent_run-1"


def grade(rule: str, verdict: str, at: int | None = None, *, events: int = 40) -> Graded:
    """Return what a re-grade says of a whole run."""
    run = GradedRun(stream=RUN, version=events)
    return Graded(rule=rule, verdict=verdict, at_version=at, message=f"{rule} at {at}", run=run)


def test_the_newest_re_grade_of_a_rule_replaces_the_one_before() -> None:
    """A rule that fails under its new version and held under the old one does not count twice."""
    kept = regraded(regraded([], grade("no-loop", "holds")), grade("no-loop", "fails", 9))
    found = verdicts_of(kept)
    assert [(one.rule, one.version, one.message) for one in found.fails] == [("no-loop", 9, "no-loop at 9")]
    assert found.holds == 0
    assert verdicts_of(regraded(kept, grade("no-loop", "holds"))).fails == ()


def test_own_verdicts_and_those_of_re_grades_do_not_depend_on_the_order_of_batches() -> None:
    """Whichever is taken in first, the same is kept, so that a rebuild comes to the same rows."""
    own, other = Graded(rule="exact", verdict="fails", at_version=3), grade("no-loop", "fails", 9)
    assert noted(regraded([], other), own, 7) == regraded(noted([], own, 7), other)


def test_a_run_that_is_read_again_keeps_what_re_grades_said() -> None:
    """Their verdicts stand in no event of the run."""
    kept = regraded(noted([], Graded(rule="exact", verdict="holds"), 7), grade("no-loop", "fails", 9))
    assert [one[0] for one in beside(kept)] == ["no-loop"]


def test_an_event_is_told_what_rules_say_up_to_it() -> None:
    """A rule that fails later still holds here; one that failed before is named with its event."""
    kept = regraded(regraded(regraded([], grade("a", "fails", 5)), grade("b", "fails", 9)), grade("c", "holds"))
    said = rules_at(verdicts_of(kept), 9)
    assert ([one.rule for one in said.here], [one.rule for one in said.before], said.holding) == (["b"], ["a"], ("c",))
    assert rules_at(verdicts_of(kept), 4).holding == ("a", "b", "c")


def test_a_broken_rule_is_a_flag_in_the_shape_of_the_run() -> None:
    """At its place along the run, and nothing where no rule fails."""
    shape = {"every": 1, "bars": [1, 2, 3], "failures": []}
    assert sparkline(shape, events=100, peak=3).alarms == ""
    assert sparkline(shape, events=100, peak=3, rule_failure=50).rule.endswith("M28 2V15.5")


@pytest.mark.django_db
def test_the_list_knows_what_a_re_grade_said_also_after_a_rebuild() -> None:
    """The verdict stands in a stream of its own, behind the run's events, and reaches the run's row."""
    store = get_store("default")
    store.append(RUN, coding_run(40, stream=RUN), expected_version=0)
    catch_up_all()
    store.append("grades-1.1", [event(grade("no-loop", "fails", 9))], expected_version=0)
    store.append("grades-1.2", [event(Graded(rule="of-no-run", verdict="fails"))], expected_version=0)
    catch_up_all()
    summary = RunSummary.objects.get(stream=RUN)
    assert [(one.rule, one.version) for one in verdicts_of(summary.verdicts).fails] == [("no-loop", 9)]
    before = Explorer().digest(generation=summary.generation)
    RunSummary.every.all().delete()
    projection = Explorer()
    projection.handle(list(store.read_all()), generation=summary.generation)
    assert projection.digest(generation=summary.generation) == before

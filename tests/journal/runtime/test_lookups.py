"""What a rule may look up beside its run, from read models."""

from __future__ import annotations

import pytest

from journal.access import add_project
from journal.domain.agent_run import HandedOff
from journal.domain.invariant import HOLDS, Context, Fails, Invariant, Verdict
from journal.runtime import grading, lookups, projection, regrade, saved_rules
from journal.store import get_store
from tests.builders import event, failed, reasoned, started

pytestmark = pytest.mark.django_db
P = "looked"


@pytest.fixture(autouse=True)
def journal() -> None:
    """A run that hands work to another, whose tool fails."""
    add_project(P)
    handed = [started(), HandedOff(to_agent="helper", child_run="agent_run-child")]
    child = [started(agent="helper"), reasoned(), failed()]
    for stream, made in (("agent_run-parent", handed), ("agent_run-child", child)):
        get_store(P).append(stream, [event(each) for each in made], expected_version=0)
    projection.catch_up_all()


class HelpersDoNotFail(Invariant):
    """Looks at the run that work was handed to."""

    name = "test-helpers"
    title = "Helpers do not fail"

    def evaluate(self, ctx: Context) -> Verdict:
        """Fail where the other run has an error."""
        if not isinstance(ctx.data, HandedOff) or ctx.data.child_run is None:
            return HOLDS
        found = ctx.lookup("runs", ctx.data.child_run)
        return Fails(f"{found['agent']} had {found['tool_errors']} errors") if found and found["tool_errors"] else HOLDS


def test_a_rule_looks_at_another_run() -> None:
    """By its stream, in the read model of the list of runs; of the rule's own project alone."""
    found = grading.bisect(HelpersDoNotFail(), stream="agent_run-parent", project=P)
    assert isinstance(found, grading.Found)
    assert found.first_failing is not None
    assert (found.first_failing.version, found.first_failing.message) == (2, "helper had 1 errors")
    assert lookups.of("other")("runs", "agent_run-child") is None


def test_verdicts_and_saved_rules_can_be_looked_up() -> None:
    """The newest verdict of a rule on a run, and the newest version of a rule."""
    saved_rules.save(
        project=P, name="none-fail", description="", expression="state.totals.tool_errors < 1", monotone=True, by=None
    )
    regrade.regrade("none-fail", project=P)
    look = lookups.of(P)
    assert (look("grades", "none-fail agent_run-child")["verdict"], look("rules", "none-fail")["version"]) == (
        "fails",
        1,
    )
    assert (look("grades", "none-fail agent_run-nobody"), look("rules", "nobody")) == (None, None)


def test_a_projection_nobody_offers_is_refused() -> None:
    """The rule went wrong then, which says nothing of the run."""
    with pytest.raises(LookupError, match="there are grades, rules, runs"):
        lookups.of(P)("nothing", "x")

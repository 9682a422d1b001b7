"""Saved rules: versions as events, found by name, listed beside the built-in ones, and evaluated like them."""

from __future__ import annotations

from typing import Any

import pytest

from journal.access import add_project
from journal.errors import RuleNotFound, StreamNotFound
from journal.models import RuleRow
from journal.runtime import beside, grading, projection, saved_rules
from journal.runtime.saved_rules import RuleRefused
from journal.store import get_store
from tests.builders import event, failed, reasoned, returned, started

pytestmark = pytest.mark.django_db
P = "ruled"
FEW = "state.totals.tool_errors < 2"


@pytest.fixture(autouse=True)
def journal() -> None:
    """Two runs: one fails twice."""
    add_project(P)
    twice = [started(), reasoned(call_id="a"), failed(call_id="a"), reasoned(call_id="b"), failed(call_id="b")]
    for stream, made in (("agent_run-twice", twice), ("agent_run-fine", [started(), reasoned(), returned()])):
        get_store(P).append(stream, [event(each) for each in made], expected_version=0)


def save(expression: str = FEW, **fields: Any) -> saved_rules.SavedVersion:
    """Save a rule."""
    given = {"name": "few-errors", "description": "Two at most", "monotone": True, "by": "ada", **fields}
    return saved_rules.save(project=P, expression=expression, **given)


def test_saving_makes_a_version_and_the_same_again_makes_none() -> None:
    """Another text, description or claim is another version; all of them stay."""
    first = save()
    assert (first.version, first.is_new, first.saved_by, first.expression) == (1, True, "ada", FEW)
    again = save(by="grace")
    assert (again.version, again.is_new, again.saved_by) == (1, False, "ada")
    assert save(f"  {FEW}  ").is_new is False
    assert [save("state.totals.tool_errors < 3").version, save(monotone=False).version, save().version] == [2, 3, 4]
    assert [version.expression for version in saved_rules.history(P, "few-errors")][1] == "state.totals.tool_errors < 3"
    assert [each.type for each in get_store(P).read_stream("rule-few-errors")] == ["rule.saved"] * 4


@pytest.mark.parametrize("name", ["", "Few", "few errors", "-few", "few-", "few--errors", "a" * 81, "größe", "x/../y"])
def test_a_name_is_small_letters_digits_and_dashes(name: str) -> None:
    """It stands in addresses and on command lines."""
    with pytest.raises(RuleRefused) as refused:
        save(name=name)
    assert refused.value.field == "name"


def test_a_built_in_rules_name_is_refused() -> None:
    """Whoever says the name means that rule."""
    with pytest.raises(RuleRefused, match="built-in"):
        save(name="no-failure-loop")


def test_what_is_wrong_with_an_expression_is_said_with_its_place() -> None:
    """Line, column and length, and what may have been meant; nothing is stored."""
    with pytest.raises(RuleRefused, match=r"line 1, column 14: state\.totals has no field tool_erors") as refused:
        save("state.totals.tool_erors < 2")
    (problem,) = refused.value.problems
    assert (problem.line, problem.column, problem.length, problem.suggestion) == (1, 14, 10, "tool_errors")
    assert refused.value.fields()["field"] == "expression"
    assert saved_rules.history(P, "few-errors") == []


def test_a_rule_is_found_by_name_and_by_version() -> None:
    """Built in or saved; another project has its own."""
    save()
    save("state.totals.tool_errors < 3")
    assert saved_rules.find_rule(P, "few-errors").version == 2
    assert saved_rules.find_rule(P, "few-errors", 1).expression == FEW
    assert saved_rules.find_rule(P, "no-failure-loop").kind == "built-in"
    for name, version in (("few-errors", 3), ("nobody", None), ("no-failure-loop", 99)):
        with pytest.raises(RuleNotFound):
            saved_rules.find_rule(P, name, version)
    add_project("other")
    with pytest.raises(RuleNotFound):
        saved_rules.find_rule("other", "few-errors")


def test_the_list_has_both_kinds_and_the_newest_version_at_once() -> None:
    """One record for each, by name."""
    save()
    save("state.totals.tool_errors < 3")
    listed = {rule.name: rule for rule in saved_rules.listing(P)}
    assert (listed["few-errors"].version, listed["few-errors"].kind) == (2, "saved")
    assert listed["no-failure-loop"].expression == ""
    assert list(listed) == sorted(listed)


def test_a_retired_rule_is_not_offered_and_its_versions_stay() -> None:
    """Saving it again goes on counting."""
    save()
    saved_rules.retire(project=P, name="few-errors", by="ada", reason="too strict")
    assert "few-errors" not in {rule.name for rule in saved_rules.listing(P)}
    assert "few-errors" in {rule.name for rule in saved_rules.listing(P, with_retired=True)}
    with pytest.raises(RuleNotFound):
        saved_rules.find_rule(P, "few-errors")
    assert saved_rules.find_rule(P, "few-errors", 1).is_retired
    with pytest.raises(RuleNotFound):
        saved_rules.retire(project=P, name="few-errors", by="ada")
    assert save().version == 2


def test_a_saved_rule_is_bisected_by_name() -> None:
    """A run, and a range, as with a built-in one."""
    save()
    found = grading.bisect("few-errors", stream="agent_run-twice", project=P)
    assert isinstance(found, grading.Found)
    assert (found.outcome.first_failing, found.outcome.method) == (5, "bisect")
    over = grading.bisect("few-errors", project=P)
    assert over.first_failing is not None
    assert over.first_failing.version == 5


def test_an_expression_is_tried_without_storing_anything() -> None:
    """On the newest runs, or on those that are named."""
    head = get_store(P).head()
    found = saved_rules.try_on(P, FEW)
    assert [(run.stream, run.verdict, run.first_failing) for run in found.runs] == [
        ("agent_run-fine", "holds", None), ("agent_run-twice", "fails", 5),
    ]  # fmt: skip
    assert (found.holds, found.fails, found.raised, found.events) == (1, 1, 0, 8)
    assert saved_rules.try_on(P, "1 / 0 == 1", streams=["agent_run-fine"]).raised == 1
    with pytest.raises(StreamNotFound):
        saved_rules.try_on(P, FEW, streams=["agent_run-nobody"])
    with pytest.raises(RuleRefused):
        saved_rules.try_on(P, "stat < 1")
    assert get_store(P).head() == head


def test_the_read_model_is_what_the_streams_say() -> None:
    """A rebuild lists the same."""
    save()
    save("state.totals.tool_errors < 3")
    save(name="other-rule")
    saved_rules.retire(project=P, name="other-rule", by=None)
    before = saved_rules.listing(P, with_retired=True)
    RuleRow.objects.all().delete()
    projection.rebuild(projection.named("rules"))
    assert saved_rules.listing(P, with_retired=True) == before
    assert beside.verify(projection.named("rules")).agrees

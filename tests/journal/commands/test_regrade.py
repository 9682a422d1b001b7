"""`nagare regrade` as programs call it, and saved rules where the commands take rules."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from journal.models import Project
from journal.runtime import saved_rules
from journal.store import get_store
from tests.builders import event, failed, reasoned, returned, started

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def journal() -> None:
    """A run that fails twice and one that does not, and two versions of a rule."""
    Project.objects.create(slug="default", name="Default")
    twice = [started(), reasoned(call_id="a"), failed(call_id="a"), reasoned(call_id="b"), failed(call_id="b")]
    get_store().append("agent_run-7", [event(each) for each in twice], expected_version=0)
    fine = [event(each) for each in (started(), reasoned(), returned())]
    get_store().append("agent_run-8", fine, expected_version=0)
    for most in (3, 2):
        expression = f"state.totals.tool_errors < {most}"
        saved_rules.save(
            project="default", name="few-errors", description="", expression=expression, monotone=True, by=None
        )


def called(*arguments: str) -> str:
    """Return what a command prints."""
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def document(*arguments: str) -> Any:
    """Return the document a command prints."""
    return json.loads(called(*arguments, "--json"))


def test_the_outcome_has_the_contracts_fields() -> None:
    """With the first failing event, every failing run, and what turned against the version before."""
    found = document("regrade", "few-errors", "--wait")
    failing = next(each for each in get_store().read_stream("agent_run-7") if each.version == 5)
    message = "not true here: state.totals.tool_errors < 2"
    assert {name: found[name] for name in ("rule", "rule_version", "runs", "holds", "fails", "errors")} == {
        "rule": "few-errors", "rule_version": 2, "runs": 2, "holds": 1, "fails": 1, "errors": 0,
    }  # fmt: skip
    assert found["first_failing"] == {
        "stream": "agent_run-7", "version": 5, "position": failing.position, "event_id": failing.id,
        "type": "agent_run.tool_failed", "message": message,
    }  # fmt: skip
    assert found["failing"] == [{"stream": "agent_run-7", "version": 5, "event_id": failing.id, "message": message}]
    assert (found["newly_failing"], found["newly_holding"]) == (1, 0)


def test_it_is_told_in_words() -> None:
    """Counts, the version before, and where each run fails."""
    said = called("regrade", "few-errors", "--wait")
    assert "few-errors, version 2: 2 runs; 1 hold, 1 fail, 0 could not be judged" in said
    assert "Against version 1: 1 newly fail, 0 newly hold." in said
    assert "agent_run-7 event 5: not true here" in said


def test_an_empty_range_says_why() -> None:
    """Which clause left nothing over, and how many runs there are without it."""
    said = called("regrade", "few-errors", "--wait", "--since", "2999-01-01")
    assert "No run is left by: since 2999-01-01T00:00:00+00:00. Without it: 2 runs." in said


def test_without_wait_workers_are_woken() -> None:
    """Here they do it at once."""
    assert document("regrade", "few-errors")["job"]


def test_saved_rules_are_listed_and_bisected() -> None:
    """By name, in their newest version."""
    (listed,) = [rule for rule in document("invariants")["invariants"] if rule["name"] == "few-errors"]
    assert (listed["kind"], listed["version"], listed["expression"]) == ("saved", 2, "state.totals.tool_errors < 2")
    assert "saved, v2" in called("invariants")
    found = document("bisect", "few-errors", "--stream", "agent_run-7")
    assert (found["first_failing"]["version"], found["rule_version"], found["method"]) == (5, 2, "bisect")
    assert document("bisect", "few-errors")["first_failing"]["version"] == 5


@pytest.mark.parametrize("arguments", [("regrade", "nobody"), ("regrade", "few-errors", "--query", "agnt:x")])
def test_what_cannot_be_asked_is_refused(arguments: tuple[str, ...]) -> None:
    """On standard error, with exit code 1."""
    with pytest.raises(CommandError) as refused:
        called(*arguments)
    assert refused.value.returncode == 1

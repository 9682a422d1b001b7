"""`nagare invariants` and `nagare bisect` as programs call them."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from journal.domain.invariant import HOLDS, Context, Fails, Holds, Invariant, Verdict, all_invariants, register
from journal.models import Project
from journal.runtime.grading import bisect
from journal.store import get_store
from tests.builders import event, failed, reasoned, returned, started

STREAM = "agent_run-7"


class Careless(Invariant):
    """Goes wrong where a result comes."""

    name = "test-careless"
    title = "Careless"

    def evaluate(self, ctx: Context) -> Verdict:
        """Break on a result."""
        return Fails("") if ctx.result is not None and ctx.result["x"] else Holds()


class Wavering(Invariant):
    """Claims to be monotone and is not."""

    name = "test-wavering"
    title = "Wavering"
    monotone = True

    def evaluate(self, ctx: Context) -> Verdict:
        """Fail at the second event only."""
        return Fails("for once") if ctx.version == 2 else HOLDS


@pytest.fixture(autouse=True)
def journal(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal with a loop of failures, and two rules that are not to be trusted."""
    monkeypatch.setattr("journal.domain.invariant._registered", {rule.name: rule for rule in all_invariants()})
    register(Careless())
    register(Wavering())
    Project.objects.create(slug="default", name="Default")
    events = [started(), reasoned(call_id="a"), failed(call_id="a"), reasoned(call_id="b"), failed(call_id="b")]
    get_store("default").append(STREAM, [event(each) for each in events], expected_version=0)
    others = [event(each) for each in (started(), reasoned(), returned({"y": 1}))]
    get_store("default").append("agent_run-8", others, expected_version=0)


def called(*arguments: str) -> tuple[str, str]:
    """Return what a command prints, and what it says beside."""
    out, beside = io.StringIO(), io.StringIO()
    call_command(*arguments, stdout=out, stderr=beside)
    return out.getvalue(), beside.getvalue()


def as_json(*arguments: str) -> Any:
    """Return the one document a command prints."""
    return json.loads(called(*arguments, "--json")[0])


def test_the_rules_are_listed() -> None:
    """With what a program needs to choose one."""
    listed = {rule["name"]: rule for rule in as_json("invariants")["invariants"]}
    assert listed["cost-budget"]["monotone"] is True
    assert listed["no-failure-loop"]["title"] == "A call that failed is not made again unchanged"
    assert "no-failure-loop" in called("invariants")[0]


def test_a_run_is_bisected() -> None:
    """The document of the contract."""
    found = as_json("bisect", "no-failure-loop", "--stream", STREAM)
    last = list(get_store("default").read_stream(STREAM))[-1]
    assert found["first_failing"] == {
        "stream": STREAM, "version": 5, "position": last.position, "event_id": last.id, "type": "agent_run.tool_failed",
        "message": "read_file failed again with the arguments that failed at 3", "versions": [3, 5],
    }  # fmt: skip
    assert found["flips"] == [{"stream": STREAM, "version": 5, "to": "fails"}]
    given = {name: found[name] for name in ("rule", "scope", "verdict", "monotone", "evaluations", "events", "method")}
    assert given == {
        "rule": "no-failure-loop", "scope": {"stream": STREAM}, "verdict": "fails", "monotone": False,
        "evaluations": 5, "events": 5, "method": "scan",
    }  # fmt: skip


def test_a_run_is_bisected_in_words() -> None:
    """The outcome, the event, its evidence; and how a search went."""
    said, _ = called("bisect", "no-failure-loop", "--stream", STREAM)
    assert said.startswith(f"no-failure-loop on {STREAM}: First fails at event 5; held at 4.")
    assert "Evidence: events 3, 5." in said
    said, _ = called("bisect", "step-budget", "--stream", STREAM)
    assert "Asked about 1 of 5 events; confirmed by reading 5." in said


def test_every_rule_is_put_to_a_run() -> None:
    """With all answers, and the decision that the failures lead back to."""
    found = as_json("bisect", "*", "--stream", STREAM)
    said = {each["rule"]: each for each in found["rules"]}
    assert said["no-failure-loop"] == as_json("bisect", "no-failure-loop", "--stream", STREAM)
    decisions = [
        event.version for event in get_store("default").read_stream(STREAM) if event.type == "agent_run.reasoned"
    ]
    assert found["suspect"]["version"] in decisions
    words, _ = called("bisect", "*", "--stream", STREAM)
    assert "no-failure-loop: First fails at event 5" in words
    assert f"Look first at event {found['suspect']['version']}, the most suspect decision" in words


def test_a_wrong_claim_is_reported() -> None:
    """The answer is the true first failure, read from every event."""
    found = as_json("bisect", "test-wavering", "--stream", STREAM)
    assert (found["first_failing"]["version"], found["method"], found["claim_broken_at"]) == (2, "scan", 3)


def test_a_rule_that_goes_wrong_is_refused() -> None:
    """On one run with exit code 1; over a range beside, with the runs that could be judged."""
    with pytest.raises(CommandError, match="went wrong at event 3 of 'agent_run-8': KeyError: 'x'") as caught:
        called("bisect", "test-careless", "--stream", "agent_run-8")
    assert caught.value.returncode == 1
    printed, beside = called("bisect", "test-careless")
    assert printed.startswith("test-careless: holds at all 8 events of 2 runs.")
    assert beside.startswith("agent_run-8: the rule went wrong at event 3")


def test_the_journal_is_bisected() -> None:
    """The first failing event by position; a tool chooses events."""
    found = as_json("bisect", "no-failure-loop", "--tool", "read_file", "--since", "2000-01-01")
    assert (found["verdict"], found["first_failing"]["version"], found["events"]) == ("fails", 5, 6)
    assert found["scope"] == {"since": "2000-01-01T00:00:00Z", "until": None, "tool": "read_file"}
    assert as_json("bisect", "no-failure-loop", "--until", "2000-01-01T00:00:00+02:00")["events"] == 0
    assert "fails in 1 run;" in called("bisect", "no-failure-loop")[0]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("bisect", "no-such", "--stream", STREAM), 1),
        (("bisect", "no-loop", "--stream", "agent_run-404"), 1),
        (("bisect", "no-loop", "--stream", STREAM, "--tool", "grep"), 2),
        (("bisect", "*"), 2),
        (("bisect", "*", "--stream", "agent_run-404"), 1),
        (("bench", "whowhen", "--data", "/no/such/folder"), 2),
    ],
)
def test_what_cannot_be_done_is_refused(arguments: tuple[str, ...], code: int) -> None:
    """By exit code: 1 refused, 2 wrong usage."""
    with pytest.raises(CommandError) as caught:
        called(*arguments)
    assert caught.value.returncode == code


def test_python_asks_the_same() -> None:
    """`bisect(rule, stream=…)`, by name or by the rule itself."""
    found = bisect("no-failure-loop", stream=STREAM)
    assert found.first_failing is not None
    assert found.first_failing.version == 5
    assert bisect(Wavering(), stream=STREAM).first_failing is not None
    assert bisect("no-failure-loop").first_failing == found.first_failing
    with pytest.raises(ValueError, match="a stream is looked at whole"):
        bisect("no-loop", stream=STREAM, tool="grep")

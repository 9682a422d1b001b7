"""Saved rules: what is wrong with an expression and where, how it may go on, what it says of an event."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from journal.domain import agent_run as run
from journal.domain.bisect import Outcome, bisect_run
from journal.domain.judging import Recorded
from journal.domain.rule import Answer, SavedRule, check, complete
from journal.domain.rule_text import loops, needs
from journal.runtime.rule_process import RuleProcess, rule_process
from tests.builders import STREAM, failed, reasoned, recorded, responded, returned, started

LOOP = [
    started(),
    reasoned(call_id="a"),
    failed(call_id="a"),
    reasoned(call_id="b"),
    failed(call_id="b"),
    run.Answered(),
]


@pytest.fixture(scope="module")
def process() -> Iterator[RuleProcess]:
    """Give one process for all."""
    with rule_process() as process:
        yield process


def outcome(process: RuleProcess, expression: str, events: list[Any] = LOOP, *, monotone: bool = False) -> Outcome:
    """Return what an expression comes to on a run."""
    assert check(expression) == []
    rule = SavedRule(name="mine", expression=expression, evaluate_with=process, monotone=monotone)
    return bisect_run(rule, Recorded(STREAM, recorded(events), rule))


def test_the_contract_s_first_example(process: RuleProcess) -> None:
    """It fails at the second failure; events that name no tool are not its business."""
    found = outcome(process, "state.failures[event.data.toolName].in_a_row < 2")
    assert (found.verdict, found.first_failing) == ("fails", 5)
    assert [(flip.version, flip.to) for flip in found.flips] == [(5, "fails"), (6, "holds")]


def test_the_contract_s_second_example(process: RuleProcess) -> None:
    """A result that took too long fails; one whose time is not recorded holds."""
    expression = 'event.type != "agent_run.tool_returned" || event.data.latencyMs < 5000'
    slow = run.ToolReturned(tool_name="grep", call_id="c1", response_json="[]", latency_ms=7_000)
    assert outcome(process, expression, [started(), reasoned(), slow]).first_failing == 3
    assert outcome(process, expression, [started(), reasoned(), returned()]).verdict == "holds"


def test_what_a_source_does_not_record_is_not_a_failure(process: RuleProcess) -> None:
    """Null compares with nothing: the rule holds, and says why."""
    found = outcome(process, "state.totals.cost_usd < 1.0", [started(), responded()])
    assert found.verdict == "holds"
    assert found.note == "says nothing of this event: state.totals.cost_usd is not recorded"


def test_results_can_be_looked_into(process: RuleProcess) -> None:
    """`json` reads the text of a result."""
    expression = "json(event.data.responseJson).rate > 0.1"
    events = [
        started(),
        reasoned(),
        returned({"rate": 1.1}),
        reasoned(call_id="c2"),
        returned({"rate": 0.011}, call_id="c2"),
    ]
    assert outcome(process, expression, events).first_failing == 5


def test_the_state_before_can_be_compared(process: RuleProcess) -> None:
    """`previous` is the state before the event."""
    expression = "state.totals.tool_errors == previous.totals.tool_errors"
    assert outcome(process, expression).first_failing == 3


def test_a_monotone_expression_is_searched_for(process: RuleProcess) -> None:
    """As one in code is."""
    found = outcome(process, "state.totals.tool_errors < 2", monotone=True)
    assert (found.method, found.first_failing, found.checked) == ("bisect", 5, 6)


@pytest.mark.parametrize("expression", ["version", "1 / 0 == version", 'version < "a"', "json(event.type).x == 1"])
def test_an_expression_that_goes_wrong_is_no_failure(process: RuleProcess, expression: str) -> None:
    """The outcome is `raised`, at the first event."""
    found = outcome(process, expression)
    assert (found.verdict, found.first_failing, found.raised_at) == ("raised", None, 1)


def test_an_endless_expression_is_stopped_and_the_next_rule_is_evaluated() -> None:
    """A loop in a loop over a long list: its process is ended at the deadline, and another one made."""
    huge = "[" + ",".join(["0"] * 200) + "]"
    endless = f"{huge}.all(a, {huge}.all(b, {huge}.all(c, {huge}.all(d, a + b + c + d == 0))))"
    assert check(endless)[0].message == "4 loops stand in each other; 2 may: more take too long"
    from datetime import timedelta  # noqa: PLC0415

    with rule_process(deadline=timedelta(milliseconds=300)) as process:
        rule = SavedRule(name="endless", expression=endless, evaluate_with=process)
        found = bisect_run(rule, Recorded(STREAM, recorded(LOOP), rule))
        assert (found.verdict, found.raised_at) == ("raised", 1)
        assert found.error == "RuleTimeout: not done after 0.3 s, and stopped"
        assert process("1 < 2", {}) == Answer(value=True)
        assert process.started == 2


@pytest.mark.parametrize(
    ("expression", "line", "column", "length", "message", "suggestion"),
    [
        ("", 1, 1, 0, "write an expression that is true where the rule holds", None),
        ("state.totals.decisions <", 1, 25, 1, None, None),
        ("version > 1 &&\n  state.totals.cost_used < 1.0", 2, 16, 9, "state.totals has no field cost_used", "cost_usd"),
        ("stat.version > 1", 1, 1, 4, "there is no variable stat; there are state, previous, event, version", "state"),
        ("event.data.tool_name == 'grep'", 1, 12, 9, "event.data has no field tool_name", "toolName"),
        ("jsn(event.type) == 1", 1, 1, 3, "there is no function jsn", "json"),
        (
            'event.type != "agent_run.tool_fialed"', 1, 15, 23,
            "no event has the type agent_run.tool_fialed", "agent_run.tool_failed",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_points_at_its_place(  # noqa: PLR0913, PLR0917
    expression: str, line: int, column: int, length: int, message: str | None, suggestion: str | None
) -> None:
    """Line, column and length from 1, what is wrong, and what may have been meant."""
    (problem,) = check(expression)
    assert (problem.line, problem.column, problem.length) == (line, column, length)
    assert message is None or problem.message == message
    assert problem.suggestion == suggestion


@pytest.mark.parametrize(
    "hostile", ["(" * 5_000, "(" * 1_900, "[" * 900 + "]" * 900, "\x00", "𝕏" * 50, "__import__('os')", "a" * 5_000]
)
def test_hostile_text_is_refused_with_a_place(hostile: str) -> None:
    """Nothing is raised, whatever is written."""
    assert check(hostile)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sta", ["state", "startsWith"]),
        ("state.tot", ["totals"]),
        ("state.totals.cost", ["cost_usd"]),
        ("event.data.tool", ["tools", "toolName"]),
        ("version > 1 && event.metadata.caus", ["causationId", "causes"]),
        ('event.type == "agent_run.tool_', ["agent_run.tool_returned", "agent_run.tool_failed"]),
        ("state.nothing.", []),
    ],
)
def test_completion_follows_the_schema(text: str, expected: list[str]) -> None:
    """Fields of the state and of events, functions, and event types within quotes."""
    found = complete(text, len(text))
    assert sorted(option.text for option in found) == sorted(expected)
    for option in found:
        assert option.text.startswith(text[option.start :])


def test_only_what_is_named_is_handed_in() -> None:
    """The fields an expression names, and everything where it may name any."""
    assert needs("state.totals.cost_usd < 1.0 && state.status != event.type") == {
        "state": frozenset(("totals", "status")),
        "event": frozenset(("type",)),
    }
    assert needs('previous["status"] == "previous.totals"') == {"previous": None}


def test_loops_are_counted_by_how_deep_they_stand() -> None:
    """Side by side is not in each other, and what is in quotes is no loop."""
    assert loops("state.context.all(a, a.version > 0) && state.context.exists(b, b.version > 1)") == 1
    assert loops("state.context.all(a, state.context.exists(b, b.role == a.role))") == 2
    assert loops('event.type == ".all(x, .all(y"') == 0

"""Saved rules: what is wrong with an expression and where, how it may go on, what it says of an event."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from journal.domain import agent_run as run
from journal.domain import codec
from journal.domain.bisect import Outcome, bisect_run
from journal.domain.judging import Recorded
from journal.domain.rule import Answer, SavedRule, check, complete
from journal.domain.rule_text import loops, needs
from journal.runtime.grading import grade_run
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


class Counting:
    """Counts what reaches the process."""

    def __init__(self, process: RuleProcess) -> None:
        self._process = process
        self.asked: list[int] = []
        self.seen: list[bytes] = []

    def __call__(self, text: str, variables: Any) -> Answer:
        """Ask about one."""
        return self._process(text, variables)

    def many(self, text: str, variables: Sequence[bytes]) -> Sequence[Answer]:
        """Note how many, and ask."""
        self.asked.append(len(variables))
        self.seen += variables
        return self._process.many(text, variables)


def test_many_events_are_asked_about_at_once_and_equal_ones_once(process: RuleProcess) -> None:
    """In the order of the events; what differs in nothing that the expression names has one answer."""
    counting = Counting(process)
    rule = SavedRule(name="few", expression="state.totals.tool_errors < 2", evaluate_with=counting)
    found = grade_run(STREAM, recorded(LOOP), [rule])["few"]
    assert (found.outcome.evaluations, found.outcome.first_failing) == (len(LOOP), 5)
    assert counting.asked == [len({*counting.seen})]
    assert counting.asked[0] < len(LOOP)


def test_one_of_many_that_is_not_done_in_time_is_told_apart() -> None:
    """Those before and behind it have their answers."""
    slow = "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]"
    expression = f"version < 2 || {slow}.all(a, event.all(b, event.all(c, a + b + c >= 0)))"
    asked = [codec.encode({"version": at, "event": list(range(3_000)) if at == 2 else [1]}) for at in (1, 2, 3)]
    with rule_process(deadline=timedelta(milliseconds=400)) as process:
        answers = process.many(expression, asked)
    assert [answer.value for answer in answers] == [True, None, True]
    assert answers[1].stopped == "not done after 0.4 s, and stopped"


def test_a_number_past_2_to_the_53_is_text_as_on_the_wire(process: RuleProcess) -> None:
    """Though only the named fields of an event are read."""
    (event,) = recorded([run.ToolReturned(tool_name="a", call_id="c", latency_ms=2.0**53 * 4)])
    whole = replace(event, data=b'{"toolName":"a","latencyMs":9007199254740993}')
    rule = SavedRule(name="exact", expression="event.data.latencyMs == '9007199254740993'", evaluate_with=process)
    assert grade_run(STREAM, [whole], [rule])["exact"].outcome.verdict == "holds"

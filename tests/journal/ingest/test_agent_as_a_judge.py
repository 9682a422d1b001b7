"""Agent-as-a-Judge's step arrays and judgments become graded runs."""

from __future__ import annotations

from typing import Any

import pytest

from journal.domain.agent_run import Answered, Graded, ModelResponded, Reasoned, ToolReturned
from journal.ingest.agent_as_a_judge import companion, detect, read
from journal.ingest.draft import Link
from tests.journal.ingest.reading import JUNK, a_file, a_run, draft_of, event_of, is_extended, kinds, of

USAGE = {
    "input_tokens": 100,
    "output_tokens": 9,
    "model": "orion-3",
    "cost": 0.25,
    "llm_inference_time": 1.5,
    "step_execution_time": 2.0,
}
JUDGMENT = {
    "requirements": [
        {"requirement_id": 0, "criteria": "It loads the data.", "satisfied": True},
        {"requirement_id": 1, "criteria": "It draws a plot.", "satisfied": False},
    ],
    "preferences": [{"preference_id": 0, "criteria": "It is quick.", "satisfied": None}],
    "satisfied_all_requirements": False,
    "executed_successfully": True,
}


def step(action: str | None = "Running command: ls\n-la", **fields: Any) -> dict[str, Any]:
    """Return a step; the first in a file says what the user wants."""
    agent = {"thought": "I look.", "action": action}
    environment = None if action is None else "a.py"
    return {"step": 0, "user_message": None, "agent": agent, "environment": environment, "step_usage": USAGE} | fields


STEPS = [step(user_message="Plot the data."), step("Running Python code interactively: 1 + 1"), step(None)]


def test_a_step_is_a_response_a_call_and_a_result() -> None:
    """One without an action answers."""
    run = a_run(read, STEPS)
    assert kinds(run) == [
        "Started",
        "MessageReceived",
        "ModelResponded",
        "Reasoned",
        "ToolReturned",
        "ModelResponded",
        "Reasoned",
        "ToolReturned",
        "ModelResponded",
        "Answered",
    ]
    assert [(call.tool_name, call.args_json) for call in of(run, Reasoned)] == [
        ("run", '{"command":"ls\\n-la"}'),
        ("run_ipython", '{"code":"1 + 1"}'),
    ]
    assert of(run, Answered)[0].response == "I look."
    assert (event_of(run, "start").prompt, event_of(run, "start").model) == ("Plot the data.", "orion-3")
    assert draft_of(run, "step/0/result").causes == (Link("step/0/call"),)


def test_each_step_records_its_usage() -> None:
    """The tool took what the model did not of the step's time."""
    run = a_run(read, STEPS)
    response = of(run, ModelResponded)[0]
    assert (response.input_tokens, response.output_tokens, response.cost_usd, response.latency_ms) == (
        100,
        9,
        0.25,
        1500,
    )
    assert of(run, ToolReturned)[0].latency_ms == 500
    assert run.recorded == {"decisions", "tool_calls", "input_tokens", "output_tokens", "cost_usd"}


def test_a_sum_with_a_part_missing_is_not_recorded() -> None:
    """One step without a cost leaves the run without one."""
    run = a_run(read, [*STEPS, step(step_usage=USAGE | {"cost": None})])
    assert "cost_usd" not in run.recorded
    assert "input_tokens" in run.recorded


@pytest.mark.parametrize("beside", ["7.human_judgment.json", "7_Plotting.human_judgment.json"])
def test_a_persons_judgment_is_grades_and_the_outcome(beside: str) -> None:
    """Each requirement is a rule; a preference nobody decided on is none."""
    run = a_run(read, STEPS, name="agent/7_Plotting.json", beside={beside: JUDGMENT})
    assert [(grade.by, grade.rule, grade.verdict) for grade in of(run, Graded)] == [
        ("human", "requirement 0", "holds"),
        ("human", "requirement 1", "fails"),
        ("human", "all requirements", "fails"),
    ]
    assert run.outcome.status == "failure"
    assert run.outcome.raw["requirements"] == {"satisfied": 1, "of": 2}


def test_without_a_judgment_the_outcome_is_unknown() -> None:
    """Nor is there one where the file beside it is broken, which is noted."""
    source = a_file(STEPS, name="7_Plotting.json", beside={"7.human_judgment.json": b"{"})
    (run,) = read(source)
    assert (run.outcome.status, run.outcome.raw) == ("unknown", None)
    assert len(source.problems) == 1


def test_an_action_of_another_kind_stays_as_it_is() -> None:
    """Other agents write other sentences."""
    (call,) = of(a_run(read, [step("write_file(a.py)")]), Reasoned)
    assert (call.tool_name, call.args_json) == ("action", '{"action":"write_file(a.py)"}')


def test_an_array_that_grew_extends_its_run() -> None:
    """The events of its first steps come again under the same keys."""
    whole = a_run(read, STEPS)
    assert all(is_extended(a_run(read, STEPS[:count]), whole) for count in (1, 2))


def test_only_its_own_files_are_recognised() -> None:
    """Judgments and the schema say what they are instead."""
    schema = {"type": "array", "items": {"type": "object", "properties": {"step": {}, "agent": {}, "environment": {}}}}
    assert detect(a_file(STEPS))
    assert companion(a_file(STEPS)) is None
    for beside, name in ((JUDGMENT, "7.human_judgment.json"), (schema, "trajectory-schema.json")):
        assert not detect(a_file(beside, name=name))
        assert companion(a_file(beside, name=name)) is not None
    assert not any(detect(a_file(content)) or companion(a_file(content)) for content in JUNK)


def test_odd_fields_are_no_error() -> None:
    """A step that is no object is noted, odd fields count as absent."""
    source = a_file([step(agent=[], step_usage="none"), 7])
    (run,) = read(source)
    assert kinds(run) == ["Started", "ModelResponded", "Answered", "MessageReceived"]
    assert [str(problem) for problem in source.problems] == ["1 of 2 steps are no objects and are left out"]

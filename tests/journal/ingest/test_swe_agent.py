"""SWE-agent's .traj files of every generation become runs."""

from __future__ import annotations

from typing import Any

import pytest

from journal.domain.agent_run import Aborted, Answered, Graded, MessageReceived, ModelCalled, Reasoned, ToolReturned
from journal.ingest.draft import Opaque, Ref
from journal.ingest.swe_agent import companion, detect, read
from tests.journal.ingest.reading import JUNK, a_file, a_run, event_of, is_extended, kinds, of

TASK: dict[str, Any] = {"role": "user", "content": "Fix the rounding.", "agent": "primary"}
OPENING: list[dict[str, Any]] = [
    {"role": "system", "content": "You work in a shell.", "agent": "primary"},
    {"role": "user", "content": "An example task.", "agent": "primary", "is_demo": True},
    {"role": "assistant", "content": "An example reply.", "action": "ls", "agent": "primary", "is_demo": True},
    TASK,
]
STATS = {"total_cost": 9.0, "instance_cost": 0.5, "tokens_sent": 700, "tokens_received": 30, "api_calls": 2}


def step(action: str, observation: str = "done", **fields: Any) -> dict[str, Any]:
    """Return a step of the text mode."""
    said = f"I will {action}.\n```\n{action}\n```"
    state = '{"open_file": "n/a", "working_dir": "/repo"}'
    return {
        "action": action,
        "observation": observation,
        "response": said,
        "thought": f"I will {action}.",
        "state": state,
    } | fields


def said(taken: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a step as the history has it."""
    reply = {"role": "assistant", "content": taken["response"], "action": taken["action"], "agent": "primary"}
    return [reply, {"role": "user", "content": taken["observation"] + "\n(Open file: n/a)", "agent": "primary"}]


def traj(*steps: dict[str, Any], **info: Any) -> dict[str, Any]:
    """Return a document of 2024."""
    history = OPENING + [message for taken in steps for message in said(taken)]
    return {"environment": "main", "trajectory": list(steps), "history": history, "info": info}


def test_a_step_is_a_response_a_call_and_a_result() -> None:
    """What stands before the first response are messages; a demonstration is nobody's decision."""
    run = a_run(read, traj(step("open a.py 3"), exit_status="submitted", submission="diff", model_stats=STATS))
    assert kinds(run) == [
        "Started",
        *["MessageReceived"] * 4,
        "ModelResponded",
        "Reasoned",
        "ToolReturned",
        "Opaque",
        "Opaque",
        "Answered",
    ]
    assert event_of(run, "start").prompt == "Fix the rounding."
    assert [message.name for message in of(run, MessageReceived)] == [None, "demonstration", "demonstration", None]
    (call,) = of(run, Reasoned)
    assert (call.thought, call.tool_name, call.args_json) == ("I will open a.py 3.", "open", '{"action":"open a.py 3"}')
    assert of(run, ToolReturned)[0].response_json == '"done"'


def test_the_totals_of_the_run_stand_in_its_answer() -> None:
    """SWE-agent counts tokens and cost for the run only."""
    run = a_run(read, traj(step("ls"), exit_status="submitted", submission="diff", model_stats=STATS))
    (answer,) = of(run, Answered)
    assert (answer.response, answer.input_tokens, answer.output_tokens, answer.cost_usd) == ("diff", 700, 30, 0.5)
    assert run.totals == {"input_tokens": 700, "output_tokens": 30, "cost_usd": 0.5}
    assert run.recorded == {"decisions", "tool_calls"}


def test_the_environments_state_is_told_where_it_changes() -> None:
    """A step that leaves it as it was says nothing about it."""
    moved = step("cd lib", state='{"open_file": "n/a", "working_dir": "/repo/lib"}')
    run = a_run(read, traj(step("ls"), step("pwd"), moved))
    states = [opaque.data["working_dir"] for opaque in of(run, Opaque) if opaque.name == "swe_agent.state"]
    assert states == ["/repo", "/repo/lib"]


@pytest.mark.parametrize(
    ("results", "status", "verdict"),
    [({"resolved": ["task-1"]}, "success", "holds"), ({"resolved": ["task-2"]}, "failure", "fails")],
)
def test_a_results_file_of_the_same_import_says_whether_it_was_solved(
    results: dict[str, Any], status: str, verdict: str
) -> None:
    """An instance is solved where `resolved` lists it."""
    document = traj(step("submit"), exit_status="submitted", submission="diff")
    run = a_run(read, document, name="runs/task-1.traj", beside={"results.json": results})
    assert run.outcome.status == status
    assert run.outcome.raw == {"exit_status": "submitted", "resolved": status == "success"}
    assert [(grade.rule, grade.verdict) for grade in of(run, Graded)] == [("resolved", verdict)]


def test_submitting_is_not_solving() -> None:
    """Without a label the outcome of a submitted run is not known."""
    run = a_run(read, traj(step("submit"), exit_status="submitted", submission="diff"))
    assert run.outcome.status == "unknown"


def test_a_run_that_gave_up_is_aborted() -> None:
    """An exit without a submission names its reason."""
    run = a_run(read, traj(step("ls"), exit_status="exit_cost", submission=None))
    assert [end.reason for end in of(run, Aborted)] == ["exit_cost"]
    assert run.outcome.status == "aborted"


def test_calls_of_the_history_give_the_step_its_id_and_arguments() -> None:
    """A function-calling run has them only there; arguments stay as the model wrote them."""
    taken = step("open a.py", state={"working_dir": "/repo"})
    call = {"id": "call_1", "type": "function", "function": {"name": "open", "arguments": '{"path":  "a.py"}'}}
    document = traj(taken)
    document["history"][4]["tool_calls"] = [call]
    run = a_run(read, document)
    (decided,) = of(run, Reasoned)
    assert (decided.call_id, decided.tool_name, decided.args_json) == ("call_1", "open", '{"path":  "a.py"}')
    assert of(run, ToolReturned)[0].call_id == "call_1"


def test_a_history_alone_is_a_run() -> None:
    """Its responses are those that demonstrate nothing."""
    call = {"id": "call_1", "type": "function", "function": {"name": "ls", "arguments": "{}"}}
    history = [*OPENING, {"role": "assistant", "content": "Look.", "agent": "main", "tool_calls": [call]}]
    history.append({"role": "tool", "content": "a.py", "agent": "main", "tool_call_ids": ["call_1"]})
    run = a_run(read, {"history": history})
    assert kinds(run)[-3:] == ["ModelResponded", "Reasoned", "ToolReturned"]
    assert run.outcome.raw == {"exit_status": None, "resolved": None}


def test_a_request_refers_to_the_messages_before_it() -> None:
    """A message of `query` that is in the run is named by its event; another one stands as it is."""
    edited = {"role": "user", "content": "Old environment output: (1 lines omitted)"}
    second = step("pwd", query=[{"role": "system", "content": "You work in a shell."}, edited])
    run = a_run(read, traj(step("ls"), second))
    (asked,) = of(run, ModelCalled)
    assert asked.messages == (Ref("history/0"), edited)


def test_the_newest_generation_names_its_model() -> None:
    """`replay_config` holds it, as JSON text or as an object."""
    document = traj(step("ls")) | {"replay_config": '{"agent": {"model": {"name": "orion-3"}}}'}
    assert event_of(a_run(read, document), "start").model == "orion-3"


def test_a_file_that_grew_extends_its_run() -> None:
    """The events of its first steps come again under the same keys."""
    steps = [step("ls"), step("pwd"), step("submit")]
    whole = a_run(read, traj(*steps, exit_status="submitted", submission="diff"))
    assert all(is_extended(a_run(read, traj(*steps[:count])), whole) for count in (1, 2, 3))


def test_the_same_task_tried_twice_is_two_runs() -> None:
    """Two attempts differ by their first response."""
    assert a_run(read, traj(step("ls"))).source_id != a_run(read, traj(step("pwd"))).source_id


def test_only_trajectories_are_recognised() -> None:
    """Files of no format and of other formats are not."""
    assert detect(a_file(traj(step("ls"))))
    assert detect(a_file({"history": OPENING}))
    others = [{"history": [{"id": 0, "source": "user", "action": "message", "args": {}}]}, {"messages": [TASK]}]
    assert not any(detect(a_file(content)) for content in (*JUNK, *others))


def test_files_beside_the_runs_say_what_they_are() -> None:
    """Results, predictions and a submission's metadata hold no run; a trajectory does."""
    assert companion(a_file({"resolved": [], "no_logs": []}, name="results.json")) is not None
    assert companion(a_file({"task-1": {"model_patch": "diff"}}, name="preds.json")) is not None
    assert companion(a_file(b"name: x\noss: true\n", name="metadata.yaml")) is not None
    assert companion(a_file(traj(step("ls")), name="task-1.traj")) is None
    assert not any(companion(a_file(content)) for content in JUNK)


def test_odd_fields_are_no_error() -> None:
    """Steps, messages and statistics of the wrong type are left out or kept as they are."""
    document = traj(step("ls", state="not json", thought=7, execution_time="soon"), exit_status=3, model_stats=[1])
    document["history"] += [None, {"role": 7, "agent": None}]
    assert "ToolReturned" in kinds(a_run(read, document))

"""OpenHands' three shapes become runs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from journal.domain.agent_run import (
    Aborted,
    Answered,
    ContextCompacted,
    Graded,
    HandedOff,
    MessageReceived,
    ModelResponded,
    Reasoned,
    ToolFailed,
    ToolReturned,
)
from journal.ingest.draft import Link, Opaque, Ref
from journal.ingest.openhands import companion, detect, read
from tests.journal.ingest.reading import JUNK, a_file, a_run, draft_of, event_of, is_extended, kinds, of, time_of

ASKED: dict[str, Any] = {
    "id": 0,
    "timestamp": "2026-02-01T08:00:00.5",
    "source": "user",
    "action": "message",
    "message": "Rename it",
    "args": {"content": "Rename it", "image_urls": None},
}


def acted(
    number: int, action: str, *, response: str | None = None, call: str = "toolu_01", **args: Any
) -> dict[str, Any]:
    """Return an action of the agent; with the model's whole response where it has a name."""
    event = {
        "id": number,
        "timestamp": f"2026-02-01T08:00:{number:02}",
        "source": "agent",
        "message": f"{action}…",
        "action": action,
        "args": args,
    }
    if response:
        function = {"name": "execute_bash", "arguments": '{"command":  "mv a b"}'}
        message = {"role": "assistant", "content": "I rename it.", "tool_calls": [{"id": call, "function": function}]}
        usage = {"prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 60}}
        model_response = {
            "id": response,
            "model": "orion-3",
            "usage": usage,
            "choices": [{"finish_reason": "tool_calls", "message": message}],
        }
        event["tool_call_metadata"] = {
            "function_name": "execute_bash",
            "tool_call_id": call,
            "model_response": model_response,
        }
    return event


def seen(number: int, cause: int | None, kind: str = "run", content: str = "ok", **extras: Any) -> dict[str, Any]:
    """Return an observation."""
    event = {"id": number, "source": "agent", "message": "…", "observation": kind, "content": content, "extras": extras}
    return event if cause is None else event | {"cause": cause}


def line(history: list[Any], **fields: Any) -> dict[str, Any]:
    """Return a record of output.jsonl."""
    settings = {"agent_class": "CodeActAgent", "llm_config": {"model": "orion-3"}, "dataset": "renames"}
    return {
        "instance_id": "task-1",
        "instruction": "Rename it",
        "metadata": settings,
        "history": history,
        "error": None,
    } | fields


MOVE = acted(2, "run", response="gen-1", command="mv a b", thought="I rename it.")
FINISH = acted(5, "finish", final_thought="Renamed.", thought="")


def test_an_action_is_a_response_and_a_call_and_its_observation_the_result() -> None:
    """Arguments are those the model wrote; the time is the event's, in UTC."""
    run = a_run(read, [ASKED, MOVE, seen(3, 2, metadata={"exit_code": 0}), FINISH])
    assert kinds(run) == [
        "Started",
        "MessageReceived",
        "ModelResponded",
        "Reasoned",
        "ToolReturned",
        "ModelResponded",
        "Answered",
    ]
    (call,) = of(run, Reasoned)
    assert (call.tool_name, call.args_json, call.call_id) == ("execute_bash", '{"command":  "mv a b"}', "toolu_01")
    response = of(run, ModelResponded)[0]
    assert (response.input_tokens, response.output_tokens, response.cached_tokens) == (100, 7, 60)
    assert event_of(run, "start").model == "orion-3"
    assert time_of(run, "start") == "2026-02-01T08:00:00.500000+00:00"
    assert of(run, Answered)[0].response == "Renamed."


def test_an_observation_names_its_cause() -> None:
    """The link is recorded, and call ids that repeat are told apart."""
    again = acted(4, "run", response="gen-2", command="ls")
    run = a_run(read, [ASKED, MOVE, seen(3, 2), again, seen(6, 4)])
    assert [call.call_id for call in of(run, Reasoned)] == ["toolu_01", "toolu_01#2"]
    assert draft_of(run, "event/6").causes == (Link("event/4/call"),)
    assert event_of(run, "event/6").call_id == "toolu_01#2"


def test_one_response_behind_two_actions_is_one_decision() -> None:
    """The actions of parallel calls share the response's id."""
    second = acted(3, "run", response="gen-1", command="ls")
    assert kinds(a_run(read, [ASKED, MOVE, second]))[2:] == ["ModelResponded", "Reasoned", "Reasoned"]


@pytest.mark.parametrize(("code", "failed"), [(0, False), (2, True), (-1, False)])
def test_an_exit_code_above_zero_is_a_failure(code: int, *, failed: bool) -> None:
    """A code of -1 means that the command still runs."""
    run = a_run(read, [ASKED, MOVE, seen(3, 2, content="no such file", metadata={"exit_code": code})])
    assert [(one.error_code, one.message) for one in of(run, ToolFailed)] == ([("2", "no such file")] if failed else [])
    assert len(of(run, ToolReturned)) == (not failed)


def test_an_error_without_an_action_is_a_failure_of_no_call() -> None:
    """OpenHands refuses malformed calls before there is an action."""
    (failure,) = of(a_run(read, [ASKED, seen(1, None, "error", "bad parameter")]), ToolFailed)
    assert (failure.call_id, failure.tool_name, failure.message) == (None, "", "bad parameter")


def test_a_thought_is_a_decision_but_no_call() -> None:
    """The tool `think` does nothing; what comes back is the environment speaking."""
    run = a_run(read, [ASKED, acted(1, "think", thought="Two files."), seen(2, 1, "think", "Logged.")])
    assert kinds(run)[2:] == ["ModelResponded", "MessageReceived"]
    assert of(run, ModelResponded)[0].reasoning == "Two files."


def test_a_message_that_waits_is_an_answer() -> None:
    """One that does not wait is a response only."""
    waits = acted(1, "message", content="Done.", wait_for_response=True)
    goes_on = acted(2, "message", content="Working.", wait_for_response=False)
    run = a_run(read, [ASKED, waits, goes_on])
    assert [answer.response for answer in of(run, Answered)] == ["Done."]
    assert len(of(run, ModelResponded)) == 2


def test_states_and_empty_observations_are_kept_aside() -> None:
    """They are nothing to the run, but for a state that ends it."""
    running = seen(1, None, "agent_state_changed", "", agent_state="running")
    broken = seen(3, None, "agent_state_changed", "", agent_state="error", reason="out of memory")
    run = a_run(read, [running, ASKED, seen(2, 0, "null", ""), broken])
    assert [opaque.name for opaque in of(run, Opaque)] == ["openhands.agent_state_changed", "openhands.null"]
    assert [end.reason for end in of(run, Aborted)] == ["out of memory"]


def test_what_the_environment_recalls_is_kept_with_its_knowledge() -> None:
    """The words are short; the extras are what the model was given."""
    run = a_run(read, [ASKED, seen(1, None, "recall", "Added context", date="2026-02-01")])
    assert of(run, MessageReceived)[1].content[1] == {"date": "2026-02-01", "type": "recall"}


def test_a_delegation_and_a_condensation_have_their_own_events() -> None:
    """Forgotten events are named by what became of them."""
    delegated = acted(1, "delegate", agent="BrowsingAgent", inputs={"task": "Look it up"})
    condensed = acted(3, "condensation", forgotten_events_start_id=0, forgotten_events_end_id=2, summary="Asked.")
    run = a_run(read, [ASKED, delegated, condensed])
    assert [(one.to_agent, one.instruction) for one in of(run, HandedOff)] == [("BrowsingAgent", "Look it up")]
    (compacted,) = of(run, ContextCompacted)
    assert compacted.summary == "Asked."
    assert compacted.dropped_versions == (Ref("event/0"), Ref("event/1/response"), Ref("event/1/handoff"))


def test_a_line_of_an_evaluation_is_a_run_with_its_totals() -> None:
    """Its totals are the run's own, and a cost of 0 is none."""
    metrics = {
        "accumulated_cost": 0.0,
        "accumulated_token_usage": {"prompt_tokens": 900, "completion_tokens": 40},
        "response_latencies": [{"response_id": "gen-1", "latency": 1.5}],
    }
    run = a_run(read, line([ASKED, MOVE, seen(3, 2), FINISH], metrics=metrics))
    assert run.totals == {"input_tokens": 900, "output_tokens": 40}
    assert of(run, Answered)[-1].input_tokens == 900
    assert of(run, ModelResponded)[0].latency_ms == 1500
    assert (run.outcome.status, run.outcome.raw) == ("unknown", {"error": None})
    assert run.source_id == "task-1@2026-02-01T08:00:00.5"


def test_a_response_costs_what_it_moved_the_total() -> None:
    """`llm_metrics` holds the run's cost so far."""
    events = [
        acted(number, "run", command="ls") | {"llm_metrics": {"accumulated_cost": cost}}
        for number, cost in ((1, 0.25), (2, 0.75))
    ]
    assert [response.cost_usd for response in of(a_run(read, [ASKED, *events]), ModelResponded)] == [0.25, 0.5]


def test_an_error_ends_the_run() -> None:
    """Its words are the reason."""
    run = a_run(read, line([ASKED, MOVE], error="RuntimeError: maximum iteration"))
    assert [end.reason for end in of(run, Aborted)] == ["RuntimeError: maximum iteration"]
    assert (run.outcome.status, run.outcome.raw) == ("error", {"error": "RuntimeError: maximum iteration"})


@pytest.mark.parametrize(
    ("result", "status"), [({"result": True}, "success"), ({"report": {"resolved": False}}, "failure")]
)
def test_a_benchmarks_label_is_a_grade(result: dict[str, Any], status: str) -> None:
    """It also is the outcome."""
    run = a_run(read, line([ASKED, FINISH], test_result=result))
    assert (run.outcome.status, of(run, Graded)[0].by) == (status, "renames")


def test_the_pair_lists_of_2024_hold_the_same_events() -> None:
    """A pair is an action and an observation; ids of events stand in for those of calls."""
    ran = acted(3, "run_ipython", code="1 + 1", thought="I add.")
    empty = {"message": "No observation", "observation": "null", "content": "", "extras": {}}
    run = a_run(read, line([[ASKED, empty], [ran, seen(4, 3, "run_ipython", "2")]]))
    assert kinds(run)[1:] == ["MessageReceived", "Opaque", "ModelResponded", "Reasoned", "ToolReturned"]
    (call,) = of(run, Reasoned)
    assert (call.tool_name, call.args_json, call.call_id) == ("run_ipython", '{"code":"1 + 1"}', "3")


def test_a_bad_line_does_not_stop_the_others() -> None:
    """It is noted with its number."""
    lines = [json.dumps(line([ASKED, FINISH])), "{", '{"history": 7}', json.dumps(line([ASKED]))]
    source = a_file("\n".join(lines).encode(), name="output.jsonl")
    assert len(list(read(source))) == 2
    assert [problem.line for problem in source.problems] == [2, 3]


def test_a_list_that_grew_extends_its_run() -> None:
    """The events of its beginning come again under the same keys; the first response names the model."""
    events = [ASKED, MOVE, seen(3, 2), FINISH]
    whole = a_run(read, events)
    assert all(is_extended(a_run(read, events[:count]), whole) for count in (2, 3))


def test_only_its_own_files_are_recognised() -> None:
    """Each of the shapes, and nothing else."""
    shapes = (line([ASKED]), line([[ASKED, seen(1, 0)]]), [ASKED, MOVE], {"trajectory": [ASKED]})
    assert all(detect(a_file(shape)) for shape in shapes)
    others = [{"history": [{"role": "user", "content": "hi", "agent": "main"}]}, [{"role": "user", "content": "hi"}]]
    assert not any(detect(a_file(content)) for content in (*JUNK, *others))


def test_the_settings_of_an_evaluation_are_no_run() -> None:
    """`metadata.json` says what it is; a line of output.jsonl does not."""
    settings = {"agent_class": "CodeActAgent", "llm_config": {}, "max_iterations": 50}
    assert companion(a_file(settings, name="metadata.json")) is not None
    assert companion(a_file(line([ASKED]), name="output.json")) is None


def test_odd_fields_are_no_error() -> None:
    """Ids, causes and arguments of the wrong type count as absent; an event of no kind is kept as it is."""
    odd = [ASKED, acted(1, "run") | {"id": [], "args": 7}, seen(2, None) | {"cause": {}}, {"id": 0, "source": "agent"}]
    assert kinds(a_run(read, odd))[2:] == ["ModelResponded", "Reasoned", "MessageReceived", "Opaque"]

"""ATIF documents of every version become runs, and the sub-agents inside them runs of their own."""

from __future__ import annotations

from typing import Any

import pytest

from journal.domain.agent_run import (
    Answered,
    ContextCompacted,
    HandedOff,
    MessageReceived,
    ModelResponded,
    Reasoned,
    Started,
    ToolReturned,
)
from journal.ingest.atif import detect, read
from journal.ingest.draft import Link, Opaque
from tests.journal.ingest.reading import JUNK, a_file, a_run, draft_of, event_of, is_extended, kinds, of, time_of

AGENT = {"name": "planner", "version": "2.1", "model_name": "orion-3"}
ASKED = {"step_id": 1, "source": "user", "message": "Plot it.", "timestamp": "2026-02-01T08:00:00Z"}
METRICS = {"prompt_tokens": 100, "completion_tokens": 9, "cached_tokens": 60, "cost_usd": 0.25}


def call(name: str = "c1", **arguments: Any) -> dict[str, Any]:
    """Return a tool call."""
    return {"tool_call_id": name, "function_name": "bash", "arguments": arguments}


def step(number: int, *calls: dict[str, Any], results: list[Any] | None = None, **fields: Any) -> dict[str, Any]:
    """Return a step of the agent."""
    made = {"step_id": number, "source": "agent", "message": "I look.", **fields}
    if calls:
        made["tool_calls"] = list(calls)
    return made if results is None else made | {"observation": {"results": results}}


def document(*steps: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a document."""
    return {"schema_version": "ATIF-v1.7", "session_id": "s-1", "agent": AGENT, "steps": [ASKED, *steps], **fields}


LOOKED = step(2, call(command="ls"), results=[{"source_call_id": "c1", "content": "a.py"}], metrics=METRICS)
DONE = step(3, message="Plotted.", reasoning_content="All is there.", metrics=METRICS)


def test_a_step_is_a_response_with_its_calls_and_results() -> None:
    """One without calls answers."""
    run = a_run(read, document(LOOKED, DONE))
    assert kinds(run) == [
        "Started",
        "MessageReceived",
        "ModelResponded",
        "Reasoned",
        "ToolReturned",
        "ModelResponded",
        "Answered",
    ]
    (decided,) = of(run, Reasoned)
    assert (decided.thought, decided.tool_name, decided.args_json) == ("I look.", "bash", '{"command":"ls"}')
    assert of(run, ModelResponded)[1].reasoning == "All is there."
    begun = event_of(run, "start")
    assert (begun.prompt, begun.agent, begun.model) == ("Plot it.", "planner", "orion-3")
    assert time_of(run, "start") == time_of(run, "step/1") == "2026-02-01T08:00:00+00:00"
    assert run.source_id == "s-1"


def test_tokens_and_cost_are_the_steps() -> None:
    """Where each response has them, the final metrics repeat them."""
    run = a_run(read, document(LOOKED, DONE, final_metrics={"total_prompt_tokens": 200, "total_cost_usd": 0.5}))
    assert [response.input_tokens for response in of(run, ModelResponded)] == [100, 100]
    assert (run.totals, "cost_usd" in run.recorded) == ({}, True)
    assert [opaque.name for opaque in of(run, Opaque)] == ["atif.final"]


def test_final_metrics_stand_in_where_steps_have_none() -> None:
    """They stand in the last answer, too."""
    final = {"total_prompt_tokens": 200, "total_completion_tokens": 18, "total_cost_usd": 0.5}
    run = a_run(read, document(step(2, message="Plotted."), final_metrics=final))
    assert run.totals == {"input_tokens": 200, "output_tokens": 18, "cost_usd": 0.5}
    assert [(answer.input_tokens, answer.cost_usd) for answer in of(run, Answered)] == [(200, 0.5)]


def test_a_total_of_zero_is_not_metered() -> None:
    """Producers that count nothing write 0."""
    run = a_run(
        read, document(step(2, metrics={"cost_usd": 0}), final_metrics={"total_prompt_tokens": 0, "total_cost_usd": 0})
    )
    assert not run.totals
    assert run.recorded == {"decisions", "tool_calls"}


def test_a_step_without_a_call_to_a_model_is_no_decision() -> None:
    """From version 1.7 on, steps count their calls; the tools were called nevertheless."""
    assert kinds(a_run(read, document(step(2, call(), llm_call_count=0))))[2:] == ["MessageReceived", "Reasoned"]


def test_copied_context_is_no_decision() -> None:
    """What a continued trajectory repeats is context, with all that belongs to it."""
    run = a_run(read, document(LOOKED | {"is_copied_context": True}))
    assert kinds(run)[2:] == ["MessageReceived"]
    assert of(run, MessageReceived)[1].content[1]["tool_calls"] == LOOKED["tool_calls"]


def test_a_step_that_manages_the_context_compacts_it() -> None:
    """Its message is the summary."""
    managed = {
        "step_id": 2,
        "source": "system",
        "message": "So far: …",
        "extra": {"context_management": {"type": "compaction"}},
    }
    assert [one.summary for one in of(a_run(read, document(managed)), ContextCompacted)] == ["So far: …"]


def test_results_pair_by_id_and_without_one_in_order() -> None:
    """A result of a step without calls is the environment speaking."""
    results = [{"source_call_id": "c2", "content": "two"}, {"content": "one"}]
    system = {"step_id": 3, "source": "system", "message": "Reset.", "observation": {"results": [{"content": "clean"}]}}
    run = a_run(read, document(step(2, call("c1"), call("c2"), results=results), system))
    assert [(one.call_id, one.response_json) for one in of(run, ToolReturned)] == [("c2", '"two"'), ("c1", '"one"')]
    assert of(run, MessageReceived)[-1].content == "clean"


@pytest.mark.parametrize("reference", [[{"trajectory_id": "t-2"}], {"trajectory_id": "t-2"}])
def test_an_embedded_sub_agent_is_a_run_handed_off_by_the_step_that_names_it(reference: Any) -> None:
    """It keeps its parent, the hand-over's event, and the session they share."""
    child = {
        "trajectory_id": "t-2",
        "agent": {"name": "critic"},
        "steps": [{"step_id": 1, "source": "user", "message": "Judge."}],
    }
    result = {"source_call_id": "c1", "content": "fine", "subagent_trajectory_ref": reference}
    parent, spawned = read(a_file(document(step(2, call(), results=[result]), subagent_trajectories=[child])))
    (handed,) = of(parent, HandedOff)
    assert (handed.to_agent, handed.instruction, handed.child_run) == ("critic", "Judge.", spawned.source_id)
    assert spawned.parent == ("s-1", "step/2/handoff/0/0")
    assert draft_of(parent, "step/2/handoff/0/0").causes == (Link("step/2/call/0"),)
    assert (spawned.source_id, spawned.correlation) == ("s-1/t-2", "s-1")


def test_an_embedded_sub_agent_that_no_step_names_is_still_a_run_of_its_parent() -> None:
    """Only the event that spawned it is unknown."""
    child = {"trajectory_id": "t-2", "steps": []}
    _, spawned = read(a_file(document(subagent_trajectories=[child, {"trajectory_id": "t-3"}])))
    assert spawned.parent == ("s-1", None)


def test_a_sub_agent_in_a_file_beside_is_named_by_its_run() -> None:
    """Where that file came in the same import; else only the hand-over is known."""
    result = {"source_call_id": "c1", "subagent_trajectory_ref": [{"session_id": "s-2", "trajectory_path": "sub.json"}]}
    content = document(step(2, call(), results=[result]))
    child = {
        "session_id": "s-2",
        "agent": {"name": "critic"},
        "steps": [{"step_id": 1, "source": "user", "message": "Judge."}],
    }
    assert of(a_run(read, content, beside={"sub.json": child}), HandedOff)[0].child_run == "s-2"
    assert of(a_run(read, content), HandedOff) == [HandedOff()]


@pytest.mark.parametrize("version", ["ATIF-v1.0", "ATIF-v1.6", "atif-v1.9", None])
def test_any_version_is_read(version: str | None) -> None:
    """Without one, a document is told by its agent and its numbered steps."""
    source = a_file(document(LOOKED) | {"schema_version": version})
    assert detect(source)
    assert len(list(read(source))) == 1


def test_a_document_that_grew_extends_its_run() -> None:
    """Steps keep their keys; each reading of the final metrics has its own."""
    whole = a_run(read, document(LOOKED, DONE, final_metrics={"total_steps": 3}))
    assert is_extended(a_run(read, document(LOOKED)), whole)
    before = a_run(read, document(LOOKED, final_metrics={"total_steps": 2}))
    assert list(before)[-1].key not in [draft.key for draft in whole]


def test_only_its_own_files_are_recognised() -> None:
    """Steps of other formats are not."""
    others = ([{"step": 1}], {"steps": [{"step_id": 1}]}, {"agent": {}, "steps": [{"step": 1}]})
    assert not any(detect(a_file(content)) for content in (*JUNK, *others))


def test_odd_fields_are_no_error() -> None:
    """A step that is no object is noted; ids and fields of the wrong type count as absent."""
    odd = document(
        step(2, {"arguments": "not json"}, results=[7, {"content": [1]}], metrics=[], extra=3), {"step_id": 2}
    )
    odd["steps"].append(7)
    source = a_file(odd | {"agent": "none", "final_metrics": [], "subagent_trajectories": [{"steps": 7}]})
    (run,) = read(source)
    assert [str(problem) for problem in source.problems] == ["step 4 is no object and is left out"]
    assert of(run, Reasoned)[0].args_json == "not json"
    assert of(run, Started)[0].agent is None
    assert list(run)[-1].key == "at/2"

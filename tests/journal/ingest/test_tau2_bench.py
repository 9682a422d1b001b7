"""tau2-bench results: a run per simulation, the agent's work apart from the simulated user's."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from journal.domain.agent_run import Aborted, Graded, ModelResponded, Reasoned, Started, ToolFailed
from journal.ingest import tau2_bench
from journal.ingest.counts import reported
from journal.ingest.draft import Opaque, RunDraft
from journal.ingest.source import Source


def message(role: str, content: str | None, **more: Any) -> dict[str, Any]:
    """Return a message as the benchmark writes it."""
    return {"role": role, "content": content, "tool_calls": None, "timestamp": "2025-08-01T10:00:02", **more}


def a_simulation(**changes: Any) -> dict[str, Any]:
    """Return a simulation in which the agent books, and the user looks at a phone of its own."""
    own = {"id": "u1", "name": "look_at_phone", "arguments": {}, "requestor": "user"}
    booking = {"id": "c1", "name": "book", "arguments": {"table": 9}, "requestor": "assistant"}
    return {
        "id": "sim-1",
        "task_id": "4",
        "trial": 0,
        "seed": 3,
        "start_time": "2025-08-01T10:00:00",
        "end_time": "2025-08-01T10:01:00",
        "termination_reason": "user_stop",
        "reward_info": {
            "reward": 1.0,
            "db_check": {"db_match": True, "db_reward": 1.0},
            "action_checks": [{"action": {"name": "book"}, "action_match": False, "action_reward": 0.0}],
            "nl_assertions": [{"nl_assertion": "It was polite.", "met": True, "justification": "It said please."}],
            "communicate_checks": None,
        },
        "messages": [
            message("assistant", "Hi!", usage=None, cost=0.0),
            message("user", "Table 9.", tool_calls=[own], usage={"prompt_tokens": 900, "completion_tokens": 90}),
            message("tool", "it is dark", id="u1", requestor="user", error=True),
            message(
                "assistant",
                None,
                tool_calls=[booking],
                cost=0.25,
                usage={"prompt_tokens": 50, "completion_tokens": 5},
                raw_data={"finish_reason": "tool_calls"},
            ),
            message("tool", "Error: no table 9", id="c1", requestor="assistant", error=True),
        ],
        **changes,
    }


def source(*simulations: object) -> Source:
    """Return a result file."""
    info = {
        "agent_info": {"implementation": "llm_agent", "llm": "model-x", "llm_args": {"temperature": 0}},
        "environment_info": {"domain_name": "restaurant", "policy": "Be polite."},
    }
    results = {"info": info, "tasks": [{"id": "4", "ticket": "T"}], "simulations": list(simulations)}
    return Source(name="results.json", data=json.dumps(results).encode())


def read(*simulations: object) -> list[RunDraft]:
    """Return the drafts of a result file."""
    return list(tau2_bench.read(source(*simulations)))


def test_only_the_agents_decisions_calls_and_tokens_count() -> None:
    """The canned greeting is a decision without usage; the user's calls, errors and tokens are none of the agent's."""
    (run,) = read(a_simulation())
    assert reported(run, run.events) == {
        "decisions": 2,
        "tool_calls": 1,
        "tool_errors": 1,
        "input_tokens": 50,
        "output_tokens": 5,
        "cost_usd": 0.25,
    }
    assert [event.event.name for event in run if isinstance(event.event, Opaque)] == [
        "tau2_bench.user_tool_calls",
        "tau2_bench.user_tool_result",
    ]


def test_a_response_has_its_usage_time_and_reason() -> None:
    """Times without a zone are UTC."""
    (run,) = read(a_simulation())
    draft = next(event for event in run if event.key == "m3")
    assert draft.at == datetime(2025, 8, 1, 10, 0, 2, tzinfo=UTC)
    assert isinstance(draft.event, ModelResponded)
    assert (draft.event.input_tokens, draft.event.cost_usd, draft.event.finish_reason) == (50, 0.25, "tool_calls")


def test_call_and_failed_result_belong_together() -> None:
    """The result's own id is the id of the call."""
    (run,) = read(a_simulation())
    found = [event.event for event in run if isinstance(event.event, (Reasoned, ToolFailed))]
    assert [(event.tool_name, event.call_id) for event in found] == [("book", "c1"), ("book", "c1")]


def test_the_start_tells_the_setting() -> None:
    """Domain, policy, task and parameters stand in the context."""
    started = next(iter(read(a_simulation())[0])).event
    assert isinstance(started, Started)
    assert (started.agent, started.model, started.prompt) == ("llm_agent", "model-x", "Table 9.")
    assert started.context["task"] == {"id": "4", "ticket": "T"}
    assert started.context["domain"] == "restaurant"


def test_every_check_of_the_benchmark_is_a_verdict() -> None:
    """Reward, database, actions and assertions are graded one by one."""
    (run,) = read(a_simulation())
    grades = [(event.event.rule, event.event.verdict) for event in run if isinstance(event.event, Graded)]
    assert grades == [
        ("reward", "holds"),
        ("database", "holds"),
        ("action book", "fails"),
        ("nl_assertions", "holds"),
    ]


@pytest.mark.parametrize(
    ("ending", "reward", "status"),
    [
        ("user_stop", {"reward": 1.0}, "success"),
        ("user_stop", {"reward": 0.5}, "failure"),
        ("max_steps", None, "aborted"),
        ("user_stop", None, "unknown"),
    ],
)
def test_the_outcome_is_the_reward_else_how_it_ended(ending: str, reward: object, status: str) -> None:
    """A simulation that was cut off is aborted, with the reason."""
    (run,) = read(a_simulation(termination_reason=ending, reward_info=reward))
    assert run.outcome.status == status
    assert (Aborted(reason="max_steps") in [event.event for event in run]) is (ending == "max_steps")


def test_a_longer_simulation_begins_with_the_same_events() -> None:
    """Keys and events of a prefix stay as they are."""
    whole = a_simulation()
    part = read({**whole, "messages": whole["messages"][:3], "reward_info": None})[0]
    assert list(read(whole)[0])[: len(list(part))] == list(part)


def test_what_is_no_simulation_is_noted() -> None:
    """One bad entry does not cost the others."""
    file = source(None, a_simulation())
    assert len(list(tau2_bench.read(file))) == 1
    assert [str(problem) for problem in file.problems] == ["simulation 0 has no messages"]


@pytest.mark.parametrize("data", [b"", b"junk", b"[]", b'{"simulations": []}', b'["simulations"]'])
def test_other_files_are_not_claimed(data: bytes) -> None:
    """Detection looks at what the document has, and never raises."""
    assert not tau2_bench.detect(Source(name="a.json", data=data))

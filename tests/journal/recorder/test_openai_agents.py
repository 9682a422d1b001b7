"""The OpenAI Agents SDK with models on loopback: what its traces tell is a run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from agents import (
    Agent,
    Model,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    RunConfig,
    Runner,
    function_tool,
    set_trace_processors,
)

from journal import recorder
from journal.recorder.openai_agents import RecorderProcessor
from journal.store.memory import MemoryStore
from tests.journal.recorder import model_server as provider
from tests.journal.recorder.looking import causes, kinds, of_kind, state
from tests.journal.recorder.model_server import ModelServer, model_server

TOLD = [
    "started", "message_received", "message_received", "model_called", "model_responded", "reasoned", "tool_returned",
    "model_called", "model_responded", "answered",
]  # fmt: skip


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.fixture(autouse=True)
def _no_other_processor() -> Iterator[None]:
    """Nothing is sent anywhere."""
    yield
    set_trace_processors([])


def processed(store: MemoryStore, **options: Any) -> None:
    """Record traces to a journal."""
    set_trace_processors([RecorderProcessor(to=store, **options)])


def run_agent(server: ModelServer, *, api: str, transport: Any = None, tool: Any = add, handoffs: Any = ()) -> Any:
    """Run an agent to its end; its client is closed with it."""

    async def running() -> Any:
        http_client = openai.DefaultAsyncHttpxClient(transport=transport) if transport else None
        async with openai.AsyncOpenAI(
            base_url=f"{server.url}/v1", api_key="sk-test-0123456789", http_client=http_client, max_retries=0
        ) as client:
            kind: Any = OpenAIResponsesModel if api == "responses" else OpenAIChatCompletionsModel
            model: Model = kind(model="orion-3", openai_client=client)
            colleagues = [Agent(name=name, instructions="You help.", model=model) for name in handoffs]
            agent = Agent(
                name="adder", instructions="You add.", model=model, tools=[function_tool(tool)], handoffs=[*colleagues],
                model_settings=ModelSettings(temperature=0),
            )  # fmt: skip
            done = await Runner.run(agent, "1 + 2?", run_config=RunConfig(workflow_name="sums"))
            return done.final_output

    return asyncio.run(running())


def replies(api: str) -> list[provider.Reply]:
    """A call, then an answer."""
    if api == "responses":
        call = provider.response(provider.function_call("c1", "add", '{"a":1,"b":2}'))
        return [provider.whole(call), provider.whole(provider.response(provider.output_text("3")))]
    return [provider.whole(provider.chat(None, ("c1", "add", '{"a":1,"b":2}'))), provider.whole(provider.chat("3"))]


@pytest.mark.parametrize("api", ["responses", "chat"])
def test_a_trace_is_a_run(api: str, store: MemoryStore) -> None:
    """Decisions, tools, causes, tokens and the answer, from the spans alone."""
    processed(store)
    with model_server(*replies(api)) as server:
        assert run_agent(server, api=api) == "3"
    events = list(store.read_all())
    assert kinds(events) == TOLD
    assert causes(events) == {
        2: "1 started", 3: "1 started", 4: "3 message_received", 5: "4 model_called", 6: "5 model_responded",
        7: "6 reasoned", 8: "7 tool_returned", 9: "8 model_called", 10: "9 model_responded",
    }  # fmt: skip
    assert events[7].payload["messages"] == [{"version": 2}, {"version": 3}, {"version": 5}, {"version": 7}]
    assert (events[6].payload["toolName"], events[6].payload["responseJson"]) == ("add", "3")
    final = state(store, events[0].stream).to_json()
    assert (final["agent"], final["status"], final["answer"]["preview"]) == ("adder", "answered", "3")
    assert (final["totals"]["decisions"], final["totals"]["tool_calls"]) == (2, 1)
    assert final["totals"]["input_tokens"] == (80 if api == "responses" else 24)


@pytest.mark.parametrize("api", ["responses", "chat"])
def test_the_transport_sees_the_models_and_replays_them(api: str, store: MemoryStore) -> None:
    """The processor leaves them to it; the recorded run replays offline, its tool answered from the journal."""
    processed(store, models=False)
    executed: list[int] = []

    @recorder.tool(name="add")
    def watched(a: int, b: int) -> int:
        """Add two numbers."""
        executed.append(a)
        return a + b

    tool = function_tool(watched, name_override="add")
    with model_server(*replies(api)) as server:
        run_agent_with(server, api, tool)
        events = list(store.read_all())
        assert kinds(events) == TOLD
        assert executed == [1]
        with recorder.replay(events) as replay:
            assert run_agent_with(server, api, tool) == "3"
        assert len(server.requests) == 2
    assert executed == [1]
    assert [step.label for step in replay.steps] == ["replayed"] * 3


def run_agent_with(server: ModelServer, api: str, tool: Any) -> Any:
    """Run the agent behind the recorder's transport, in a run of its own where a replay needs one."""

    async def running() -> Any:
        http_client = openai.DefaultAsyncHttpxClient(transport=recorder.async_transport())
        async with openai.AsyncOpenAI(
            base_url=f"{server.url}/v1", api_key="sk-test-0123456789", http_client=http_client, max_retries=0
        ) as client:
            kind: Any = OpenAIResponsesModel if api == "responses" else OpenAIChatCompletionsModel
            agent = Agent(
                name="adder", instructions="You add.", model=kind(model="orion-3", openai_client=client), tools=[tool]
            )
            return (await Runner.run(agent, "1 + 2?")).final_output

    return asyncio.run(running())


def test_a_hand_off_changes_who_acts(store: MemoryStore) -> None:
    """Agents of one trace share its run."""
    processed(store)
    over = provider.whole(provider.chat(None, ("h1", "transfer_to_helper", "{}")))
    with model_server(over, provider.whole(provider.chat("Here."))) as server:
        assert run_agent(server, api="chat", handoffs=["helper"]) == "Here."
    events = list(store.read_all())
    (handed,) = of_kind(events, "handed_off")
    assert handed.payload["toAgent"] == "helper"
    assert [event.meta.actor for event in of_kind(events, "model_responded")] == ["agent:adder", "agent:helper"]


def test_a_tool_that_raises_is_a_failure(store: MemoryStore) -> None:
    """The SDK hides why, from its traces and from the model; a tool that is recorded itself says it. Told once each."""

    def broken(a: int, b: int) -> int:
        """Add two numbers."""
        raise ZeroDivisionError("never")

    broken.__name__ = "add"
    for tool in (broken, recorder.tool(broken)):
        processed(store)
        with model_server(*replies("chat")) as server:
            run_agent(server, api="chat", tool=tool)
    hidden, told = of_kind(list(store.read_all()), "tool_failed")
    assert "never" not in hidden.payload["message"]
    assert (told.payload["errorCode"], told.payload["message"]) == ("ZeroDivisionError", "never")


def test_a_model_that_fails_aborts_the_run(store: MemoryStore) -> None:
    """With the runner's own words."""
    processed(store)
    busy = provider.whole({"error": {"message": "busy"}}, 500)
    with model_server(busy) as server, pytest.raises(openai.InternalServerError):
        run_agent(server, api="chat")
    events = list(store.read_all())
    assert "busy" in of_kind(events, "model_failed")[0].payload["message"]
    assert state(store, events[0].stream).to_json()["status"] == "aborted"

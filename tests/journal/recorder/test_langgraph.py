"""A LangGraph agent with a model that answers from a list: what its callbacks tell is a run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableLambda
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from journal import recorder
from journal.recorder import Run
from journal.recorder.langchain import RecorderCallbacks
from journal.store.memory import MemoryStore
from tests.journal.recorder.looking import causes, kinds, of_kind, state

OpenRun = Callable[..., Run]


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def divide(a: int, b: int) -> float:
    """Divide two numbers."""
    return a / b


def call(tool: str, identity: str, **args: int) -> dict[str, Any]:
    """Return a call as LangChain has it."""
    return {"name": tool, "args": args, "id": identity, "type": "tool_call"}


def said(content: str, *calls: dict[str, Any]) -> AIMessage:
    """Return what the model says."""
    usage: Any = {"input_tokens": 9, "output_tokens": 2, "total_tokens": 11}
    return AIMessage(content=content, tool_calls=list(calls), usage_metadata=usage)


def graph(*answers: AIMessage, tools: list[Any] | None = None) -> Any:
    """Return an agent that calls its model and its tools in turn."""
    model = GenericFakeChatModel(messages=iter(answers))
    node = ToolNode(tools or [add, divide], handle_tool_errors=True)
    built = StateGraph(MessagesState)
    built.add_node("model", lambda held: {"messages": [model.invoke(held["messages"])]})
    built.add_node("tools", node)
    built.add_edge(START, "model")
    built.add_conditional_edges("model", tools_condition, {"tools": "tools", END: END})
    built.add_edge("tools", "model")
    return built.compile()


def config(store: MemoryStore, **options: Any) -> Any:
    """Return how an invocation is recorded."""
    return {"callbacks": [RecorderCallbacks(agent="adder", to=store, **options)]}


GRAPH = (said("Adding.", call("add", "c1", a=1, b=2)), said("It is 3."))
TOLD = [
    "started", "message_received", "model_called", "model_responded", "reasoned", "tool_returned", "model_called",
    "model_responded", "answered",
]  # fmt: skip


def test_an_invocation_is_a_run(store: MemoryStore) -> None:
    """Decisions, tools, causes, tokens, and the answer."""
    graph(*GRAPH).invoke({"messages": [HumanMessage("1 + 2?")]}, config(store))
    events = list(store.read_all())
    assert kinds(events) == TOLD
    assert causes(events) == {
        2: "1 started", 3: "2 message_received", 4: "3 model_called", 5: "4 model_responded", 6: "5 reasoned",
        7: "6 tool_returned", 8: "7 model_called", 9: "8 model_responded",
    }  # fmt: skip
    assert events[6].payload["messages"] == [{"version": 2}, {"version": 4}, {"version": 6}]
    final = state(store, events[0].stream).to_json()
    assert (final["agent"], final["prompt"], final["status"]) == ("adder", "1 + 2?", "answered")
    assert {name: final["totals"][name] for name in ("decisions", "tool_calls", "input_tokens", "output_tokens")} == {
        "decisions": 2, "tool_calls": 1, "input_tokens": 18, "output_tokens": 4,
    }  # fmt: skip


def test_an_async_invocation_is_the_same_run(store: MemoryStore) -> None:
    """Event for event."""
    asyncio.run(graph(*GRAPH).ainvoke({"messages": [HumanMessage("1 + 2?")]}, config(store)))
    assert kinds(list(store.read_all())) == TOLD


def test_parallel_and_failing_tools(store: MemoryStore) -> None:
    """Each result goes to its own call, and an error is a failure."""
    first = said("", call("divide", "c1", a=1, b=0), call("add", "c2", a=1, b=1))
    graph(first, said("One failed.")).invoke({"messages": [HumanMessage("Go")]}, config(store))
    events = list(store.read_all())
    (failed,), (returned,) = of_kind(events, "tool_failed"), of_kind(events, "tool_returned")
    assert (failed.payload["callId"], returned.payload["callId"]) == ("c1", "c2")
    assert "division by zero" in failed.payload["message"]


def test_inside_a_run_it_is_part_of_that_run(store: MemoryStore, open_run: OpenRun) -> None:
    """And tools that are recorded themselves are recorded once."""
    watched = recorder.tool(add)
    with open_run(prompt="1 + 2?", agent="outer") as run:
        graph(*GRAPH, tools=[watched]).invoke(
            {"messages": [HumanMessage("1 + 2?")]}, {"callbacks": [RecorderCallbacks()]}
        )
        run.answer("3")
    events = list(store.read_all())
    assert kinds(events) == TOLD
    assert events[5].payload["responseJson"] == "3"
    assert events[-1].payload["response"] == "3"


def test_a_graph_that_raises_is_aborted(store: MemoryStore) -> None:
    """With the reason."""

    def broken(_: Any) -> Any:
        raise RuntimeError("no way")

    with pytest.raises(RuntimeError):
        RunnableLambda(broken).invoke("Go", config(store))
    (aborted,) = of_kind(list(store.read_all()), "aborted")
    assert aborted.payload["reason"] == "RuntimeError: no way"

"""LangGraph agents on models that answer from a list, to be checkpointed by real savers."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("langgraph.checkpoint.sqlite", reason="langgraph-checkpoint-sqlite is not installed")

from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import interrupt


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
    about = {"model_name": "orion-3", "finish_reason": "stop"}
    return AIMessage(content=content, tool_calls=list(calls), usage_metadata=usage, response_metadata=about)


class Plan(MessagesState):
    """Messages, and something beside them."""

    plan: str


def agent(saver: Any, *answers: AIMessage, ask: str | None = None, **options: Any) -> Any:
    """Return an agent that calls its model and its tools in turn, and asks a person first where it has a question."""
    model = GenericFakeChatModel(messages=iter(answers))
    built = StateGraph(Plan)
    built.add_node("model", lambda held: {"messages": [model.invoke(held["messages"])], "plan": "adding"})
    built.add_node("tools", ToolNode([add, divide], handle_tool_errors=True))
    built.add_node("ask", lambda _: {"messages": [HumanMessage(str(interrupt(ask)))]} if ask else {})
    built.add_edge(START, "ask")
    built.add_edge("ask", "model")
    built.add_conditional_edges("model", tools_condition, {"tools": "tools", END: END})
    built.add_edge("tools", "model")
    return built.compile(checkpointer=saver, **options)


def team(saver: Any, answer: AIMessage) -> Any:
    """Return a graph whose only node is another graph, which has the model."""
    model = GenericFakeChatModel(messages=iter([answer]))
    inner = StateGraph(MessagesState)
    inner.add_node("think", lambda held: {"messages": [model.invoke(held["messages"])]})
    inner.add_edge(START, "think")
    outer = StateGraph(MessagesState)
    outer.add_node("expert", inner.compile())
    outer.add_edge(START, "expert")
    return outer.compile(checkpointer=saver)


def asked(words: str) -> dict[str, Any]:
    """Return the input of an invocation."""
    return {"messages": [HumanMessage(words)]}


def thread(name: str, **more: Any) -> Any:
    """Return the configuration of a thread."""
    return {"configurable": {"thread_id": name, **more}}


@contextmanager
def sqlite_saver(path: Path) -> Iterator[SqliteSaver]:
    """Open a database as an agent does."""
    with closing(sqlite3.connect(path, check_same_thread=False)) as connection:
        yield SqliteSaver(connection)


ADDING = (said("Adding.", call("add", "c1", a=1, b=2), call("divide", "c2", a=1, b=0)), said("It is 3."))

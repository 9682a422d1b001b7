"""Chat messages to events: calls find their results, and dialects come out the same."""

from __future__ import annotations

from typing import Any

import pytest

from journal.domain.agent_run import Answered, MessageReceived, ModelResponded, Reasoned, ToolFailed, ToolReturned
from journal.ingest.draft import EventDraft
from journal.ingest.openai_chat import Chat, Failure, Message, error_name, tool_and_args


def drafts(messages: list[dict[str, Any]], chat: Chat | None = None) -> list[EventDraft]:
    """Return the events of a conversation."""
    reader = chat or Chat()
    return [draft for number, message in enumerate(messages) for draft in reader.events(message, f"m{number}")]


def asks(*calls: dict[str, Any], content: str | None = None) -> dict[str, Any]:
    """Return a model's message that calls tools."""
    return {"role": "assistant", "content": content, "tool_calls": list(calls)}


def call(name: str, call_id: str | None = None, arguments: Any = None) -> dict[str, Any]:
    """Return a call in OpenAI's own dialect."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def result(content: str, call_id: str | None = None) -> dict[str, Any]:
    """Return a tool's message."""
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def test_a_conversation_becomes_its_events_in_order() -> None:
    """A question, a call, its result and the answer are one event each, the decision and the turn's end besides."""
    found = drafts(
        [
            {"role": "user", "content": "How warm is the pool?"},
            asks(call("thermometer", "c1", '{"at": "pool"}'), content="I will measure."),
            result("24", "c1"),
            {"role": "assistant", "content": "24 degrees."},
        ]
    )
    assert [(draft.key, draft.event) for draft in found] == [
        ("m0", MessageReceived(role="user", content="How warm is the pool?")),
        ("m1", ModelResponded(content="I will measure.")),
        (
            "m1.call0",
            Reasoned(thought="I will measure.", tool_name="thermometer", args_json='{"at": "pool"}', call_id="c1"),
        ),
        ("m2", ToolReturned(tool_name="thermometer", call_id="c1", response_json='"24"')),
        ("m3", ModelResponded(content="24 degrees.")),
        ("m3.answer", Answered(response="24 degrees.")),
    ]


@pytest.mark.parametrize(
    "record",
    [
        {"function": {"name": "move", "arguments": {"to": 3}}},
        {"function": "move", "args": {"to": 3}},
        {"function": "move", "arguments": {"to": 3}},
        {"name": "move", "arguments": {"to": 3}},
    ],
)
def test_every_dialect_of_a_call_is_read(record: Message) -> None:
    """Name and arguments are found wherever a format keeps them."""
    assert tool_and_args(record) == ("move", '{"to":3}')


def test_arguments_that_are_text_stay_as_the_model_wrote_them() -> None:
    """Even malformed arguments are evidence."""
    assert tool_and_args(call("move", "c1", '{"to": 3,}')) == ("move", '{"to": 3,}')


def test_a_repeated_id_is_made_unique_and_pairs_in_order() -> None:
    """The second call with an id gets `#2`, and the second result with it belongs to that call."""
    found = drafts([asks(call("a", "c1")), result("1", "c1"), asks(call("b", "c1")), result("2", "c1")])
    results = [draft.event for draft in found if isinstance(draft.event, ToolReturned)]
    assert [(event.tool_name, event.call_id) for event in results] == [("a", "c1"), ("b", "c1#2")]


def test_calls_without_ids_pair_in_order_and_no_id_is_made_up() -> None:
    """Each result has the tool of the oldest call that still waits."""
    found = drafts([asks(call("a"), call("b")), result("1"), result("2")])
    results = [draft.event for draft in found if isinstance(draft.event, ToolReturned)]
    assert [(event.tool_name, event.call_id) for event in results] == [("a", None), ("b", None)]


def test_the_formats_own_rule_tells_a_failure() -> None:
    """What counts as failed is decided by the function that the format gives."""
    chat = Chat(failure=lambda _message: Failure(message="no such door", code="KeyError"))
    found = drafts([asks(call("open", "c1")), result("?", "c1")], chat)
    assert found[-1].event == ToolFailed(tool_name="open", call_id="c1", error_code="KeyError", message="no such door")


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"role": 7},
        {"role": "tool"},
        {"role": "assistant", "tool_calls": "no"},
        {"role": "assistant", "tool_calls": [3]},
        asks({"function": None}),
        {"role": ["user"], "content": {"deep": 1}},
    ],
)
def test_odd_messages_become_events_too(message: dict[str, Any]) -> None:
    """Missing and mistyped fields never raise, and nothing vanishes."""
    assert drafts([message])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ValueError: no", "ValueError"),
        ("it broke", None),
        ("a long sentence: yes", None),
        ("", None),
    ],
)
def test_an_errors_name_is_what_stands_before_the_colon(text: str, name: str | None) -> None:
    """Only an identifier counts as a name."""
    assert error_name(text) == name

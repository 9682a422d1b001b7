"""Messages of every producer's shape."""

from __future__ import annotations

import json
from typing import Any

import pytest

from journal.ingest.span_messages import MessageReader, as_json, read_messages, said

FUNCTION = {"name": "find", "arguments": '{"q":1}'}
PART = {"type": "tool_call", "id": "c1", "name": "find", "arguments": {"q": 1}}
BLOCK = {"type": "tool_use", "id": "c1", "name": "find", "input": {"q": 1}}
OPENAI = {"tool_calls": [{"id": "c1", "function": FUNCTION}]}
CALLS: dict[str, Any] = {
    "parts": [{"role": "assistant", "parts": [PART]}],
    "openai": [{"role": "assistant", **OPENAI}],
    "responses": [{"type": "function_call", "call_id": "c1", "id": "fc", "name": "find", "arguments": '{"q":1}'}],
    "anthropic": [{"role": "assistant", "content": [BLOCK]}],
    "gemini": {"role": "model", "parts": [{"function_call": {"id": "c1", "name": "find", "args": {"q": 1}}}]},
    "langchain": [{"type": "ai", "content": "", "additional_kwargs": OPENAI}],
    "vercel": [{"toolCallId": "c1", "toolName": "find", "input": '{"q":1}'}],
    "openinference": [{
        "message.role": "assistant", "message.tool_calls.0.tool_call.id": "c1",
        "message.tool_calls.0.tool_call.function.name": "find",
        "message.tool_calls.0.tool_call.function.arguments": '{"q":1}',
    }],
    "openllmetry": [{
        "role": "assistant", "tool_calls.0.id": "c1", "tool_calls.0.name": "find", "tool_calls.0.arguments": '{"q":1}',
    }],
    "choices": {"choices": [{"message": {"content": None, **OPENAI}}]},
}  # fmt: skip
"""The same call of `find` with `{"q": 1}`, as ten producers write it."""

RESULTS: dict[str, Any] = {
    "parts": {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "ok"}]},
    "openai": {"role": "tool", "tool_call_id": "c1", "content": "ok"},
    "responses": {"type": "function_call_output", "call_id": "c1", "output": "ok"},
    "anthropic": {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "ok"}]},
    "gemini": {"role": "user", "parts": [{"function_response": {"id": "c1", "name": "find", "response": "ok"}}]},
    "openinference": {"message.role": "tool", "message.tool_call_id": "c1", "message.content": "ok"},
}


@pytest.mark.parametrize("shape", CALLS)
def test_a_call_is_the_same_in_every_shape(shape: str) -> None:
    """Name, id and arguments come out alike, from a value and from its JSON text."""
    for value in (CALLS[shape], json.dumps(CALLS[shape])):
        message = said(read_messages(value, role="assistant"))
        assert message is not None
        (call,) = message.calls
        assert (call.name, call.call_id, json.loads(call.args_json)) == ("find", "c1", {"q": 1})


@pytest.mark.parametrize("shape", RESULTS)
def test_a_result_is_the_same_in_every_shape(shape: str) -> None:
    """A message that holds only results is the tool's, whoever is said to have sent it."""
    (message,) = read_messages([RESULTS[shape]])
    assert message.role == "tool"
    assert [(result.call_id, result.value) for result in message.results] == [("c1", "ok")]


def test_reasoning_is_not_text() -> None:
    """What a model thought and what it said are kept apart."""
    parts = [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "yes"}]
    (message,) = read_messages([{"role": "assistant", "parts": parts, "finish_reason": "stop"}])
    assert (message.reasoning, message.content, message.finish) == ("hm", "yes", "stop")


def test_blocks_that_are_no_text_stay_as_recorded() -> None:
    """An image is kept where it stood."""
    content = [{"type": "text", "text": "see"}, {"type": "image", "data": "…"}]
    (message,) = read_messages([{"role": "user", "content": content}])
    assert message.content == content


def test_a_streamed_response_is_one_text() -> None:
    """Pieces recorded as messages of their own are joined as they stand."""
    message = said(
        read_messages([{"message.role": "assistant", "message.content": piece} for piece in ("Mont", "juïc")])
    )
    assert message is not None
    assert message.content == "Montjuïc"


@pytest.mark.parametrize("junk", [None, 5, True, {}, [], {"content": "role"}, [5], [[[]]], {"a": {"b": 1}}])
def test_what_is_no_message_gives_none(junk: object) -> None:
    """An unknown shape is left to the caller, never guessed at."""
    assert read_messages(junk) == []


def test_arguments_keep_the_models_own_text() -> None:
    """Malformed arguments are kept as the model wrote them."""
    (message,) = read_messages([{"role": "assistant", "tool_calls": [{"name": "find", "arguments": '{"q": 1'}]}])
    assert message.calls[0].args_json == '{"q": 1'


def test_results_are_json_text() -> None:
    """JSON stays byte for byte, other text is quoted."""
    assert [as_json(value) for value in ('{"a": 1}', "plain", None, [1])] == ['{"a": 1}', '"plain"', "null", "[1]"]


def test_reading_a_growing_history_is_the_same_as_reading_it_at_once() -> None:
    """What was read for one request is what is read for the next."""
    reader = MessageReader()
    history = [CALLS["parts"][0], RESULTS["openai"], {"role": "user", "content": "go on"}]
    for length in (1, 2, 3):
        text = json.dumps(history[:length])
        assert reader.read(text) == read_messages(text)
    assert reader.read("[1") == read_messages("[1")

"""The real `anthropic` client through the recorder's transport, against a stand-in for the provider on loopback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import anthropic
import pytest

from journal import recorder
from journal.recorder import Run
from journal.store.memory import MemoryStore
from tests.journal.recorder import model_server as provider
from tests.journal.recorder.looking import causes, kinds, of_kind
from tests.journal.recorder.model_server import ModelServer, model_server

KEY = "sk-ant-0123456789abcdef"
OpenRun = Callable[..., Run]
ASKED: dict[str, Any] = {"model": "vega-1", "max_tokens": 100, "system": "You add."}


def client(server: ModelServer) -> anthropic.Anthropic:
    """Return a client that is recorded."""
    http_client = anthropic.DefaultHttpxClient(transport=recorder.transport())
    return anthropic.Anthropic(base_url=server.url, api_key=KEY, http_client=http_client, max_retries=0)


@recorder.tool
def add(a: int, b: int) -> int:
    """Add."""
    return a + b


def test_a_streamed_conversation_with_a_tool(store: MemoryStore, open_run: OpenRun) -> None:
    """The decision is recorded before the tool runs, though the stream's block is still open."""
    first = provider.stream(
        provider.message_events(["I will ", "add."], ("t1", "add", ['{"a": 1, ', '"b": 2}'])), named=True
    )
    last = provider.whole(
        provider.message({"type": "thinking", "thinking": "Easy.", "signature": "s"}, {"type": "text", "text": "3"})
    )
    messages: list[Any] = [{"role": "user", "content": "1 + 2?"}]
    with model_server(first, last) as server, open_run(prompt="1 + 2?", agent="adder"):
        with client(server).messages.stream(messages=messages, **ASKED) as stream:
            said = stream.get_final_message()
            (call,) = [block for block in said.content if block.type == "tool_use"]
            result = add(**cast(dict[str, int], call.input))
        messages.append({"role": "assistant", "content": said.content})
        messages.append(
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": str(result)}]}
        )
        client(server).messages.create(messages=messages, **ASKED)
    events = list(store.read_all())
    assert kinds(events) == [
        "started", "message_received", "message_received", "model_called", "model_responded", "reasoned",
        "tool_returned", "model_called", "model_responded", "answered",
    ]  # fmt: skip
    assert causes(events)[7] == "6 reasoned"
    assert (events[4].payload["content"], events[4].payload["outputTokens"]) == ("I will add.", 9)
    assert events[5].payload["argsJson"] == '{"a":1,"b":2}'
    assert events[6].payload["responseJson"] == "3"
    assert events[7].payload["messages"] == [{"version": 2}, {"version": 3}, {"version": 5}, {"version": 7}]
    assert (events[8].payload["reasoning"], events[8].payload["cachedTokens"]) == ("Easy.", 8)
    assert events[9].payload["response"] == "3"
    assert KEY.encode() not in b"".join(event.data for event in events)


def test_a_tool_result_that_is_an_error_is_a_failure(store: MemoryStore, open_run: OpenRun) -> None:
    """As the agent's code told the model."""
    call = {"type": "tool_use", "id": "t1", "name": "look", "input": {}}
    replies = (
        provider.whole(provider.message(call, stop="tool_use")),
        provider.whole(provider.message({"type": "text", "text": "No."})),
    )
    messages: list[Any] = [{"role": "user", "content": "Look"}]
    with model_server(*replies) as server, open_run(prompt="Look"):
        said = client(server).messages.create(messages=messages, **ASKED)
        failed = {"type": "tool_result", "tool_use_id": "t1", "is_error": True, "content": "no such file"}
        messages += [{"role": "assistant", "content": said.content}, {"role": "user", "content": [failed]}]
        client(server).messages.create(messages=messages, **ASKED)
    (failure,) = of_kind(list(store.read_all()), "tool_failed")
    assert (failure.payload["toolName"], failure.payload["message"]) == ("look", "no such file")


def test_an_error_in_the_middle_of_a_stream(store: MemoryStore, open_run: OpenRun) -> None:
    """The provider says so; what it had said before is no decision."""
    events = [
        *provider.message_events(["I w"])[:3],
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
    ]
    with (
        model_server(provider.stream(events, named=True)) as server,
        open_run(prompt="Go"),
        pytest.raises(anthropic.APIStatusError),
        client(server).messages.stream(messages=[{"role": "user", "content": "Hi"}], **ASKED) as stream,
    ):
        stream.get_final_message()
    (failure,) = of_kind(list(store.read_all()), "model_failed")
    assert (failure.payload["errorCode"], failure.payload["message"]) == ("overloaded_error", "Overloaded")
    assert failure.payload["raw"]["body"]["content"] == [{"type": "text", "text": "I w"}]
    assert of_kind(list(store.read_all()), "model_responded") == []

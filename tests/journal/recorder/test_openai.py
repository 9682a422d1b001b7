"""The real `openai` client through the recorder's transport, against a stand-in for the provider on loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import httpx2
import openai
import pytest

from journal import recorder
from journal.domain.catalog import catalog
from journal.explainers import model_failed
from journal.recorder import Run
from journal.store.memory import MemoryStore
from tests.journal.recorder import model_server as provider
from tests.journal.recorder.looking import causes, kinds, of_kind, state
from tests.journal.recorder.model_server import ModelServer, model_server

KEY = "sk-test-0123456789abcdef"
ASK: Any = [{"role": "system", "content": "You add."}, {"role": "user", "content": "1 + 2?"}]
OpenRun = Callable[..., Run]


def client(server: ModelServer, **options: Any) -> openai.OpenAI:
    """Return a client that is recorded."""
    return openai.OpenAI(
        base_url=f"{server.url}/v1",
        api_key=KEY,
        http_client=openai.DefaultHttpxClient(transport=recorder.transport()),
        **options,
    )


def events_of(store: MemoryStore) -> list[Any]:
    """Return the journal."""
    return list(store.read_all())


def test_a_conversation_with_a_tool(store: MemoryStore, open_run: OpenRun) -> None:
    """Messages, decisions, the tool, tokens, and each one's cause, from the traffic alone."""
    first = provider.chat("I will add.", ("c1", "add", '{"a": 1, "b": 2}'))
    replies = provider.whole(first), provider.whole(provider.chat("3"), content_encoding="gzip")
    with model_server(*replies) as server, open_run(prompt="1 + 2?", model="orion-3", agent="adder") as run:
        messages = list(ASK)
        said = client(server).chat.completions.create(model="orion-3", messages=messages, temperature=0)
        messages.append(said.choices[0].message.model_dump(exclude_none=True))
        messages.append({"role": "tool", "tool_call_id": "c1", "content": "3"})
        last = client(server).chat.completions.create(model="orion-3", messages=messages)
        assert last.choices[0].message.content == "3"
    events = events_of(store)
    assert kinds(events) == [
        "started", "message_received", "message_received", "model_called", "model_responded", "reasoned",
        "tool_returned", "model_called", "model_responded", "answered",
    ]  # fmt: skip
    assert causes(events) == {
        2: "1 started", 3: "1 started", 4: "3 message_received", 5: "4 model_called", 6: "5 model_responded",
        7: "6 reasoned", 8: "7 tool_returned", 9: "8 model_called", 10: "9 model_responded",
    }  # fmt: skip
    assert events[3].payload["messages"] == [{"version": 2}, {"version": 3}]
    assert events[3].payload["params"] == {"temperature": 0}
    assert events[7].payload["messages"] == [{"version": 2}, {"version": 3}, {"version": 5}, {"version": 7}]
    assert [(cause.kind, cause.certainty) for cause in events[7].meta.causes] == [("read", "recorded")]
    final = state(store, run.stream)
    totals = final.to_json()["totals"]
    assert (totals["decisions"], totals["tool_calls"], totals["input_tokens"], totals["output_tokens"]) == (
        2,
        1,
        24,
        10,
    )
    assert final.to_json()["answer"]["preview"] == "3"
    assert [event.meta.actor for event in events[4:7]] == ["agent:adder", "agent:adder", "tool:add"]


def test_keys_are_never_recorded(store: MemoryStore, open_run: OpenRun) -> None:
    """Not from headers, and not where a provider repeats one in its error, or an agent in its prompt."""
    refusal = {
        "error": {"message": f"Incorrect API key provided: {KEY}.", "type": "invalid_request_error", "code": "bad"}
    }
    with model_server(provider.whole(refusal, 401)) as server, open_run(prompt="Go"):
        with pytest.raises(openai.AuthenticationError):
            client(server).chat.completions.create(
                model="orion-3", messages=[{"role": "user", "content": f"key {KEY}"}]
            )
        assert server.requests[0][1]["authorization"] == f"Bearer {KEY}"
    written = b"".join(event.data + event.metadata for event in events_of(store))
    assert KEY.encode() not in written
    assert b"Incorrect API key provided: [key]." in written


def test_a_request_that_is_tried_again_is_two_requests(store: MemoryStore, open_run: OpenRun) -> None:
    """Each failure is what it was, and no decision."""
    slow = {"error": {"message": "slow down", "type": "rate_limit_error", "code": "rate_limit_exceeded"}}
    replies = (provider.whole(slow, 429, retry_after_ms="1"), provider.hang_up, provider.whole(provider.chat("3")))
    with model_server(*replies) as server, open_run(prompt="Go") as run:
        client(server).chat.completions.create(model="orion-3", messages=ASK)
    failures = [event.payload for event in of_kind(events_of(store), "model_failed")]
    assert [(one.get("status"), one["errorCode"]) for one in failures] == [
        (429, "rate_limit_exceeded"), (None, "RemoteProtocolError"),
    ]  # fmt: skip
    assert len(of_kind(events_of(store), "model_called")) == 3
    told = [model_failed(catalog.decode(event)).summary for event in of_kind(events_of(store), "model_failed")]
    assert told[0] == "orion-3 did not answer: 429 slow down"
    assert len(of_kind(events_of(store), "message_received")) == 2
    assert state(store, run.stream).to_json()["totals"]["decisions"] == 1


def test_a_streamed_answer_reaches_the_client_piece_by_piece(store: MemoryStore, open_run: OpenRun) -> None:
    """The server sends the second piece only when the client has the first; the record is the whole."""
    chunks = provider.chat_chunks({"role": "assistant", "content": "Hel"}, {"content": "lo"})

    def reply(answering: provider.Answering) -> None:
        answering.begin_stream()
        for number, chunk in enumerate(chunks):
            if number == 1:
                assert answering.server.go_on.wait(10)
            answering.send(provider.framed(chunk, named=False))
        answering.send("data: [DONE]\n\n")

    with model_server(reply) as server, open_run(prompt="Go", model="orion-3"):
        stream = client(server).chat.completions.create(
            model="orion-3", messages=ASK, stream=True, stream_options={"include_usage": True}
        )
        said = []
        for chunk in stream:
            said += [choice.delta.content for choice in chunk.choices if choice.delta.content]
            server.go_on.set()
    assert said == ["Hel", "lo"]
    (responded,) = of_kind(events_of(store), "model_responded")
    assert (responded.payload["content"], responded.payload["finishReason"]) == ("Hello", "stop")
    assert (responded.payload["inputTokens"], responded.payload["outputTokens"]) == (20, 7)


def test_calls_in_a_stream_are_put_together(store: MemoryStore, open_run: OpenRun) -> None:
    """Names come once, arguments in pieces, two calls interleaved."""

    def piece(index: int, **function: str) -> dict[str, Any]:
        identity = {"id": f"c{index}", "type": "function"} if "name" in function else {}
        return {"tool_calls": [{"index": index, **identity, "function": function}]}

    deltas = (
        piece(0, name="add", arguments=""), piece(1, name="sub", arguments='{"a"'), piece(0, arguments='{"b": '),
        piece(1, arguments=":2}"), piece(0, arguments="1}"),
    )  # fmt: skip
    replies = provider.stream(provider.chat_chunks(*deltas, finish="tool_calls"), done=True)
    with model_server(replies) as server, open_run(prompt="Go"):
        list(client(server).chat.completions.create(model="orion-3", messages=ASK, stream=True))
    decided = [event.payload for event in of_kind(events_of(store), "reasoned")]
    assert [(one["callId"], one["toolName"], one["argsJson"]) for one in decided] == [
        ("c0", "add", '{"b": 1}'), ("c1", "sub", '{"a":2}'),
    ]  # fmt: skip


@pytest.mark.parametrize("by", ["client", "server"])
def test_a_stream_that_breaks_off_is_recorded_as_far_as_it_came(by: str, store: MemoryStore, open_run: OpenRun) -> None:
    """What was said was seen; that it was not all is said, too."""
    chunks = provider.chat_chunks({"role": "assistant", "content": "Hel"}, {"content": "lo"})[:2]
    with model_server(provider.stream(chunks, cut=True)) as server, open_run(prompt="Go"):
        stream = client(server, max_retries=0).chat.completions.create(model="orion-3", messages=ASK, stream=True)
        if by == "client":
            next(iter(stream))
            stream.close()
        else:
            list(stream)
    (responded,) = of_kind(events_of(store), "model_responded")
    assert responded.payload["content"] in ("Hel", "Hello")
    assert responded.payload["finishReason"] == "interrupted"
    assert responded.payload["raw"]["interrupted"] == (
        "the client closed it" if by == "client" else "the stream ended early"
    )


def test_the_responses_api(store: MemoryStore, open_run: OpenRun) -> None:
    """Instructions, input items, calls and their outputs."""
    call = provider.response(provider.function_call("c1", "add", '{"a":1}'))
    last = provider.response(provider.output_text("3"))
    with model_server(provider.whole(call), provider.whole(last)) as server, open_run(prompt="Go", model="orion-3"):
        given: Any = [{"role": "user", "content": "1 + 2?"}]
        first = client(server).responses.create(model="orion-3", instructions="You add.", input=given)
        given += [item.model_dump() for item in first.output]
        given.append({"type": "function_call_output", "call_id": "c1", "output": "3"})
        client(server).responses.create(model="orion-3", instructions="You add.", input=given)
    events = events_of(store)
    assert kinds(events) == [
        "started", "message_received", "message_received", "model_called", "model_responded", "reasoned",
        "tool_returned", "model_called", "model_responded", "answered",
    ]  # fmt: skip
    assert events[7].payload["messages"] == [{"version": 2}, {"version": 3}, {"version": 5}, {"version": 7}]
    assert events[8].payload["inputTokens"] == 40


def test_a_streamed_response(store: MemoryStore, open_run: OpenRun) -> None:
    """The last event has all of it."""
    whole = provider.response(provider.output_text("Hello"))
    events = [
        {"type": "response.created", "sequence_number": 0,
         "response": {**whole, "status": "in_progress", "output": []}},
        {"type": "response.output_text.delta", "sequence_number": 1, "output_index": 0, "content_index": 0,
         "item_id": "msg_1", "delta": "Hello", "logprobs": []},
        {"type": "response.completed", "sequence_number": 2, "response": whole},
    ]  # fmt: skip
    with model_server(provider.stream(events, named=True)) as server, open_run(prompt="Go"):
        seen = [event.type for event in client(server).responses.create(model="orion-3", input="Hi", stream=True)]
    assert seen == ["response.created", "response.output_text.delta", "response.completed"]
    (responded,) = of_kind(events_of(store), "model_responded")
    assert (responded.payload["content"], responded.payload["finishReason"]) == ("Hello", "completed")


async def _ask_async(server: ModelServer) -> list[str]:
    transport = recorder.async_transport()
    async with openai.AsyncOpenAI(
        base_url=f"{server.url}/v1", api_key=KEY, http_client=openai.DefaultAsyncHttpxClient(transport=transport)
    ) as async_client:
        whole = await async_client.chat.completions.create(model="orion-3", messages=ASK)
        streamed = await async_client.chat.completions.create(model="orion-3", messages=ASK, stream=True)
        pieces = [choice.delta.content or "" async for chunk in streamed for choice in chunk.choices]
    return [whole.choices[0].message.content or "", "".join(pieces)]


def test_the_async_client(store: MemoryStore, open_run: OpenRun) -> None:
    """Whole and streamed."""
    streamed = provider.stream(provider.chat_chunks({"content": "Yes"}), done=True)
    with model_server(provider.whole(provider.chat("3")), streamed) as server, open_run(prompt="Go"):
        assert asyncio.run(_ask_async(server)) == ["3", "Yes"]
    assert [event.payload["content"] for event in of_kind(events_of(store), "model_responded")] == ["3", "Yes"]


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_any_client_can_be_watched(library: Any, store: MemoryStore, open_run: OpenRun) -> None:
    """`instrument` needs no argument in the agent's code, and nothing is recorded twice."""
    recorder.instrument()
    try:
        with model_server(*[provider.whole(provider.chat("3"))] * 3) as server:
            plain = openai.OpenAI(base_url=f"{server.url}/v1", api_key=KEY, http_client=library.Client())
            plain.chat.completions.create(model="orion-3", messages=ASK)
            with open_run(prompt="Go"):
                plain.chat.completions.create(model="orion-3", messages=ASK)
                client(server).chat.completions.create(model="orion-3", messages=ASK)
                library.post(f"{server.url}/else", content=b"{}")
    finally:
        recorder.uninstrument()
    assert len(of_kind(events_of(store), "model_called")) == 2


def test_any_async_client_can_be_watched(store: MemoryStore, open_run: OpenRun) -> None:
    """As the sync ones."""

    async def ask(url: str) -> None:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, http_client=httpx2.AsyncClient()) as plain:
            await plain.chat.completions.create(model="orion-3", messages=ASK)

    recorder.instrument()
    try:
        with model_server(provider.whole(provider.chat("3"))) as server, open_run(prompt="Go"):
            asyncio.run(ask(server.url))
    finally:
        recorder.uninstrument()
    assert len(of_kind(events_of(store), "model_responded")) == 1


def test_a_long_conversation_is_kept_once(store: MemoryStore, open_run: OpenRun) -> None:
    """A request names the one it continues; what a run takes grows with what is said, not with its square."""
    count = 12
    with model_server(*[provider.whole(provider.chat("x" * 1_000))] * count) as server, open_run(prompt="Go"):
        talk = client(server)
        messages: list[Any] = [{"role": "user", "content": "begin"}]
        for number in range(count):
            said = talk.chat.completions.create(model="orion-3", messages=messages)
            messages += [
                said.choices[0].message.model_dump(exclude_none=True),
                {"role": "user", "content": f"go {number}"},
            ]
        sent = sum(map(len, server.bodies))
    recorded = sum(len(event.data) for event in of_kind(events_of(store), "model_called"))
    assert recorded < sent / 3
    assert json.loads(server.bodies[-1])["messages"][0] == {"role": "user", "content": "begin"}

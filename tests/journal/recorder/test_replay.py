"""An agent recorded once runs again offline: same requests to the byte, no tool executed, every change caught."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import msgspec
import openai
import pytest

from journal import recorder
from journal.domain.codec import line
from journal.domain.event import RecordedEvent
from journal.errors import ImportRefused
from journal.recorder import Connection, Diverged, NotReplayable, Run
from journal.recorder.pytest_plugin import Replaying
from journal.store.memory import MemoryStore
from tests.journal.recorder import model_server as provider
from tests.journal.recorder.journal_server import JournalServer
from tests.journal.recorder.looking import of_kind
from tests.journal.recorder.model_server import ModelServer, model_server

KEY = "sk-test-0123456789abcdef"
OFFLINE = "http://127.0.0.1:9"
OpenRun = Callable[..., Run]
executed: list[str] = []


class OutOfStock(Exception):
    """An error of the agent's own code."""


@recorder.tool
def price(item: str) -> dict[str, int]:
    """Look a price up."""
    executed.append(item)
    if item == "tea":
        raise OutOfStock("no tea left")
    return {"cents": len(item)}


def shop(  # noqa: PLR0913 - what a test changes of it
    url: str,
    prompt: str,
    *,
    system: str = "You sell.",
    tweak: Callable[[str], str] = str,
    wording: Callable[[str], str] = str,
    rounds: int = 9,
) -> str:
    """An agent: asks a model, streams, calls tools until there is an answer."""
    client = openai.OpenAI(
        base_url=f"{url}/v1", api_key=KEY, http_client=openai.DefaultHttpxClient(transport=recorder.transport())
    )
    messages: list[Any] = [{"role": "system", "content": system}, {"role": "user", "content": prompt}]
    with recorder.run(prompt=prompt, model="orion-3", agent="shop") as run:
        for _ in range(rounds):
            said = client.chat.completions.create(model="orion-3", messages=messages).choices[0].message
            if not said.tool_calls:
                break
            if rounds == 1:
                return ""
            messages.append(said.model_dump(exclude_none=True))
            for call in said.tool_calls:
                assert call.type == "function"
                item = json.loads(call.function.arguments)["item"]
                try:
                    result = str(price(tweak(item)))
                except OutOfStock as error:
                    result = f"sorry: {error}"
                messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
        pieces = client.chat.completions.create(model="orion-3", messages=messages, stream=True)
        words = wording("".join(choice.delta.content or "" for chunk in pieces for choice in chunk.choices))
        run.answer(words)
        return words


def provided() -> tuple[provider.Reply, ...]:
    """What the model says in that story; its first try fails."""
    calls = provider.chat(None, ("c1", "price", '{"item": "milk"}'), ("c2", "price", '{"item": "tea"}'))
    streamed = provider.stream(provider.chat_chunks({"content": "4 ce"}, {"content": "nts"}), done=True)
    busy = provider.whole({"error": {"message": "busy"}}, 503, retry_after_ms="1")
    return busy, provider.whole(calls), provider.whole(provider.chat("I know.")), streamed


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch, store: MemoryStore) -> Iterator[tuple[ModelServer, list[RecordedEvent]]]:
    """The story, recorded, and the server it was recorded with."""
    monkeypatch.setattr(recorder.connection, "default", lambda: store)
    with model_server(*provided()) as server:
        assert shop(server.url, "Milk?") == "4 cents"
        yield server, list(store.read_all())
    executed.clear()


Recorded = tuple[ModelServer, list[RecordedEvent]]


def test_the_same_code_replays_offline(recorded: Recorded) -> None:
    """Every answer is the journal's; no tool runs, and what the tool raised it raises again."""
    executed.clear()
    with recorder.replay(recorded[1]) as replay:
        assert shop(OFFLINE, replay.prompt or "") == replay.answer == "4 cents"
    assert executed == []
    assert [(step.label, step.what) for step in replay.steps] == [
        ("replayed", "a request to orion-3"),
        ("replayed", "a request to orion-3"),
        ("replayed", 'a call of price {"item":"milk"}'),
        ("replayed", 'a call of price {"item":"tea"}'),
        ("replayed", "a request to orion-3"),
        ("replayed", "a request to orion-3"),
    ]
    assert replay.gaps == []


def test_the_requests_are_the_same_to_the_byte(recorded: Recorded) -> None:
    """What the code asked this time has the digests of what the provider was sent."""
    server, events = recorded
    with recorder.replay(events) as replay:
        shop(OFFLINE, "Milk?")
    (again,) = replay.recorded_again.values()
    now = [
        msgspec.json.decode(event.data)["request"]["sha256"] for event in again if event.type.endswith("model_called")
    ]
    assert now == [recorder.requests.digest(body) for body in server.bodies]


@pytest.mark.parametrize(("change", "version", "path"), [
    ({"system": "You sell well."}, 4, "/messages/0/content"),
    ({"tweak": str.upper}, 8, "/item"),
])  # fmt: skip
def test_one_changed_line_is_caught_at_its_event(
    change: dict[str, Any], version: int, path: str, recorded: Recorded
) -> None:
    """Strict stops there, and says what was recorded and what there is now."""
    executed.clear()
    with pytest.raises(Diverged) as caught, recorder.replay(recorded[1]):
        shop(OFFLINE, "Milk?", **change)
    assert (caught.value.version, caught.value.changes[0]["path"]) == (version, path)
    assert recorded[1][version - 1].type in ("agent_run.model_called", "agent_run.reasoned")
    assert path in str(caught.value)
    assert executed == []


def test_another_prompt_is_another_beginning(recorded: Recorded) -> None:
    """The first event is where it differs."""
    with pytest.raises(Diverged) as caught, recorder.replay(recorded[1]):
        shop(OFFLINE, "Bread?")
    assert (caught.value.version, caught.value.changes) == (
        1,
        ({"path": "/prompt", "recorded": "Milk?", "now": "Bread?"},),
    )


def test_an_answer_that_differs_is_caught_at_the_end(recorded: Recorded) -> None:
    """Also where all requests were the same."""
    with pytest.raises(Diverged, match="4 CENTS") as caught, recorder.replay(recorded[1]):
        shop(OFFLINE, "Milk?", wording=str.upper)
    assert caught.value.version == len(recorded[1])


def test_code_that_does_less_is_caught(recorded: Recorded) -> None:
    """It names the first event that did not come."""
    with pytest.raises(Diverged, match="without an answer") as caught, recorder.replay(recorded[1]):
        shop(OFFLINE, "Milk?", rounds=1)
    assert recorded[1][(caught.value.version or 0) - 1].type == "agent_run.reasoned"


def test_code_that_opens_no_run_is_compared_all_the_same(recorded: Recorded) -> None:
    """A run that somebody outside the agent's code opened is there in its replay."""
    messages: Any = [{"role": "system", "content": "You sell."}, {"role": "user", "content": "Milk?"}]
    transport = recorder.transport()
    client = openai.OpenAI(base_url=OFFLINE, api_key=KEY, http_client=openai.DefaultHttpxClient(transport=transport))
    with pytest.raises(Diverged, match="the code ended") as caught, recorder.replay(recorded[1]) as replay:
        client.chat.completions.create(model="orion-3", messages=messages)
    assert [step.label for step in replay.steps] == ["replayed", "replayed"]
    assert recorded[1][(caught.value.version or 0) - 1].type == "agent_run.reasoned"


def test_an_agent_cannot_swallow_a_divergence(recorded: Recorded) -> None:
    """Code that tries again after every exception ends, too."""

    def stubborn() -> None:
        with contextlib.suppress(Exception):
            shop(OFFLINE, "Milk?", system="Other")
        pytest.fail("the divergence was an exception that agents catch")

    with pytest.raises(Diverged), recorder.replay(recorded[1]):
        stubborn()


def test_permissive_goes_on_live_and_says_so(recorded: Recorded) -> None:
    """What still is as recorded is replayed; the rest is done again."""
    executed.clear()
    with model_server(*provided()[1:]) as live, recorder.replay(recorded[1], strict=False) as replay:
        assert shop(live.url, "Milk?", system="You sell well.") == "4 cents"
    assert [step.label for step in replay.steps].count("re-executed") >= 3
    assert isinstance(replay.diverged, Diverged)
    assert replay.diverged.version == 4


def test_a_stand_in_for_a_tool(recorded: Recorded) -> None:
    """Its results are labelled as substituted; strict still compares what is made of them."""
    with (
        pytest.raises(Diverged),
        recorder.replay(recorded[1], substitute={"price": lambda **_: {"cents": 1}}) as replay,
    ):
        shop(OFFLINE, "Milk?")
    assert [(step.label, step.version) for step in replay.steps if step.label == "substituted"] == [
        ("substituted", 8), ("substituted", 9),
    ]  # fmt: skip


def test_a_stream_replays_in_the_pieces_it_came_in(recorded: Recorded) -> None:
    """Agents that act on pieces see the same ones."""
    (streamed,) = [event for event in of_kind(recorded[1], "model_responded") if "stream" in event.payload["raw"]]
    text = recorder.exchanges.unpacked(streamed.payload["raw"]["stream"])
    assert [piece.count("data: ") for piece in recorder.sse.pieces(text)] == [1] * 5


# --- What cannot be replayed


def test_what_cannot_be_replayed_is_named(store: MemoryStore, open_run: OpenRun) -> None:
    """A summary, and a stream that broke off: known before anything runs, and refused when it is reached."""
    fetch = recorder.tool(name="fetch", summary=len)(lambda: "long")
    cut = provider.stream(provider.chat_chunks({"content": "Hal"})[:1], cut=True)

    def agent(url: str) -> None:
        fetch()
        transport = recorder.transport()
        client = openai.OpenAI(
            base_url=f"{url}/v1", api_key=KEY, http_client=openai.DefaultHttpxClient(transport=transport)
        )
        list(client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}], stream=True))

    with model_server(cut) as server, open_run(prompt="Hi") as run:
        agent(server.url)
        run.answer("Hal")
    events = list(store.read_all())
    replay = recorder.replay(events)
    assert [(version, reason.partition(" (")[0]) for _, version, reason in replay.gaps] == [
        (3, "only a summary of its result was recorded, or one that JSON cannot hold"),
        (6, "its response broke off when it was recorded"),
    ]
    with pytest.raises(NotReplayable, match="summary"), replay:
        agent(OFFLINE)


def test_a_recording_that_was_killed_ends_where_it_ended(recorded: Recorded) -> None:
    """The request that had no answer yet is named."""
    cut = recorded[1][:6]
    assert cut[-1].type == "agent_run.model_called"
    with pytest.raises(NotReplayable, match="no response to it was recorded"), recorder.replay(cut):
        shop(OFFLINE, "Milk?")


# --- Other ways


def test_the_anthropic_client_replays_its_streams(store: MemoryStore, open_run: OpenRun) -> None:
    """With the tool's result in between, and without a network."""

    def agent(url: str) -> str:
        http_client = anthropic.DefaultHttpxClient(transport=recorder.transport())
        client = anthropic.Anthropic(base_url=url, api_key=KEY, http_client=http_client)
        messages: list[Any] = [{"role": "user", "content": "Milk?"}]
        with client.messages.stream(model="vega-1", max_tokens=9, messages=messages) as stream:
            said = stream.get_final_message()
        result = str(price("milk"))
        messages.append(
            {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in said.content]}
        )
        messages.append({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": result}]})
        last = client.messages.create(model="vega-1", max_tokens=9, messages=messages).content[0]
        return last.text if last.type == "text" else ""

    first = provider.stream(provider.message_events(["Hm."], ("t1", "price", ['{"item":', '"milk"}'])), named=True)
    last = provider.whole(provider.message({"type": "text", "text": "4"}))
    with model_server(first, last) as server, open_run(prompt="Milk?") as run:
        run.answer(agent(server.url))
    with recorder.replay(store.read_all()) as replay, recorder.run(prompt="Milk?") as again:
        again.answer(agent(OFFLINE))
    assert [step.label for step in replay.steps] == ["replayed"] * 3


def test_child_runs_replay_with_their_parents(store: MemoryStore, open_run: OpenRun) -> None:
    """Each against its own recording; a child that is not given is named."""

    def agent(open_one: OpenRun) -> None:
        with open_one(prompt="Shop", agent="boss") as boss:
            with boss.hand_off("clerk", instruction="Milk") as clerk:
                clerk.answer(str(price("milk")))
            boss.answer("done")

    agent(open_run)
    executed.clear()
    with recorder.replay(store.read_all()) as replay:
        agent(recorder.run)
    assert executed == []
    assert [step.what for step in replay.steps] == ['a call of price {"item":"milk"}']
    alone = [
        event for event in store.read_all() if event.payload.get("agent") == "boss" or "parentRun" not in event.payload
    ]
    assert (
        "is not among the events given" in recorder.replay([e for e in alone if e.stream == alone[0].stream]).gaps[0][2]
    )


def test_a_block_gets_its_recorded_response(store: MemoryStore, open_run: OpenRun) -> None:
    """Clients whose traffic is not seen can be replayed where they ask for it."""
    asked: list[str] = []

    def agent(open_one: OpenRun, words: str = "Hi") -> str:
        with open_one(prompt="Hi") as run:
            with run.model_call(model="m", messages=[{"role": "user", "content": words}]) as call:
                if call.recorded is None:
                    asked.append(words)
                    call.respond("Hello")
            run.answer("Hello")
            return "Hello"

    agent(open_run)
    with recorder.replay(store.read_all()):
        agent(recorder.run)
    assert asked == ["Hi"]
    with pytest.raises(Diverged, match="/messages/0/content"), recorder.replay(store.read_all()):
        agent(recorder.run, "Ho")


def test_a_stream_is_replayed_from_the_server(server: JournalServer, connected: Connection) -> None:
    """By its name, a page at a time."""
    with recorder.run(prompt="Hi", stream="agent_run-there") as run:
        price("milk")
        run.answer("done")
    assert connected.flush(10)
    executed.clear()
    with recorder.replay("agent_run-there"), recorder.run(prompt="Hi") as again:
        price("milk")
        again.answer("done")
    assert executed == []


def test_a_file_becomes_a_regression_test(recorded: Recorded, nagare_replay: Replaying, tmp_path: Path) -> None:
    """With the fixture: green for the same code, red and telling where for another. Paths count from the test."""
    (tmp_path / "shop.jsonl").write_bytes(b"".join(line(event) + b"\n" for event in recorded[1]))
    path = os.path.relpath(tmp_path / "shop.jsonl", Path(__file__).parent)
    with nagare_replay(path) as replay:
        assert shop(OFFLINE, replay.prompt or "") == replay.answer
    with pytest.raises(Diverged, match=r"event 4 .*\n  /messages/0/content"), nagare_replay(path) as replay:
        shop(OFFLINE, replay.prompt or "", system="You sell well.")


def test_a_file_that_is_no_export_is_refused(tmp_path: Path) -> None:
    """With the line."""
    (tmp_path / "run.jsonl").write_text('{"stream": 3}\n')
    with pytest.raises(ImportRefused, match="line 1"):
        recorder.replay(tmp_path / "run.jsonl")
    (tmp_path / "run.jsonl").write_text("")
    with pytest.raises(ValueError, match="no agent run"):
        recorder.replay(tmp_path / "run.jsonl")


# --- Order and spelling


def test_calls_that_overlapped_may_come_in_another_order(store: MemoryStore, open_run: OpenRun) -> None:
    """Tasks finish as they like; calls that followed each other still have to."""

    @recorder.tool
    async def look(place: str) -> str:
        executed.append(place)
        await asyncio.sleep(0)
        return place

    def agent(open_one: OpenRun, first: str, second: str, last: str) -> None:
        async def running() -> None:
            async with open_one(prompt="Look") as run:
                await asyncio.gather(look(first), look(second))
                await look(last)
                run.answer("seen")

        asyncio.run(running())

    agent(open_run, "a", "b", "c")
    executed.clear()
    with recorder.replay(store.read_all()):
        agent(recorder.run, "b", "a", "c")
    with pytest.raises(Diverged, match=r'"place":"[ab]"'), recorder.replay(store.read_all()):
        agent(recorder.run, "a", "c", "b")
    assert executed == []


def test_the_same_json_in_other_bytes(store: MemoryStore, open_run: OpenRun) -> None:
    """Strict says that only the spelling differs; permissive takes the recorded answer for it, and says so."""
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    compact, spaced = json.dumps(body, separators=(",", ":")).encode(), json.dumps(body).encode()

    def ask(url: str, raw: bytes) -> str:
        with httpx2.Client(transport=recorder.transport()) as client:
            said = client.post(f"{url}/v1/chat/completions", content=raw).json()
        return str(said["choices"][0]["message"]["content"])

    with model_server(provider.whole(provider.chat("Hello"))) as server, open_run(prompt="Hi"):
        ask(server.url, compact)
    with pytest.raises(Diverged, match="the same request in other bytes"), recorder.replay(store.read_all()):
        ask(OFFLINE, spaced)
    with recorder.replay(store.read_all(), strict=False) as replay:
        assert ask(OFFLINE, spaced) == "Hello"
    assert [step.label for step in replay.steps] == ["substituted"]

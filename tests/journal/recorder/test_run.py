"""What an agent's own code records: blocks, tools, hand-offs; and which run each thing belongs to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from journal import recorder
from journal.recorder import Run
from journal.store.memory import MemoryStore
from tests.journal.recorder.looking import cause, causes, kinds, of_kind, state

OpenRun = Callable[..., Run]
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@recorder.tool
def read_file(path: str, *, lines: int = 10) -> str:
    """Read."""
    if path == "missing":
        raise FileNotFoundError("no such file")
    return f"{lines} lines of {path}"


@recorder.tool(name="look_up")
async def search(query: str) -> list[str]:
    """Search."""
    await asyncio.sleep(0)
    return [query.upper()]


def events_of(store: MemoryStore, stream: str | None = None) -> list[Any]:
    """Return the journal, or one stream."""
    return list(store.read_stream(stream) if stream else store.read_all())


def test_a_run_in_blocks(store: MemoryStore, open_run: OpenRun) -> None:
    """Every kind of thing, each with its cause, and the state that it comes to."""
    with open_run(prompt="Fix it", model="orion-3", agent="coder", tools=["read_file"], subjects=["user-42"]) as run:
        seen = run.message("user", "Fix it")
        with run.model_call(messages=[{"role": "user", "content": "Fix it"}], temperature=0) as model:
            model.respond(
                "I will read.", tool_calls=[("read_file", {"path": "a.py"}, "c1")], input_tokens=7, cost_usd=0.5
            )
        assert read_file("a.py") == "10 lines of a.py"
        with run.decide("grep", {"pattern": "x"}, thought="It may be there.") as call:
            run.remember("seen", ["a.py"])
            call.returned(["a.py:1"])
        with pytest.raises(OSError, match="broken"), run.decide("write", {}):
            raise OSError("broken")
        run.compact("Read a.py.", dropped=[seen])
        run.answer("Fixed.")
    events = events_of(store)
    assert kinds(events) == [
        "started", "message_received", "model_called", "model_responded", "reasoned", "tool_returned", "reasoned",
        "memory_written", "tool_returned", "reasoned", "tool_failed", "context_compacted", "answered",
    ]  # fmt: skip
    assert causes(events) == {
        2: "1 started", 3: "2 message_received", 4: "3 model_called", 5: "4 model_responded", 6: "5 reasoned",
        7: "4 model_responded", 8: "7 reasoned", 9: "7 reasoned", 10: "4 model_responded", 11: "10 reasoned",
        12: "4 model_responded", 13: "4 model_responded",
    }  # fmt: skip
    assert events[2].payload["messages"] == [{"version": 2}]
    assert events[11].payload["droppedVersions"] == [2]
    assert {subject for event in events for subject in event.meta.subjects} == {"user-42"}
    final = state(store, run.stream).to_json()
    assert (final["status"], final["open_calls"], final["totals"]["tool_errors"]) == ("answered", [], 1)
    assert final["totals"]["cost_usd"] == 0.5


def test_the_models_last_words_are_the_answer(store: MemoryStore, open_run: OpenRun) -> None:
    """Where it called no tool and nobody says otherwise; else the run ended without one."""
    with open_run(prompt="Hi") as answered, answered.model_call() as call:
        call.respond("Hello.")
    with open_run(prompt="Hi") as aborted, aborted.model_call() as call:
        call.respond("Let me look.", tool_calls=[("look", {})])
    assert events_of(store, answered.stream)[-1].payload == {"response": "Hello."}
    assert events_of(store, aborted.stream)[-1].payload == {"reason": "the run ended without an answer"}


def test_an_exception_aborts_the_run_and_goes_on(store: MemoryStore, open_run: OpenRun) -> None:
    """A cancelled task as well."""
    with pytest.raises(KeyError), open_run(prompt="Hi"):
        raise KeyError("gone")

    async def cancelled() -> None:
        async with open_run(prompt="Hi"):
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    assert [event.payload["reason"] for event in of_kind(events_of(store), "aborted")] == [
        "KeyError: 'gone'",
        "CancelledError",
    ]


def test_a_tool_is_recorded_with_what_it_was_given(store: MemoryStore, open_run: OpenRun) -> None:
    """Called by code alone it is a decision of that code; its failure is its own exception."""
    with open_run(prompt="Hi"):
        read_file("a", lines=3)
        with pytest.raises(FileNotFoundError):
            read_file("missing")
    assert read_file("outside") == "10 lines of outside"
    decided, failed = (of_kind(events_of(store), kind) for kind in ("reasoned", "tool_failed"))
    assert [event.payload["argsJson"] for event in decided] == ['{"path":"a","lines":3}', '{"path":"missing"}']
    assert (failed[0].payload["errorCode"], failed[0].payload["message"]) == ("FileNotFoundError", "no such file")


def test_parallel_calls_of_one_tool_keep_apart(store: MemoryStore, open_run: OpenRun) -> None:
    """Async tasks, matched to the model's calls by their arguments."""

    async def agent() -> list[Any]:
        async with open_run(prompt="Hi") as run:
            async with run.model_call() as call:
                call.respond(tool_calls=[("look_up", {"query": "a"}, "c1"), ("look_up", {"query": "b"}, "c2")])
            found = await asyncio.gather(search("b"), search("a"))
            run.answer("done")
            return list(found)

    assert asyncio.run(agent()) == [["B"], ["A"]]
    results = {
        event.payload["callId"]: event.payload["responseJson"] for event in of_kind(events_of(store), "tool_returned")
    }
    assert results == {"c1": '["A"]', "c2": '["B"]'}


def test_a_tool_called_with_something_else_than_was_decided_says_so(store: MemoryStore, open_run: OpenRun) -> None:
    """The decision keeps the model's words, the result what the code made of them."""
    with open_run(prompt="Hi") as run, run.model_call() as call:
        call.respond(tool_calls=[("read_file", {"path": "A.py"}, "c1")])
        read_file("a.py")
    (decided,), (result,) = (of_kind(events_of(store), kind) for kind in ("reasoned", "tool_returned"))
    assert (decided.payload["argsJson"], result.payload["argsJson"]) == ('{"path":"A.py"}', '{"path":"a.py"}')


@dataclass
class Point:
    """Something that JSON holds, and an annotation makes again."""

    x: int
    y: tuple[int, ...]


class Handle:
    """Something that it does not."""


@pytest.mark.parametrize(("value", "annotation", "is_whole"), [
    (Point(1, (2, 3)), Point, True), (Point(1, (2,)), Any, False), (Handle(), Any, False),
    ({"a": [1, None]}, dict, True),
    ({1: "a"}, dict[int, str], True), (b"bytes", bytes, True), ("text", str, True), (None, None, True),
])  # fmt: skip
def test_what_json_cannot_hold_is_said_to_be_partial(
    value: Any,
    annotation: Any,
    is_whole: bool,  # noqa: FBT001 - the case's own outcome
    store: MemoryStore,
    open_run: OpenRun,
) -> None:
    """It is tried at once whether the result can be made again from what is recorded."""

    def give() -> Any:
        return value

    give.__annotations__["return"] = annotation
    with open_run(prompt="Hi"):
        recorder.tool(give)()
    (result,) = of_kind(events_of(store), "tool_returned")
    assert result.payload.get("isPartial", False) is not is_whole
    assert "0x" not in result.payload["responseJson"]


def test_a_summary_in_place_of_a_result(store: MemoryStore, open_run: OpenRun) -> None:
    """For results nobody wants in a journal."""
    fetch = recorder.tool(name="fetch", summary=len)(lambda: "a" * 1_000)
    with open_run(prompt="Hi"):
        assert len(fetch()) == 1_000
    (result,) = of_kind(events_of(store), "tool_returned")
    assert (result.payload["responseJson"], result.payload["isPartial"]) == ("1000", True)


# --- Other runs


def test_a_hand_off_is_a_run_of_its_own(store: MemoryStore, open_run: OpenRun) -> None:
    """Parent and child name each other, and share their correlation."""
    with open_run(prompt="Write", agent="editor") as parent:
        with parent.hand_off("researcher", instruction="Find sources") as child:
            read_file("sources")
            child.answer("Two.")
        read_file("draft")
        parent.answer("Written.")
    handed = of_kind(events_of(store, parent.stream), "handed_off")[0]
    begun = events_of(store, child.stream)[0]
    assert handed.payload == {"toAgent": "researcher", "childRun": child.stream, "instruction": "Find sources"}
    assert (begun.payload["parentRun"], begun.payload["prompt"]) == (parent.stream, "Find sources")
    assert (begun.meta.causation_id, begun.meta.causes[0].kind) == (handed.id, "spawned")
    assert begun.meta.correlation_id == parent.correlation_id == parent.stream
    assert [event.payload["argsJson"] for event in of_kind(events_of(store, child.stream), "reasoned")] == [
        '{"path":"sources"}'
    ]
    assert [event.payload["argsJson"] for event in of_kind(events_of(store, parent.stream), "reasoned")] == [
        '{"path":"draft"}'
    ]


def test_agents_that_call_each_other(store: MemoryStore) -> None:
    """A decorated agent inside another's run is its child, async or not."""

    @recorder.agent(name="inner")
    async def inner(question: str) -> str:
        return (await search(question))[0]

    @recorder.agent(name="outer", to=store)
    def outer(prompt: str) -> str:
        return asyncio.run(inner(prompt))

    assert outer("hi") == "HI"
    begun = of_kind(events_of(store), "started")
    assert [(event.payload["agent"], event.payload["prompt"]) for event in begun] == [("outer", "hi"), ("inner", "hi")]
    assert begun[1].payload["parentRun"] == begun[0].stream
    assert [event.payload["response"] for event in of_kind(events_of(store), "answered")] == ["HI", "HI"]


def test_runs_in_tasks_and_threads_do_not_mix(store: MemoryStore, open_run: OpenRun) -> None:
    """Tasks of asyncio, `asyncio.to_thread`, and pools by `carry`."""

    async def agent(name: str) -> str:
        async with open_run(prompt=name) as run:
            await search(name)
            await asyncio.to_thread(read_file, name)
            with ThreadPoolExecutor(1) as pool:
                await asyncio.wrap_future(pool.submit(recorder.carry(read_file), f"{name}/pool"))
            run.answer(name)
            return run.stream

    async def both() -> list[str]:
        return list(await asyncio.gather(*map(agent, "ab")))

    for name, stream in zip("ab", asyncio.run(both()), strict=True):
        given = [event.payload["argsJson"] for event in of_kind(events_of(store, stream), "reasoned")]
        assert given == [f'{{"query":"{name}"}}', f'{{"path":"{name}"}}', f'{{"path":"{name}/pool"}}']


def test_a_thread_of_the_only_run_belongs_to_it(store: MemoryStore, open_run: OpenRun) -> None:
    """One that was there before may do anything, and is not asked."""
    with ThreadPoolExecutor(1) as before:
        before.submit(int).result()
        with open_run(prompt="one") as one:
            thread = threading.Thread(target=read_file, args=("inside",))
            thread.start()
            thread.join()
            before.submit(read_file, "elsewhere").result()
            one.answer("done")
    assert [event.payload["argsJson"] for event in of_kind(events_of(store), "reasoned")] == ['{"path":"inside"}']


def test_runs_of_two_threads_are_no_children_of_each_other(store: MemoryStore, open_run: OpenRun) -> None:
    """A run that is opened in a thread of its own is a run of its own, also while another is open."""

    def other() -> None:
        with open_run(prompt="other") as run:
            read_file("b")
            run.answer("done")

    with open_run(prompt="one") as one:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        one.answer("done")
    begun = of_kind(events_of(store), "started")
    assert [event.payload.get("parentRun") for event in begun] == [None, None]
    assert [event.stream for event in of_kind(events_of(store), "reasoned")] == [begun[1].stream]


# --- Traces


def test_the_current_span_is_on_every_event(
    store: MemoryStore, open_run: OpenRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And without one, the trace the process was started in."""
    monkeypatch.setenv("TRACEPARENT", TRACEPARENT)
    with open_run(prompt="Hi") as run:
        with TracerProvider().get_tracer("test").start_as_current_span("step") as span:
            run.remember("k", 1)
        run.answer("done")
    begun, inside, after = events_of(store)
    context = span.get_span_context()
    assert inside.meta.traceparent == f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    assert begun.meta.traceparent == after.meta.traceparent == TRACEPARENT


def test_a_failing_model_block_is_no_decision(store: MemoryStore, open_run: OpenRun) -> None:
    """It is recorded as a request without a response."""
    with open_run(prompt="Hi") as run:
        with pytest.raises(TimeoutError), run.model_call(model="orion-3"):
            raise TimeoutError("too slow")
        run.answer("sorry")
    events = events_of(store)
    (failed,) = of_kind(events, "model_failed")
    assert (failed.payload["model"], failed.payload["errorCode"]) == ("orion-3", "TimeoutError")
    assert cause(events, failed) == "2 model_called"

"""The calls of one conversation, logged a file a call, become one run."""

from __future__ import annotations

import json
from typing import Any

from journal.domain.agent_run import (
    Answered,
    MessageReceived,
    ModelCalled,
    ModelResponded,
    Reasoned,
    Started,
    ToolReturned,
)
from journal.ingest.counts import reported
from journal.ingest.draft import Ref, RunDraft
from journal.ingest.files import from_memory
from journal.ingest.importer import Importer
from journal.ingest.litellm_log import detect, read
from journal.store.memory import MemoryStore
from tests.journal.ingest.reading import JUNK, a_file, a_run, event_of, kinds, of

SYSTEM = {"role": "system", "content": [{"type": "text", "text": "Be brief."}]}
ASKED = {"role": "user", "content": "Is there a hello.py?"}
CALL = {"id": "toolu_01", "type": "function", "function": {"name": "terminal", "arguments": '{"command":  "ls"}'}}
LOOKED = {"role": "assistant", "content": [{"type": "text", "text": "I look."}], "tool_calls": [CALL]}
LISTED = {
    "role": "tool",
    "tool_call_id": "toolu_01",
    "name": "terminal",
    "content": [{"type": "text", "text": "hello.py"}],
}


def logged(messages: list[Any], *, at: float, said: dict[str, Any], name: str = "chatcmpl-1") -> dict[str, Any]:
    """Return the log of a call."""
    usage = {"prompt_tokens": 100, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 0}}
    choice = {"finish_reason": "stop", "index": 0, "message": {"role": "assistant", **said}}
    response = {"id": name, "created": int(at), "model": "orion-3", "choices": [choice], "usage": usage}
    tools = [{"type": "function", "function": {"name": "terminal"}}]
    kwargs = {"temperature": 0.0, "tools": tools}
    return {
        "messages": messages,
        "tools": tools,
        "kwargs": kwargs,
        "context_window": 8000,
        "response": response,
        "cost": 0.25,
        "timestamp": at,
        "latency_sec": 2.0,
    }


FIRST = logged(
    [SYSTEM, ASKED],
    at=1769932802.5,
    said={"content": "I look.", "tool_calls": [{**CALL, "index": 1}], "function_call": None},
)
SECOND = logged([SYSTEM, ASKED, LOOKED, LISTED], at=1769932805.0, said={"content": "Yes."}, name="chatcmpl-2")


def keys(run: RunDraft) -> list[str]:
    """Return the events' keys, in order."""
    return [draft.key for draft in run]


def test_a_call_is_a_request_a_response_and_what_it_decided() -> None:
    """The request refers to the messages; the response was there when the log was written."""
    run = a_run(read, FIRST)
    assert kinds(run) == ["Started", "MessageReceived", "MessageReceived", "ModelCalled", "ModelResponded", "Reasoned"]
    (asked,) = of(run, ModelCalled)
    assert asked.params == {"temperature": 0.0}
    assert asked.messages == tuple(Ref(key) for key in keys(run)[1:3])
    (response,) = of(run, ModelResponded)
    assert (response.input_tokens, response.cost_usd, response.latency_ms) == (100, 0.25, 2000)
    assert [draft.at.isoformat() for draft in list(run)[3:5] if draft.at] == [
        "2026-02-01T08:00:00.500000+00:00",
        "2026-02-01T08:00:02.500000+00:00",
    ]
    assert of(run, Reasoned)[0].args_json == '{"command":  "ls"}'
    assert of(run, Started)[0].prompt == "Is there a hello.py?"


def test_the_next_call_continues_the_run() -> None:
    """The response is found again among its messages, though it came back as blocks."""
    first, second = a_run(read, FIRST), a_run(read, SECOND)
    assert first.source_id == second.source_id
    new = [draft for draft in second if draft.key not in keys(first)]
    assert [type(draft.event).__name__ for draft in new] == [
        "ToolReturned",
        "ModelCalled",
        "ModelResponded",
        "Answered",
    ]
    assert of(second, ToolReturned)[0].response_json == '"hello.py"'
    assert event_of(second, of(second, ModelCalled)[0].messages[2].key) == ModelResponded(content=LOOKED["content"])


def test_a_file_counts_its_own_call_only() -> None:
    """The prefix that it repeats was counted with other files; a tool's error is not recorded at all."""
    run = a_run(read, SECOND)
    assert reported(run, run.events) == {
        "decisions": 1,
        "tool_calls": 0,
        "tool_errors": None,
        "input_tokens": 100,
        "output_tokens": 9,
        "cost_usd": 0.25,
    }


def test_importing_the_calls_in_order_makes_one_run_and_doubles_nothing() -> None:
    """A repeated message is no revision of the response that it repeats, and a second import adds nothing."""
    store = MemoryStore()
    files = {"calls/1.json": json.dumps(FIRST).encode(), "calls/2.json": json.dumps(SECOND).encode()}
    first, again = (Importer(store=store).run(from_memory(files)) for _ in range(2))
    assert [file.status for file in first.files] == ["imported", "extended"]
    assert [file.status for file in again.files] == ["unchanged", "unchanged"]
    (stream,) = {run.stream for file in first.files for run in file.runs}
    assert [event.type.partition(".")[2] for event in store.read_stream(stream)] == [
        "started",
        "message_received",
        "message_received",
        "model_called",
        "model_responded",
        "reasoned",
        "tool_returned",
        "model_called",
        "model_responded",
        "answered",
    ]


def test_a_call_whose_first_file_is_missing_is_still_whole() -> None:
    """The earlier response comes from the prefix, without the numbers that only its own file has."""
    run = a_run(read, SECOND)
    assert kinds(run)[:6] == [
        "Started",
        "MessageReceived",
        "MessageReceived",
        "ModelResponded",
        "Reasoned",
        "ToolReturned",
    ]
    assert of(run, ModelResponded)[0].input_tokens is None
    assert all(draft.repeats for draft in list(run)[:6])


def test_the_same_question_asked_again_is_another_run() -> None:
    """Two conversations differ by the model's first response."""
    other = logged(
        [SYSTEM, ASKED], at=1769932802.5, said={"content": "I look.", "tool_calls": [{**CALL, "id": "toolu_02"}]}
    )
    assert a_run(read, FIRST).source_id != a_run(read, other).source_id


def test_a_translated_request_is_read_from_its_original() -> None:
    """Models without tool calls are sent text; `fncall_messages` and `fncall_response` hold what it stands for."""
    text = logged([SYSTEM, ASKED], at=1.0, said={"content": "<function=terminal>ls</function>"})
    original = {"fncall_messages": FIRST["messages"], "fncall_response": FIRST["response"]}
    assert len(of(a_run(read, text | original), Reasoned)) == 1


def test_an_answer_in_the_prefix_is_an_answer() -> None:
    """So is a response without calls."""
    again = {"role": "user", "content": "And a bye.py?"}
    run = a_run(read, logged([ASKED, {"role": "assistant", "content": "Yes."}, again], at=1.0, said={"content": "No."}))
    assert [answer.response for answer in of(run, Answered)] == ["Yes.", "No."]


def test_only_its_own_files_are_recognised() -> None:
    """A conversation without a response, or a response without a log's fields, is another's."""
    assert detect(a_file(FIRST))
    bare = {"messages": [ASKED], "response": FIRST["response"]}
    assert not any(detect(a_file(content)) for content in (*JUNK, {"messages": [ASKED]}, bare))


def test_odd_fields_are_no_error() -> None:
    """A result that answers no call is a message; numbers of the wrong type are not recorded."""
    odd = FIRST | {
        "messages": [LISTED, 7, {"role": None, "content": {}}],
        "cost": "free",
        "latency_sec": -1,
        "kwargs": [],
    }
    run = a_run(read, odd)
    assert len(of(run, MessageReceived)) == 2
    assert "cost_usd" not in run.recorded

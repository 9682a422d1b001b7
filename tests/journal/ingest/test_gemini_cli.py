"""Gemini CLI sessions: a document, or a log with patches; call and result in one object."""

from __future__ import annotations

import json
from typing import Any

import pytest

from journal.domain.agent_run import (
    Answered,
    MessageReceived,
    ModelResponded,
    Reasoned,
    Started,
    ToolFailed,
    ToolReturned,
)
from journal.errors import ImportRefused
from journal.ingest import gemini_cli
from journal.ingest.draft import Opaque, RunDraft
from journal.ingest.source import Source

HEAD = {"sessionId": "s-1", "projectHash": "abc", "startTime": "2026-04-01T09:00:00Z"}


def message(kind: str, name: str, content: Any = "", **rest: Any) -> dict[str, Any]:
    """Return a message of a session."""
    return {"id": name, "timestamp": "2026-04-01T09:00:01Z", "type": kind, "content": content, **rest}


def call(call_id: str, status: str | None, **response: Any) -> dict[str, Any]:
    """Return a call with its result."""
    asked = {"id": call_id, "name": "read_file", "args": {"path": "/a"}, "timestamp": "2026-04-01T09:00:02Z"}
    if status is None:
        return asked
    return {**asked, "status": status, "result": [{"functionResponse": {"id": call_id, "response": response}}]}


def document(*messages: Any) -> Source:
    """Return a session as one document."""
    return Source(name="session-1.json", data=json.dumps({**HEAD, "messages": messages}, indent=1).encode())


def log(*records: Any) -> Source:
    """Return a session as a log."""
    return Source(name="session-1.jsonl", data=b"\n".join(json.dumps(record).encode() for record in (HEAD, *records)))


def run_of(source: Source) -> RunDraft:
    """Read a session."""
    (run,) = gemini_cli.read(source)
    return run


def of(run: RunDraft, kind: type) -> list[Any]:
    """Return a run's events of one type."""
    return [draft.event for draft in run if isinstance(draft.event, kind)]


TOKENS = {"input": 100, "output": 7, "cached": 40, "thoughts": 5}
THOUGHTS = [{"subject": "Plan", "description": "read it"}]
MESSAGES = (
    message("user", "m1", "what is in a?"),
    message("gemini", "m2", "", model="gemini-test", tokens=TOKENS, thoughts=THOUGHTS,
            toolCalls=[call("c1", "success", output="words")]),
    message("gemini", "m3", "Words.", model="gemini-test", tokens=TOKENS),
)  # fmt: skip


@pytest.mark.parametrize("source", [document(*MESSAGES), log(*MESSAGES)], ids=["document", "log"])
def test_a_message_is_a_response_with_its_calls_and_their_results(source: Source) -> None:
    """Both shapes of the file come to the same events."""
    run = run_of(source)
    assert gemini_cli.detect(source)
    assert run.source_id == "s-1"
    assert [draft.key for draft in run] == ["start", "m1", "m2", "m2.0", "m2.0.result", "m3", "m3.answer"]
    first, second = of(run, ModelResponded)
    assert (first.reasoning, first.input_tokens, first.output_tokens, first.cached_tokens) == (
        "Plan: read it", 100, 7, 40,
    )  # fmt: skip
    assert second.content == "Words."
    assert of(run, Reasoned)[0].args_json == '{"path":"/a"}'
    assert of(run, ToolReturned)[0].response_json == '{"output":"words"}'
    assert of(run, Answered) == [Answered(response="Words.")]
    assert (of(run, Started)[0].prompt, of(run, Started)[0].model) == ("what is in a?", "gemini-test")


def test_a_call_that_went_wrong_is_a_failure_and_a_cancelled_one_a_result() -> None:
    """Only the status `error` is an error; what was recorded of a cancelled call is kept as its result."""
    calls = [call("c1", "error", error="no such file"), call("c2", "cancelled", error="cancelled by the user")]
    run = run_of(document(message("user", "m1", "go"), message("gemini", "m2", toolCalls=calls)))
    assert [event.message for event in of(run, ToolFailed)] == ["no such file"]
    assert [event.response_json for event in of(run, ToolReturned)] == ['{"error":"cancelled by the user"}']


def test_a_message_written_again_takes_the_place_of_the_first() -> None:
    """A log brings a message up to date by writing it a second time."""
    early = message("gemini", "m2", "Reading.")
    run = run_of(log(message("user", "m1", "go"), early, {**early, "toolCalls": [call("c1", "success", output="x")]}))
    assert len(of(run, ModelResponded)) == len(of(run, ToolReturned)) == 1


def test_patches_and_notices_are_kept_raw() -> None:
    """They are no part of the conversation."""
    patch = {"$set": {"lastUpdated": "2026-04-01T09:00:03Z"}}
    run = run_of(log(message("user", "m1", [{"text": "go"}]), patch, message("info", "m2", "update available")))
    assert [event.name for event in of(run, Opaque)] == ["gemini_cli.set", "gemini_cli.info"]
    assert of(run, MessageReceived) == [MessageReceived(role="user", content="go")]


def test_a_longer_session_keeps_the_events_of_a_shorter_one() -> None:
    """Results that come later do not change the order of those that are there: they wait for the calls before them."""
    waiting = message("gemini", "m2", toolCalls=[call("c1", None), call("c2", "success", output="2")])
    done = {**waiting, "toolCalls": [call("c1", "success", output="1"), call("c2", "success", output="2")]}
    whole = [draft.key for draft in run_of(document(MESSAGES[0], done, MESSAGES[2]))]
    for part in ([MESSAGES[0]], [MESSAGES[0], waiting], [MESSAGES[0], done]):
        keys = [draft.key for draft in run_of(document(*part))]
        assert keys == whole[: len(keys)]


def test_a_document_that_breaks_off_is_refused() -> None:
    """Half a document says nothing reliable."""
    whole = document(*MESSAGES).data
    with pytest.raises(ImportRefused):
        run_of(Source(name="session-1.json", data=whole[: len(whole) // 2]))


@pytest.mark.parametrize(
    "junk", [None, 5, {"type": "gemini", "toolCalls": 3, "tokens": [], "content": {"a": 1}}, {"type": {}}]
)
def test_fields_of_unexpected_types_count_as_absent(junk: Any) -> None:
    """Odd messages become events, or are noted."""
    assert of(run_of(document(*MESSAGES, junk)), Answered)


def test_detection_asks_for_session_and_project() -> None:
    """Nobody else's document has both."""
    others: list[Any] = [{"sessionId": "s"}, {"messages": []}, {"type": "session", "id": "x", "cwd": "/"}, [HEAD]]
    for other in others:
        assert not gemini_cli.detect(Source(name="x.json", data=json.dumps(other).encode())), other
    assert not gemini_cli.detect(Source(name="x.json", data=b'{"projectHash": '))

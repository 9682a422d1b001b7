"""Sessions of the pi coding agent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from journal.domain.agent_run import (
    Aborted,
    Answered,
    ContextCompacted,
    MessageReceived,
    ModelResponded,
    Reasoned,
    Started,
    ToolFailed,
    ToolReturned,
)
from journal.ingest import pi_agent
from journal.ingest.draft import EventDraft, Link, Opaque, RunDraft
from journal.ingest.source import Source

HEAD = {"type": "session", "id": "p-1", "timestamp": "2026-01-02T03:04:05Z", "cwd": "/srv", "modelId": "model-a"}
USAGE = {"input": 2, "output": 9, "cacheRead": 30, "cost": {"total": 0.25}}


def entry(role: str, content: Any, **message: Any) -> dict[str, Any]:
    """Return a message entry."""
    said = {"role": role, "content": content, **message}
    return {"type": "message", "timestamp": "2026-01-02T03:05:00Z", "message": said}


def words(said: str) -> list[dict[str, Any]]:
    """Return content that is one text."""
    return [{"type": "text", "text": said}]


def call(call_id: str) -> dict[str, Any]:
    """Return a block that calls a tool."""
    return {"type": "toolCall", "id": call_id, "name": "bash", "arguments": {"command": "ls"}}


def source(*records: Any) -> Source:
    """Return a session file."""
    return Source(name="session.jsonl", data=b"\n".join(json.dumps(record).encode() for record in records))


def run_of(*records: Any) -> RunDraft:
    """Read a session."""
    (run,) = pi_agent.read(source(*records))
    return run


def of(run: RunDraft, kind: type) -> list[Any]:
    """Return a run's events of one type."""
    return [draft.event for draft in run if isinstance(draft.event, kind)]


def at(run: RunDraft, key: str) -> EventDraft:
    """Return the event with a key."""
    return next(draft for draft in run if draft.key == key)


SESSION = (
    HEAD,
    entry("user", words("list it")),
    entry(
        "assistant", [*words("Listing."), call("c1"), call("c2")], usage=USAGE, stopReason="toolUse", model="model-a"
    ),
    entry("toolResult", words("a.txt"), toolCallId="c1", toolName="bash", details={"lines": 1}, isError=False),
    entry("toolResult", words("exit 1"), toolCallId="c2", toolName="bash", isError=True),
    entry("assistant", words("There is a.txt"), usage=USAGE, stopReason="stop"),
)


def test_a_session_is_one_run() -> None:
    """Prompt, response with tokens and cost, calls, results, answer."""
    run = run_of(*SESSION)
    (started,) = of(run, Started)
    assert (run.source_id, started.prompt, started.model) == ("p-1", "list it", "model-a")
    response = of(run, ModelResponded)[0]
    assert (response.input_tokens, response.output_tokens, response.cached_tokens, response.cost_usd) == (
        2,
        9,
        30,
        0.25,
    )
    assert response.finish_reason == "toolUse"
    assert [event.thought for event in of(run, Reasoned)] == ["Listing."] * 2
    assert [event.response_json for event in of(run, ToolReturned)] == ['"a.txt"']
    assert [(event.tool_name, event.message) for event in of(run, ToolFailed)] == [("bash", "exit 1")]
    assert of(run, Answered) == [Answered(response="There is a.txt")]


@pytest.mark.parametrize("reason", ["aborted", "error"])
def test_a_response_that_broke_off_aborts(reason: str) -> None:
    """It counts as a decision, and gives its error as the reason."""
    broken = entry("assistant", [], usage=USAGE, stopReason=reason, errorMessage="Request was aborted")
    run = run_of(HEAD, entry("user", words("go")), broken)
    assert len(of(run, ModelResponded)) == 1
    assert of(run, Aborted) == [Aborted(reason="Request was aborted")]
    assert of(run, Answered) == []


def test_changes_of_the_setting_are_kept_raw_and_compactions_compact() -> None:
    """A switch of the model is not a request to it."""
    change = {"type": "model_change", "provider": "x", "modelId": "model-b"}
    compaction = {"type": "compaction", "summary": "so far", "tokensBefore": 5}
    run = run_of(*SESSION, change, compaction)
    assert Opaque(name="pi_agent.model_change", data=change) in of(run, Opaque)
    assert of(run, ContextCompacted) == [ContextCompacted(summary="so far")]


def test_parents_that_are_recorded_are_links() -> None:
    """Newer files give entries an id and a parent."""
    run = run_of(
        HEAD,
        {**entry("user", words("go")), "id": "e1", "parentId": None},
        {**entry("assistant", words("gone"), stopReason="stop"), "id": "e2", "parentId": "e1"},
    )
    assert at(run, "e2").causes == (Link("e1"),)
    assert at(run, "e2.answer").causes == (Link("e2"),)


def test_a_longer_session_keeps_the_events_of_a_shorter_one() -> None:
    """Read up to any line, the events come first in the longer file, with the same keys."""
    whole = [draft.key for draft in run_of(*SESSION)]
    for end in range(1, len(SESSION)):
        part = [draft.key for draft in run_of(*SESSION[:end])]
        assert part == whole[: len(part)], end


@pytest.mark.parametrize(
    "junk",
    [
        {"type": "message", "message": None},
        {"type": "message", "message": {"role": "assistant", "content": [5, {"type": "toolCall"}], "usage": "x"}},
        {"type": "message", "message": {"role": "toolResult", "content": 5, "toolCallId": []}},
        {"type": "message", "message": {"role": "assistant", "content": "text", "stopReason": {}}},
        {"type": {}},
        {"type": "compaction", "summary": 3},
    ],
)
def test_fields_of_unexpected_types_count_as_absent(junk: dict[str, Any]) -> None:
    """Odd entries become events all the same."""
    run = run_of(*SESSION, junk)
    assert len(list(run)) > len(list(run_of(*SESSION)))
    assert of(run, MessageReceived)


def test_detection_asks_for_the_head() -> None:
    """A session's first line has type, id and folder."""
    assert pi_agent.detect(source(*SESSION))
    for other in (
        {"type": "session", "id": "x"},
        {"type": "session_meta", "payload": {}},
        {"id": "x", "cwd": "/"},
        [1],
    ):
        assert not pi_agent.detect(source(other)), other
    assert not pi_agent.detect(Source(name="x.jsonl", data=b""))

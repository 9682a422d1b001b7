"""Claude Code sessions: what a transcript comes to, what stays when it grows, and which sub-agents are whose."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from journal.domain.agent_run import (
    Aborted,
    Answered,
    ContextCompacted,
    HandedOff,
    MessageReceived,
    ModelResponded,
    Reasoned,
    Started,
    ToolFailed,
    ToolReturned,
)
from journal.ingest import claude_code
from journal.ingest.draft import EventDraft, Link, Opaque, RunDraft
from journal.ingest.files import from_memory
from journal.ingest.source import Source
from journal.ingest.writer import prepare, write
from journal.store.memory import MemoryStore

GROWN = Path(__file__).resolve().parents[3] / "../shared/data/trajectories/claude-code/codemie/incremental-simple"
SESSION = "11111111-2222-4333-8444-555555555555"
MODEL = "claude-test-1"


def record(kind: str, uuid: str, parent: str | None, **rest: Any) -> dict[str, Any]:
    """Return a record with the envelope of Claude Code."""
    envelope = {"type": kind, "uuid": uuid, "parentUuid": parent, "sessionId": SESSION, "isSidechain": False}
    return {**envelope, "timestamp": "2026-03-01T10:00:00.000Z", "cwd": "/srv/shop", "version": "2.1.0", **rest}


def user(uuid: str, parent: str | None, content: Any, **rest: Any) -> dict[str, Any]:
    """Return a user record."""
    return record("user", uuid, parent, message={"role": "user", "content": content}, **rest)


def assistant(uuid: str, parent: str | None, response: str, *blocks: dict[str, Any], **rest: Any) -> dict[str, Any]:
    """Return one record of a response."""
    usage = rest.pop("usage", {"input_tokens": 3, "output_tokens": 1})
    message = {"id": response, "role": "assistant", "model": MODEL, "content": list(blocks), "usage": usage}
    return record("assistant", uuid, parent, message={**message, **rest.pop("message", {})}, **rest)


def said(words: str) -> dict[str, Any]:
    """Return a block of text."""
    return {"type": "text", "text": words}


def call(call_id: str, tool: str = "Bash", **arguments: Any) -> dict[str, Any]:
    """Return a block that calls a tool."""
    return {"type": "tool_use", "id": call_id, "name": tool, "input": arguments}


def result(call_id: str | None, content: Any, **rest: Any) -> list[dict[str, Any]]:
    """Return the content of a user record that answers a call."""
    return [{"type": "tool_result", "tool_use_id": call_id, "content": content, **rest}]


def source(*records: Any, name: str = f"{SESSION}.jsonl", beside: dict[str, bytes] | None = None) -> Source:
    """Return a session file."""
    files = beside or {}
    return Source(name=name, data=lines(*records), sibling=files.get, siblings=lambda: list(files))


def lines(*records: Any) -> bytes:
    """Return records as JSON Lines; text goes in as it is."""
    return b"\n".join((item if isinstance(item, str) else json.dumps(item)).encode() for item in records) + b"\n"


def only_run(*records: Any, **rest: Any) -> RunDraft:
    """Read a session with one run."""
    (run,) = claude_code.read(source(*records, **rest))
    return run


def kinds(run: RunDraft) -> list[str]:
    """Return the types of a run's events."""
    return [type(draft.event).__name__ for draft in run]


def of(run: RunDraft, kind: type) -> list[Any]:
    """Return a run's events of one type."""
    return [draft.event for draft in run if isinstance(draft.event, kind)]


def at(run: RunDraft, key: str) -> EventDraft:
    """Return the event with a key."""
    return next(draft for draft in run if draft.key == key)


STREAMED = (
    user("u1", None, "how many files are there?"),
    assistant("a1", "u1", "msg_1", {"type": "thinking", "thinking": "count them", "signature": "c2ln"}),
    assistant("a2", "a1", "msg_1", said("I will count.")),
    assistant("a3", "a2", "msg_1", call("t1", command="ls | wc -l"), usage={"input_tokens": 3, "output_tokens": 40}),
    user("u2", "a3", result("t1", "2"), toolUseResult={"stdout": "2", "durationMs": 12}),
    assistant("a4", "u2", "msg_2", said("Two."), message={"stop_reason": "end_turn"}),
)


def test_records_of_one_message_id_are_one_response() -> None:
    """A streamed response counts once, with the blocks of all its records and the usage of the last."""
    response, last = of(only_run(*STREAMED), ModelResponded)
    assert (response.content, response.reasoning) == ("I will count.", "count them")
    assert (response.input_tokens, response.output_tokens) == (3, 40)
    assert response.raw["signatures"] == ["c2ln"]
    assert last.finish_reason == "end_turn"


def test_a_turn_is_a_prompt_a_response_its_calls_their_results_and_the_answer() -> None:
    """The run begins with what was asked; a response without calls answers."""
    run = only_run(*STREAMED)
    assert kinds(run) == [
        "Started", "MessageReceived", "ModelResponded", "Reasoned", "ToolReturned", "Opaque", "ModelResponded",
        "Answered",
    ]  # fmt: skip
    (started,) = of(run, Started)
    assert (started.prompt, started.model, started.context["cwd"]) == ("how many files are there?", MODEL, "/srv/shop")
    (decision,) = of(run, Reasoned)
    assert (decision.thought, decision.args_json) == ("I will count.", '{"command":"ls | wc -l"}')
    (returned,) = of(run, ToolReturned)
    assert (returned.tool_name, returned.call_id, returned.response_json) == ("Bash", "t1", '"2"')
    assert returned.latency_ms == 12
    assert of(run, Answered) == [Answered(response="Two.")]


def test_parents_are_recorded_causes() -> None:
    """A `parentUuid` becomes a recorded link to the event that its record became."""
    run = only_run(*STREAMED)
    assert at(run, "a1").causes == (Link("u1"),)
    assert at(run, "a3.0").causes == (Link("a1"),)
    assert at(run, "u2.0").causes == (Link("a3.0"),)
    assert at(run, "a4").causes == (Link("u2.0"),)


def test_both_branches_of_a_retried_turn_hang_on_their_parent() -> None:
    """A rewound conversation has two children of one parent, and both stay."""
    run = only_run(
        user("u1", None, "first"),
        assistant("a1", "u1", "msg_1", said("one")),
        user("u2", "a1", "and then?"),
        user("u3", "a1", "no, what else?"),
    )
    assert at(run, "u2").causes == at(run, "u3").causes == (Link("a1"),)


def test_results_of_parallel_calls_go_to_their_own_calls() -> None:
    """Results come in any order, between the records of the response too."""
    run = only_run(
        user("u1", None, "both please"),
        assistant("a1", "u1", "msg_1", call("t1", "Read")),
        user("u2", "a1", result("t1", "first")),
        assistant("a2", "a1", "msg_1", call("t2", "Grep")),
        user("u3", "a2", result("t2", "no match", is_error=True)),
    )
    assert len(of(run, ModelResponded)) == 1
    assert [(event.tool_name, event.call_id) for event in of(run, ToolReturned)] == [("Read", "t1")]
    assert [(event.tool_name, event.message) for event in of(run, ToolFailed)] == [("Grep", "no match")]


def test_calls_without_an_id_are_answered_in_order() -> None:
    """Some versions wrote no ids."""
    run = only_run(
        user("u1", None, "go"),
        assistant("a1", "u1", "msg_1", {"type": "tool_use", "name": "LS", "input": {}}),
        user("u2", "a1", result(None, "a.txt")),
    )
    assert of(run, ToolReturned)[0].tool_name == "LS"


def test_a_failed_call_keeps_its_whole_message() -> None:
    """The error's text is the message, however long, and blocks come out as text."""
    trace = "Traceback\n" + "x" * 5000
    run = only_run(
        user("u1", None, "go"),
        assistant("a1", "u1", "msg_1", call("t1")),
        user("u2", "a1", result("t1", [said(trace)], is_error=True), toolDenialKind="user-rejected"),
    )
    assert of(run, ToolFailed)[0].message == trace
    assert of(run, ToolFailed)[0].error_code == "user-rejected"


@pytest.mark.parametrize("words", ["<command-name>/clear</command-name>", "<local-command-stdout>ok", "<bash-input>ls"])
def test_what_a_command_wrote_is_the_environment_speaking(words: str) -> None:
    """Commands and their output are no words of a person, and not what was asked."""
    run = only_run(user("u1", None, words), user("u2", "u1", "a question"))
    assert [(event.role, event.content) for event in of(run, MessageReceived)] == [
        ("environment", words),
        ("user", "a question"),
    ]
    assert of(run, Started)[0].prompt == "a question"


def test_a_reminder_beside_a_question_is_not_the_question() -> None:
    """What is put in beside a person's words stays in the message, and out of the prompt."""
    run = only_run(user("u1", None, [said("<system-reminder>be brief</system-reminder>"), said("what is new?")]))
    assert of(run, Started)[0].prompt == "what is new?"
    assert of(run, MessageReceived)[0].role == "user"
    assert len(of(run, MessageReceived)[0].content) == 2


def test_a_picture_alone_is_a_persons_message() -> None:
    """Not every question has words."""
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    assert of(only_run(user("u1", None, [picture])), MessageReceived) == [MessageReceived(content=[picture])]


def test_an_interruption_ends_the_turn_and_the_run_goes_on() -> None:
    """The person's interruption is an abort with its words."""
    words = "[Request interrupted by user]"
    run = only_run(user("u1", None, "go"), user("u2", "u1", [said(words)]), user("u3", "u2", "go on"))
    assert kinds(run)[2:] == ["MessageReceived", "Aborted", "MessageReceived"]
    assert of(run, Aborted) == [Aborted(reason=words)]


def test_words_put_in_the_models_place_are_no_response() -> None:
    """Records of the synthetic model count as no decision; an API error aborts."""
    failure = assistant("a1", "u1", "x", said("API Error: 529"), message={"model": "<synthetic>"})
    run = only_run(user("u1", None, "go"), {**failure, "isApiErrorMessage": True})
    assert kinds(run) == ["Started", "MessageReceived", "MessageReceived", "Aborted"]
    assert of(run, MessageReceived)[1].name == "claude-code"
    assert of(run, Started)[0].model is None


def test_a_compaction_carries_its_summary_and_its_logical_parent() -> None:
    """The boundary and the summary behind it are one compaction, caused by what came before it."""
    run = only_run(
        user("u1", None, "go"),
        record("system", "s1", None, subtype="compact_boundary", logicalParentUuid="u1"),
        user("u2", "s1", "So far: nothing.", isCompactSummary=True),
        user("u3", "u2", "go on"),
    )
    assert of(run, ContextCompacted) == [ContextCompacted(summary="So far: nothing.")]
    assert at(run, "s1").causes == (Link("u1"),)
    assert at(run, "u3").causes == (Link("s1"),)


def test_records_of_unknown_types_are_kept_whole() -> None:
    """Nothing is dropped: a record that means nothing to a run is shown raw."""
    unknown = {"type": "Weather report!", "sky": "blue"}
    run = only_run(user("u1", None, "go"), unknown, record("progress", "p1", "u1", data={"type": "hook_progress"}))
    assert of(run, Opaque)[0] == Opaque(name="claude_code.weather_report", data=unknown)
    assert at(run, "p1").causes == (Link("u1"),)


def test_a_longer_transcript_keeps_the_events_of_a_shorter_one() -> None:
    """Read up to any line between two responses, a file's events come first in the longer file, with the same keys."""
    records = (
        {"type": "summary", "summary": "older", "leafUuid": "z"},
        *STREAMED,
        {"type": "file-history-snapshot", "messageId": "u3", "snapshot": {}},
        user("u3", "a4", "thanks"),
        assistant("a5", "u3", "msg_3", said("Welcome.")),
    )
    whole = [draft.key for draft in only_run(*records)]
    for end in (1, 2, 5, 6, 7, 8, 9, 10):
        part = [draft.key for draft in only_run(*records[:end])]
        assert part == whole[: len(part)], end


@pytest.mark.skipif(not GROWN.is_dir(), reason="the folder of real trajectories is not there")
def test_a_real_session_that_grew_is_extended() -> None:
    """Two states of one session: the second adds to the first, and both again add nothing."""
    store = MemoryStore()
    states = [
        Source(name=f"turn-{turn}.jsonl", data=(GROWN / f"turn-{turn}.jsonl").read_bytes()) for turn in (1, 2, 1, 2)
    ]
    drafts = [draft for state in states for draft in claude_code.read(state)]
    prepared = [prepare(draft, format_name=claude_code.NAME, project=store.project) for draft in drafts]
    written = [write(each, store=store, now=datetime(2026, 3, 1, tzinfo=UTC)) for each in prepared]
    assert [each.status for each in written] == ["imported", "extended", "unchanged", "unchanged"]
    assert sum(each.revised for each in written) == 0
    decisions = [event for event in store.read_stream(written[0].stream) if event.type == "agent_run.model_responded"]
    assert len(decisions) == 6


def test_a_response_caught_while_it_streams_keeps_its_key() -> None:
    """The first block is an event already; the same event has the rest of the response later."""
    early, late = only_run(*STREAMED[:2]), only_run(*STREAMED)
    assert at(early, "a1").event != at(late, "a1").event
    assert [draft.key for draft in early] == [draft.key for draft in late][:3]


def test_a_session_is_named_by_its_file() -> None:
    """A resumed file begins with records of another session, and is a run of its own nevertheless."""
    run = only_run({**user("u1", None, "go"), "sessionId": "another"}, user("u2", "u1", "go on"))
    assert run.source_id == SESSION


def test_a_renamed_session_is_named_by_its_records() -> None:
    """Where the file's name is no id the session's own counts, and a fragment is told apart by where it begins."""
    assert only_run(*STREAMED, name="copy.jsonl").source_id == SESSION
    assert only_run(*STREAMED[4:], name="copy.jsonl").source_id == f"{SESSION}@u2"


def test_single_records_import() -> None:
    """A result without its call, or a snapshot alone, is a run of what is there."""
    run = only_run(user("u9", "gone", result("t9", "late")), name="one.jsonl")
    assert of(run, ToolReturned) == [ToolReturned(tool_name="", call_id="t9", response_json='"late"')]
    assert at(run, "u9.0").causes == ()
    lone = only_run({"type": "file-history-snapshot", "messageId": "m1", "snapshot": {}}, name="one.jsonl")
    assert (lone.source_id, kinds(lone)) == ("m1", ["Started", "Opaque"])


TASK = {"subagent_type": "Explore", "prompt": "look around", "description": "look"}
PARENT = (
    user("u1", None, "explore"),
    assistant("a1", "u1", "msg_1", call("t1", "Task", **TASK)),
    user("u2", "a1", result("t1", "all seen"), toolUseResult={"agentId": "c0ffee", "status": "completed"}),
)
CHILD = (
    user("c1", None, "look around", isSidechain=True, agentId="c0ffee"),
    assistant("c2", "c1", "msg_c", said("all seen"), isSidechain=True, agentId="c0ffee"),
)


def test_work_for_a_sub_agent_is_handed_off_and_names_the_childs_run() -> None:
    """The call is a decision like any other, and a hand-off besides."""
    run = only_run(*PARENT)
    assert of(run, HandedOff) == [
        HandedOff(to_agent="Explore", child_run=f"{SESSION}/c0ffee", instruction="look around")
    ]
    assert len(of(run, Reasoned)) == 1


@pytest.mark.parametrize("place", [f"../../{SESSION}.jsonl", f"{SESSION}.jsonl"])
def test_a_sub_agents_file_finds_the_call_that_started_it(place: str) -> None:
    """By the id in the result, in a file beside it or two folders up."""
    child = only_run(*CHILD, name=f"{SESSION}/subagents/agent-c0ffee.jsonl", beside={place: lines(*PARENT)})
    assert child.source_id == f"{SESSION}/c0ffee"
    assert child.parent == (SESSION, "a1.0.handoff")
    assert of(child, Started)[0].agent == "Explore"
    assert child.correlation == only_run(*PARENT).correlation


def test_a_sub_agent_in_an_archive_finds_its_session_two_folders_up() -> None:
    """What came in one upload or zip is beside each other, folders and all."""
    name = f"logs/{SESSION}/subagents/agent-c0ffee.jsonl"
    found = {item.name: item for item in from_memory({name: lines(*CHILD), f"logs/{SESSION}.jsonl": lines(*PARENT)})}
    (child,) = claude_code.read(found[name].source())
    assert child.parent == (SESSION, "a1.0.handoff")


def test_a_sub_agent_at_work_is_found_by_its_prompt() -> None:
    """Before there is a result, one call with the same prompt is the one."""
    beside = {f"{SESSION}.jsonl": lines(*PARENT[:2])}
    assert only_run(*CHILD, name="agent-c0ffee.jsonl", beside=beside).parent == (SESSION, "a1.0.handoff")
    twice = {f"{SESSION}.jsonl": lines(*PARENT[:2], assistant("a9", "a1", "msg_9", call("t9", "Task", **TASK)))}
    assert only_run(*CHILD, name="agent-c0ffee.jsonl", beside=twice).parent == (SESSION, None)


def test_a_sub_agents_file_alone_still_knows_whose_it_is() -> None:
    """Without the session's file the run is known, the event is not."""
    assert only_run(*CHILD, name="agent-c0ffee.jsonl").parent == (SESSION, None)


def test_sidechains_in_the_sessions_file_are_runs_of_their_own() -> None:
    """The old way: the sub-agent's records stand between the call and its result."""
    old = [{name: value for name, value in item.items() if name != "agentId"} for item in CHILD]
    main, child = claude_code.read(source(*PARENT[:2], *old, user("u2", "a1", result("t1", "all seen"))))
    assert main.source_id == SESSION
    assert "c1" not in [draft.key for draft in main]
    assert (child.source_id, child.parent) == (f"{SESSION}/c1", (SESSION, "a1.0.handoff"))
    assert kinds(child) == ["Started", "MessageReceived", "ModelResponded", "Answered"]
    assert of(main, HandedOff)[0].child_run == child.source_id


def test_parallel_sidechains_are_told_apart_by_their_prompts() -> None:
    """Two calls, two sidechains, whatever order they start in."""
    first, second = {"subagent_type": "A", "prompt": "one"}, {"subagent_type": "B", "prompt": "two"}
    runs = list(
        claude_code.read(
            source(
                user("u1", None, "both"),
                assistant("a1", "u1", "msg_1", call("t1", "Task", **first), call("t2", "Task", **second)),
                user("c2", None, "two", isSidechain=True),
                user("c1", None, "one", isSidechain=True),
            )
        )
    )
    assert [(run.source_id, run.parent) for run in runs[1:]] == [
        (f"{SESSION}/c2", (SESSION, "a1.1.handoff")),
        (f"{SESSION}/c1", (SESSION, "a1.0.handoff")),
    ]


def test_a_sidechain_no_call_can_have_started_stays_in_the_files_run() -> None:
    """A file with nothing but a sidechain is one run."""
    assert only_run(*CHILD).source_id == SESSION


def test_a_line_that_is_no_record_is_noted_and_left_out() -> None:
    """A bad line costs itself only."""
    broken = source(user("u1", None, "go"), '{"type":"user","uu', "7", user("u2", "u1", "go on"))
    (run,) = claude_code.read(broken)
    assert len(of(run, MessageReceived)) == 2
    assert [problem.line for problem in broken.problems] == [2, 3]


@pytest.mark.parametrize(
    "junk",
    [
        {"message": None},
        {"message": {"content": [None, 3, {"type": []}], "usage": "none"}},
        {"message": {"content": [{"type": "tool_use", "name": {}, "id": 7, "input": None}]}},
        {"message": {"content": [{"type": "tool_result", "tool_use_id": [], "content": {"odd": 1}}]}},
        {"timestamp": "yesterday", "parentUuid": 4, "toolUseResult": [1]},
        {"uuid": None, "sessionId": 5, "isSidechain": "yes"},
    ],
)
@pytest.mark.parametrize("kind", ["user", "assistant", "system"])
def test_fields_of_unexpected_types_count_as_absent(kind: str, junk: dict[str, Any]) -> None:
    """Odd records become events all the same."""
    run = only_run(user("u1", None, "go"), {**record(kind, "x1", "u1"), **junk})
    assert len(kinds(run)) >= 3


def test_detection_takes_sessions_and_single_records_only() -> None:
    """The envelope tells; other tools' lines do not have it."""
    assert claude_code.detect(source(*STREAMED))
    assert claude_code.detect(source({"type": "summary", "summary": "x", "leafUuid": "y"}))
    others: list[Any] = [
        {"type": "session", "id": "x", "cwd": "/"},
        {"timestamp": "t", "type": "response_item", "payload": {}},
        {"role": "user", "content": "hi"},
        {"type": "user", "message": "hi"},
        ["user"],
    ]
    for other in others:
        assert not claude_code.detect(source(other)), other
    assert not claude_code.detect(Source(name="x.jsonl", data=b"\xff\xfe\x00"))

"""Codex CLI rollouts: one truth of two interleaved logs, and usage that is counted once."""

from __future__ import annotations

import json
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
from journal.ingest import codex_cli
from journal.ingest.counts import reported
from journal.ingest.draft import EventDraft, Link, Opaque, RunDraft
from journal.ingest.source import Source

THREAD = "0199aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee"


def line(kind: str, **payload: Any) -> dict[str, Any]:
    """Return a line of a rollout."""
    return {"timestamp": "2026-05-12T10:00:00.000Z", "type": kind, "payload": payload}


def item(kind: str, **rest: Any) -> dict[str, Any]:
    """Return a line of what the model was sent or made."""
    return line("response_item", type=kind, **rest)


def shown(kind: str, **rest: Any) -> dict[str, Any]:
    """Return a line of what the screen showed."""
    return line("event_msg", type=kind, **rest)


def user(words: str, role: str = "user") -> dict[str, Any]:
    """Return a message to the model."""
    return item("message", role=role, content=[{"type": "input_text", "text": words}])


def assistant(words: str, **rest: Any) -> dict[str, Any]:
    """Return a message of the model."""
    return item("message", role="assistant", content=[{"type": "output_text", "text": words}], **rest)


def call(call_id: str, name: str = "exec_command", arguments: str = '{"cmd": "ls"}') -> dict[str, Any]:
    """Return a call."""
    return item("function_call", name=name, arguments=arguments, call_id=call_id)


def output(call_id: str, said: Any) -> dict[str, Any]:
    """Return what a call came to."""
    return item("function_call_output", call_id=call_id, output=said)


def usage(total: int, last: int) -> dict[str, Any]:
    """Return a token count: the running total, and that of the last response."""
    counts = [{"input_tokens": n, "cached_input_tokens": 1, "output_tokens": 2} for n in (total, last)]
    return shown("token_count", info={"total_token_usage": counts[0], "last_token_usage": counts[1]})


HEAD = line("session_meta", id=THREAD, cwd="/srv/shop", cli_version="0.129.0", base_instructions={"text": "You code."})
CONTEXT = line("turn_context", model="gpt-test", approval_policy="never")


def source(*records: Any, name: str = f"rollout-2026-{THREAD}.jsonl", beside: dict[str, bytes] | None = None) -> Source:
    """Return a rollout file."""
    files = beside or {}
    return Source(name=name, data=lines(*records), sibling=files.get, siblings=lambda: list(files))


def lines(*records: Any) -> bytes:
    """Return records as JSON Lines; text goes in as it is."""
    return b"\n".join((item if isinstance(item, str) else json.dumps(item)).encode() for item in records) + b"\n"


def run_of(*records: Any, **rest: Any) -> RunDraft:
    """Read a rollout."""
    (run,) = codex_cli.read(source(*records, **rest))
    return run


def of(run: RunDraft, kind: type) -> list[Any]:
    """Return a run's events of one type."""
    return [draft.event for draft in run if isinstance(draft.event, kind)]


def at(run: RunDraft, key: str) -> EventDraft:
    """Return the event with a key."""
    return next(draft for draft in run if draft.key == key)


def tokens(run: RunDraft) -> tuple[Any, Any]:
    """Return the input and output tokens an import reports."""
    report = reported(run, run.events)
    return report["input_tokens"], report["output_tokens"]


TURN = (
    HEAD,
    CONTEXT,
    user("<environment_context>\n<cwd>/srv/shop</cwd>"),
    user("list the files"),
    shown("user_message", message="list the files"),
    item("reasoning", summary=[{"type": "summary_text", "text": "look first"}], encrypted_content="x"),
    shown("agent_message", message="Looking."),
    assistant("Looking.", phase="commentary"),
    call("c1"),
    usage(10, 10),
    output("c1", "Chunk ID: 1\nWall time: 0.5000 seconds\nProcess exited with code 0\nOutput:\na.txt\n"),
    assistant("One file: a.txt", phase="final_answer"),
    usage(25, 15),
    shown("task_complete", last_agent_message="One file: a.txt"),
)


def test_a_response_is_everything_the_model_made_between_what_it_was_given() -> None:
    """Reasoning, message and call are one decision, with the usage counted after it."""
    first, second = of(run_of(*TURN), ModelResponded)
    assert (first.content, first.reasoning) == ("Looking.", "look first")
    assert (first.input_tokens, first.output_tokens, first.cached_tokens) == (10, 2, 1)
    assert (second.content, second.input_tokens) == ("One file: a.txt", 15)
    assert first.raw["model"] == "gpt-test"


def test_the_start_tells_what_was_asked_and_where() -> None:
    """The first message of a person is the prompt, not what Codex puts in front; the model stands in the turn."""
    run = run_of(*TURN)
    (started,) = of(run, Started)
    assert (started.prompt, started.model, started.source_id) == ("list the files", "gpt-test", THREAD)
    assert started.context["cwd"] == "/srv/shop"
    assert [event.role for event in of(run, MessageReceived)] == ["system", "environment", "user"]


def test_the_screens_log_repeats_nothing() -> None:
    """What `event_msg` says again is kept raw, and makes no second message or answer."""
    run = run_of(*TURN)
    assert of(run, Answered) == [Answered(response="One file: a.txt")]
    names = [event.name for event in of(run, Opaque)]
    assert {"codex_cli.user_message", "codex_cli.agent_message", "codex_cli.task_complete"} <= set(names)


def test_arguments_are_the_models_own_text() -> None:
    """JSON that the model wrote stays as written, spaces and mistakes included; free text is wrapped."""
    broken = call("c2", arguments='{"cmd": ')
    patch = item("custom_tool_call", name="apply_patch", input="*** Begin Patch", call_id="c3", status="completed")
    decisions = of(run_of(*TURN, user("more"), broken, patch), Reasoned)
    assert [event.args_json for event in decisions] == [
        '{"cmd": "ls"}', '{"cmd": ', '{"input":"*** Begin Patch"}',
    ]  # fmt: skip
    assert decisions[0].thought == "Looking."


@pytest.mark.parametrize(
    ("said", "code", "latency_ms"),
    [
        ("Wall time: 0.2500 seconds\nProcess exited with code 2\nOutput:\nno", "2", 250),
        ("Exit code: 1\nWall time: 3 seconds\nOutput:\nno", "1", 3000),
        ('{"output":"no","metadata":{"exit_code":127,"duration_seconds":0.1}}', "127", 100),
    ],
)
def test_a_positive_exit_code_is_a_failure(said: str, code: str, latency_ms: float) -> None:
    """Each generation writes it elsewhere; the whole output is the message."""
    (failure,) = of(run_of(HEAD, user("go"), call("c1"), output("c1", said)), ToolFailed)
    assert (failure.tool_name, failure.error_code, failure.message) == ("exec_command", code, said)
    assert failure.latency_ms == pytest.approx(latency_ms)


@pytest.mark.parametrize(
    "said",
    [
        "Process running with session ID 7\nOutput:\n",
        "Output:\nProcess exited with code 3",
        [{"type": "input_text", "text": "fine"}],
        '{"metadata":{"exit_code":1}}',
    ],
)
def test_an_output_without_an_exit_code_of_its_own_is_a_result(said: Any) -> None:
    """A code that stands in the program's output says nothing about the call."""
    run = run_of(HEAD, user("go"), call("c1"), output("c1", said))
    assert json.loads(of(run, ToolReturned)[0].response_json) == said


def test_later_news_of_a_call_is_linked_to_it() -> None:
    """The end of a command that ran on comes as a line of the screen's log."""
    end = shown("exec_command_end", call_id="c1", exit_code=0)
    run = run_of(HEAD, user("go"), call("c1"), output("c1", "Process running with session ID 7"), end)
    assert at(run, "line 5").causes == (Link("line 3"),)


def test_usage_is_summed_over_the_responses_and_repeats_are_dropped() -> None:
    """The running total may start anew after a resume; a count with an unchanged total comes from a redraw."""
    again = (user("more"), assistant("More."), usage(15, 15), usage(15, 15))
    assert tokens(run_of(*TURN, *again)) == (40, 6)


def test_usage_that_belongs_to_no_response_counts_for_the_run() -> None:
    """A file with token counts and no responses reports their sum, and one without reports null."""
    assert tokens(run_of(HEAD, usage(7, 7))) == (7, 2)
    assert tokens(run_of(HEAD, user("hi"), assistant("hello"))) == (None, None)


def test_a_search_on_the_providers_side_is_a_call_with_its_own_result() -> None:
    """It has no output line, only a status."""
    search = item("web_search_call", status="completed", action={"type": "search", "query": "weather"})
    run = run_of(HEAD, user("go"), search)
    assert [event.tool_name for event in of(run, Reasoned)] == ["web_search"]
    assert of(run, ToolReturned)[0].response_json == '{"status":"completed"}'


def test_an_aborted_turn_is_an_abort() -> None:
    """So is one that completes with an error."""
    run = run_of(HEAD, user("go"), shown("turn_aborted", reason="interrupted"))
    assert of(run, Aborted) == [Aborted(reason="interrupted")]
    run = run_of(HEAD, user("go"), shown("task_complete", error={"message": "quota"}))
    assert of(run, Aborted) == [Aborted(reason="quota")]


def test_an_answer_that_only_the_end_of_the_turn_tells_is_taken_from_there() -> None:
    """`last_agent_message` counts where no message of the model ended the turn."""
    run = run_of(
        HEAD, user("go"), assistant("almost", phase="commentary"), shown("task_complete", last_agent_message="x")
    )
    assert of(run, Answered) == [Answered(response="x")]


def test_a_compaction_is_recorded_with_its_summary() -> None:
    """What stands in the model's context from then on is kept beside it."""
    run = run_of(HEAD, user("go"), line("compacted", message="so far", replacement_history=[]))
    assert of(run, ContextCompacted) == [ContextCompacted(summary="so far")]
    assert at(run, "line 3.record").causes == (Link("line 3"),)


SPAWN = call("s1", "spawn_agent", '{"agent_type":"worker","message":"count"}')
CHILD = "0199aaaa-0000-7000-8000-000000000001"


def test_a_spawned_thread_finds_the_call_in_its_parents_rollout() -> None:
    """The result of the call names the thread."""
    parent = (HEAD, user("go"), SPAWN, output("s1", json.dumps({"agent_id": CHILD})))
    handed = of(run_of(*parent), HandedOff)
    assert handed == [HandedOff(to_agent="worker", child_run=CHILD, instruction="count")]
    meta = line("session_meta", id=CHILD, source={"subagent": {"thread_spawn": {"parent_thread_id": THREAD}}})
    child = run_of(meta, user("count"), beside={f"rollout-2026-{THREAD}.jsonl": lines(*parent)})
    assert child.parent == (THREAD, "line 3.handoff")
    assert run_of(meta, user("count")).parent == (THREAD, None)


def test_a_forks_copy_of_its_parents_head_is_not_its_own() -> None:
    """The first head counts; the next is kept raw."""
    run = run_of(HEAD, line("session_meta", id="other"), user("go"))
    assert run.source_id == THREAD
    assert [event.name for event in of(run, Opaque)] == ["codex_cli.session_meta"] * 2


def test_a_flat_file_of_2025_reads_like_a_new_one() -> None:
    """Head and items without an envelope."""
    head = {"id": THREAD, "timestamp": "2025-06-01T00:00:00Z", "instructions": "You code."}
    asked, made = user("hi")["payload"], assistant("hello")["payload"]
    flat = source(head, {"record_type": "state"}, asked, made)
    assert codex_cli.detect(flat)
    (run,) = codex_cli.read(flat)
    assert (run.source_id, len(of(run, ModelResponded))) == (THREAD, 1)
    assert of(run, MessageReceived)[0] == MessageReceived(role="system", content="You code.")


def test_a_longer_rollout_keeps_the_events_of_a_shorter_one() -> None:
    """Read up to any line, the events come first in the longer file, with the same keys."""
    records = (*TURN, user("more"), call("c2"), output("c2", "x"), assistant("Done."), usage(40, 15))
    whole = [draft.key for draft in run_of(*records)]
    for end in range(1, len(records)):
        part = [draft.key for draft in run_of(*records[:end])]
        assert part == whole[: len(part)], end


@pytest.mark.parametrize(
    "junk",
    [
        {"type": "response_item", "payload": {"type": "message", "role": "assistant", "content": 5}},
        {
            "type": "response_item",
            "payload": {"type": "function_call", "name": [], "arguments": {"a": 1}, "call_id": 4},
        },
        {"type": "response_item", "payload": {"type": "function_call_output", "output": None}},
        {
            "type": "event_msg",
            "payload": {"type": "token_count", "info": {"last_token_usage": {"input_tokens": "many"}}},
        },
        {"type": "session_meta", "payload": {"id": 3, "source": [], "dynamic_tools": {"type": "x"}}},
        {"type": [], "payload": "text", "timestamp": {}},
        {},
    ],
)
def test_fields_of_unexpected_types_count_as_absent(junk: dict[str, Any]) -> None:
    """Odd lines become events all the same."""
    assert len(list(run_of(junk, *TURN, junk))) > len(TURN)


def test_detection_asks_for_the_envelope() -> None:
    """Type and payload of Codex; nobody else's lines."""
    assert codex_cli.detect(source(*TURN))
    others: list[Any] = [
        {"type": "session", "id": "x", "cwd": "/"},
        {"type": "user", "message": {}},
        {"payload": {}},
        [1],
    ]
    for other in others:
        assert not codex_cli.detect(source(other)), other
    assert not codex_cli.detect(Source(name="x.jsonl", data=b"not json"))

"""Inspect logs: both containers, the events of a sample, and logs that are not finished."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from journal.domain.agent_run import (
    Aborted,
    Answered,
    Graded,
    MemoryWritten,
    MessageReceived,
    ModelCalled,
    ModelResponded,
    Reasoned,
    Started,
    ToolFailed,
    ToolReturned,
)
from journal.errors import ImportRefused
from journal.ingest import inspect_ai
from journal.ingest.counts import reported
from journal.ingest.draft import EventDraft, Opaque, Ref, RunDraft
from journal.ingest.source import Source
from tests.zips import zipped, zstd_zipped

HEADER = {
    "version": 2,
    "status": "success",
    "eval": {"run_id": "r1", "task": "locks", "model": "maker/model-x"},
    "plan": {},
}


def event(kind: str, second: int, **more: Any) -> dict[str, Any]:
    """Return an event of a sample's transcript."""
    return {"event": kind, "timestamp": f"2025-05-12T20:27:{second:02}-04:00", **more}


def model(
    second: int, sent: list[dict[str, Any]], content: str, *calls: dict[str, Any], identity: str
) -> dict[str, Any]:
    """Return a model event with its usage."""
    message = {"id": identity, "role": "assistant", "content": content, "tool_calls": list(calls)}
    choices = [{"message": message, "stop_reason": "stop"}]
    usage = {"input_tokens": 10, "output_tokens": 2, "input_tokens_cache_read": 4}
    return event(
        "model",
        second,
        model="maker/model-x",
        input=sent,
        config={"temperature": 0},
        tools=[{"name": "open"}],
        output={"choices": choices, "usage": usage, "time": 0.5},
    )


QUESTION = {"id": "u1", "role": "user", "content": "attachment://abc"}
CALL = {"id": "c1", "function": "open", "arguments": {"lock": 1}}
CALLED = {"id": "a1", "role": "assistant", "content": "", "tool_calls": [CALL]}
RESULT = {"id": "t1", "role": "tool", "tool_call_id": "c1", "content": "it is open"}


def a_sample(**changes: Any) -> dict[str, Any]:
    """Return a sample that opens a lock and is scored by a model."""
    return {
        "id": 1,
        "epoch": 2,
        "input": "Open lock 1.",
        "target": "open",
        "attachments": {"abc": "Open lock 1."},
        "events": [
            event("sample_init", 1, state={"messages": [QUESTION]}),
            model(2, [QUESTION], "", CALL, identity="a1"),
            event("span_begin", 3, type="tool", name="open", id="s1"),
            event(
                "tool",
                3,
                id="c1",
                function="open",
                arguments={"lock": 1},
                result="it is open",
                working_time=2,
                completed="2025-05-12T20:27:05-04:00",
            ),
            event("store", 4, changes=[{"op": "add", "path": "/locks/1", "value": "open"}]),
            event("span_end", 5, id="s1"),
            model(6, [QUESTION, CALLED, RESULT], "It is open.", identity="a2"),
            event("span_begin", 7, type="scorer", name="judge", id="s2"),
            model(8, [{"role": "user", "content": "Is it open?"}], "GRADE: C", identity="g1"),
            event("score", 9, score={"value": "C", "explanation": "It is."}),
        ],
        "scores": {"judge": {"value": "C", "explanation": "It is."}},
        **changes,
    }


def source(*samples: object, status: str = "success") -> Source:
    """Return a `.json` log."""
    log = {**HEADER, "status": status, "samples": list(samples)}
    return Source(name="log.json", data=json.dumps(log).encode())


def runs(file: Source) -> list[RunDraft]:
    """Return the drafts of a log."""
    return list(inspect_ai.read(file))


def read(sample: object) -> RunDraft:
    """Return the draft of one sample."""
    return runs(source(sample))[0]


def by_key(run: RunDraft) -> dict[str, EventDraft]:
    """Return the events by their keys."""
    return {draft.key: draft for draft in run}


def packed(
    *samples: dict[str, Any], header: bool = True, zstd: bool = False, more: dict[str, object] | None = None
) -> Source:
    """Return an `.eval` log."""
    files: dict[str, object] = {"_journal/start.json": {key: HEADER[key] for key in ("version", "eval", "plan")}}
    files |= {f"samples/{sample['id']}_epoch_{sample['epoch']}.json": sample for sample in samples} | (more or {})
    if header:
        files["header.json"] = HEADER
    content = {name: json.dumps(value).encode() for name, value in files.items()}
    return Source(name="log.eval", data=zstd_zipped(content) if zstd else zipped(content))


def test_a_sample_becomes_its_events_in_the_order_they_were_known() -> None:
    """A tool's result comes after what happened inside the tool, at the time it was complete."""
    run = read(a_sample())
    assert [draft.key for draft in run] == [
        "start",
        "e0.m0",
        "e0.raw",
        "e1.call",
        "e1",
        "e1.call0",
        "e2.raw",
        "e4.0",
        "e5.raw",
        "e3",
        "e6.call",
        "e6",
        "e6.answer",
        "e7.raw",
        "e8.in.m0",
        "e8.call",
        "e8",
        "e9",
    ]
    found = by_key(run)
    assert found["e3"].at == datetime(2025, 5, 13, 0, 27, 5, tzinfo=UTC)
    assert found["e3"].event == ToolReturned(
        tool_name="open", call_id="c1", response_json='"it is open"', latency_ms=2000.0
    )
    assert found["e4.0"].event == MemoryWritten(key="/locks/1", value="open")
    assert found["e1.call0"].event == Reasoned(tool_name="open", args_json='{"lock":1}', call_id="c1")


def test_a_request_refers_to_what_the_run_already_has() -> None:
    """The repeated conversation is references; parameters come with it, the tools where they change."""
    found = by_key(read(a_sample()))
    first, second = found["e1.call"].event, found["e6.call"].event
    assert isinstance(first, ModelCalled)
    assert isinstance(second, ModelCalled)
    assert second.messages == (Ref("e0.m0"), Ref("e1"), Ref("e3"))
    assert first.params == {"config": {"temperature": 0}, "tools": [{"name": "open"}]}
    assert second.params == {"config": {"temperature": 0}}


def test_attachments_are_put_back() -> None:
    """A long text stands where the log has a reference; an unknown reference stays."""
    assert by_key(read(a_sample()))["e0.m0"].event == MessageReceived(role="user", content="Open lock 1.")
    assert by_key(read(a_sample(attachments={})))["e0.m0"].event == MessageReceived(
        role="user", content="attachment://abc"
    )


def test_newer_logs_keep_the_messages_in_a_pool() -> None:
    """`input_refs` are ranges of the pool, or single places."""
    pooled = model(2, [], "Yes.", identity="a1") | {"input_refs": [[0, 1], 1, [0, 10**9], ["x"]]}
    second = {"id": "u2", "role": "user", "content": "Well?"}
    run = read(a_sample(events=[pooled], events_data={"messages": [QUESTION, second]}))
    said = [draft.event.content for draft in run if isinstance(draft.event, MessageReceived)]
    assert said == ["Open lock 1.", "Well?"]


def test_a_scorers_model_is_not_the_agent() -> None:
    """Its response counts as a decision, as the log's own usage does, but has another actor and is no answer."""
    run = read(a_sample())
    assert [(draft.key, draft.actor) for draft in run if isinstance(draft.event, ModelResponded)] == [
        ("e1", None),
        ("e6", None),
        ("e8", "scorer:judge"),
    ]
    assert [draft.event.response for draft in run if isinstance(draft.event, Answered)] == ["It is open."]
    assert reported(run, run.events) == {
        "decisions": 3,
        "tool_calls": 1,
        "tool_errors": 0,
        "input_tokens": 30,
        "output_tokens": 6,
        "cost_usd": None,
    }


@pytest.mark.parametrize(
    ("value", "verdict", "score", "status"),
    [
        ("C", "holds", None, "success"),
        ("I", "fails", None, "failure"),
        (1.0, "holds", 1.0, "success"),
        (0, "fails", 0.0, "failure"),
        (0.4, None, 0.4, "unknown"),
        (True, "holds", None, "success"),
        ({"deep": 1}, None, None, "unknown"),
    ],
)
def test_a_score_is_a_verdict_and_the_outcome(
    value: object, verdict: str | None, score: float | None, status: str
) -> None:
    """Letters and booleans are verdicts, numbers scores; the file's own labels are kept."""
    run = read(a_sample(events=[], scores={"judge": {"value": value}}))
    grade = next(draft.event for draft in run if isinstance(draft.event, Graded))
    assert (grade.rule, grade.verdict, grade.score) == ("judge", verdict, score)
    assert (run.outcome.status, run.outcome.raw) == (status, {"status": "success", "scores": {"judge": value}})


def test_each_score_is_graded_once() -> None:
    """What the transcript told when it happened is not told again at the end."""
    grades = [
        draft.key for draft in read(a_sample(scores={"judge": "C", "length": 7})) if isinstance(draft.event, Graded)
    ]
    assert grades == ["e9", "grade.length"]


def test_a_tool_error_is_a_failed_call() -> None:
    """Type and message come from the event; a call that no response made is taken from the tool's own record."""
    failed = event("tool", 3, id="c9", function="open", arguments={}, error={"type": "timeout", "message": "too slow"})
    run = read(a_sample(events=[failed]))
    found = [draft.event for draft in run if isinstance(draft.event, (Reasoned, ToolFailed))]
    assert found == [
        Reasoned(tool_name="open", call_id="c9"),
        ToolFailed(tool_name="open", call_id="c9", error_code="timeout", message="too slow"),
    ]


def test_a_crash_and_a_limit_end_the_run() -> None:
    """The reason is the log's own."""
    crashed = read(a_sample(error={"message": "out of memory"}))
    assert crashed.outcome.status == "error"
    limited = read(a_sample(events=[event("sample_limit", 3, type="token", message="100 tokens used")]))
    reasons = [draft.event.reason for run in (crashed, limited) for draft in run if isinstance(draft.event, Aborted)]
    assert reasons == ["out of memory", "100 tokens used"]


def test_a_sample_without_events_is_read_from_its_messages() -> None:
    """The conversation and the sample's own totals are there even then."""
    usage = {"maker/model-x": {"input_tokens": 7, "output_tokens": 3}}
    run = read(a_sample(events=[], messages=[QUESTION, CALLED, RESULT], model_usage=usage))
    assert [type(draft.event) for draft in run] == [
        Started,
        MessageReceived,
        ModelResponded,
        Reasoned,
        ToolReturned,
        Answered,
        Graded,
        Opaque,
    ]
    numbers = reported(run, run.events)
    assert (numbers["input_tokens"], numbers["output_tokens"]) == (7, 3)


@pytest.mark.parametrize("zstd", [False, True])
def test_an_eval_is_read_like_the_json(zstd: bool) -> None:  # noqa: FBT001
    """The container makes no difference, nor how it is packed."""
    file = packed(a_sample(), zstd=zstd)
    assert inspect_ai.detect(file)
    (run,) = runs(file)
    assert run.source_id == read(a_sample()).source_id == "r1/1_epoch_2"
    assert list(run) == list(read(a_sample()))


def test_an_eval_that_is_still_written_has_the_samples_so_far() -> None:
    """Without a header the journal's start tells the setting; a sample without scores is running."""
    (run,) = runs(packed(a_sample(scores={}), header=False))
    assert (run.source_id, run.outcome.status) == ("r1/1_epoch_2", "running")


def test_an_eval_with_only_a_journal_gives_what_its_summaries_say() -> None:
    """A summary is a run of its own name, since the whole sample may still come."""
    summary = {"id": 7, "epoch": 1, "input": "Open lock 7.", "scores": {"judge": {"value": "I"}}}
    file = packed(header=False, more={"_journal/summaries/1.json": [summary]})
    (run,) = runs(file)
    assert (run.source_id, run.outcome.status) == ("r1/7_epoch_1/summary", "failure")
    assert set(reported(run, run.events).values()) == {None}
    assert [type(draft.event) for draft in run] == [Started, MessageReceived, Opaque, Graded]


def test_an_eval_without_a_finished_sample_says_so() -> None:
    """There is no run yet, and the way out is to come again."""
    file = packed(header=False)
    assert runs(file) == []
    assert "has not finished a sample yet" in str(file.problems[0])


def test_one_damaged_sample_costs_only_itself() -> None:
    """It is noted with its entry's name."""
    content = {
        "header.json": json.dumps(HEADER).encode(),
        "samples/1_epoch_1.json": b'{"id": ',
        "samples/1_epoch_2.json": json.dumps(a_sample()).encode(),
    }
    file = Source(name="log.eval", data=zipped(content))
    assert [run.source_id for run in runs(file)] == ["r1/1_epoch_2"]
    assert "samples/1_epoch_1.json" in str(file.problems[0])


def test_a_zip_that_is_no_log_is_refused() -> None:
    """The reason names what is missing."""
    with pytest.raises(ImportRefused, match=r"neither header\.json nor _journal/start\.json"):
        runs(Source(name="log.eval", data=zipped({"a.json": b"{}"})))


def test_a_longer_transcript_begins_with_the_same_events() -> None:
    """Keys and events of a prefix stay as they are."""
    sample = a_sample(scores={})
    part = list(read({**sample, "events": sample["events"][:7]}))
    assert list(read(sample))[: len(part)] == part


@pytest.mark.parametrize(
    "data", [b"", b"junk", b"[]", b'{"eval": 3, "plan": 4}', b"PK\x03\x04", b'{"eval": {"task": "x"}}']
)
def test_other_files_are_not_claimed(data: bytes) -> None:
    """Detection looks at what the document has, and never raises."""
    assert not inspect_ai.detect(Source(name="a.json", data=data))


@pytest.mark.parametrize("sample", [{}, {"events": [3, {}, {"event": 7}, {"event": "model"}, {"event": "tool"}]}])
def test_an_odd_sample_is_still_a_run(sample: dict[str, Any]) -> None:
    """Missing and mistyped fields never raise."""
    assert isinstance(next(iter(read(sample))).event, Started)

"""OTLP/JSON files: detection, lines, siblings, junk."""

from __future__ import annotations

import json
from typing import Any

import pytest

from journal.domain.agent_run import Answered
from journal.errors import ImportRefused
from journal.ingest import otlp
from journal.ingest.counts import reported
from journal.ingest.draft import RunDraft
from journal.ingest.source import Source

TRACE = "0af7651916cd43dd8448eb211c80319c"


def pairs(attributes: dict[str, str]) -> list[dict[str, Any]]:
    """Write attributes as OTLP does."""
    return [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]


def chat(number: int, said: str | None = None) -> dict[str, Any]:
    """A model call, which said something or was not captured."""
    content = {"gen_ai.operation.name": "chat"}
    if said is not None:
        content["gen_ai.output.messages"] = json.dumps(
            [{"role": "assistant", "parts": [{"type": "text", "content": said}]}]
        )
    return {
        "traceId": TRACE, "spanId": f"{number:016x}", "name": "chat", "startTimeUnixNano": f"{number}000000000",
        "endTimeUnixNano": f"{number}500000000", "attributes": pairs(content),
    }  # fmt: skip


def traces(*spans: dict[str, Any]) -> dict[str, Any]:
    """Wrap spans in an export request."""
    return {"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]}


def logs(number: int, said: str) -> dict[str, Any]:
    """An export request with what a model call said, on a log record."""
    messages = json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": said}]}])
    record = {
        "traceId": TRACE, "spanId": f"{number:016x}", "eventName": "gen_ai.client.inference.operation.details",
        "attributes": pairs({"gen_ai.output.messages": messages}),
    }  # fmt: skip
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}


def source(*documents: Any, name: str = "traces.json", siblings: dict[str, bytes] | None = None) -> Source:
    """A file of these requests, one a line, with the files beside it."""
    files = siblings or {}
    data = b"\n".join(json.dumps(document).encode() for document in documents)
    return Source(name=name, data=data, sibling=files.get, siblings=lambda: [name, *files])


def read(given: Source) -> list[RunDraft]:
    """Read the runs of a file that is recognised."""
    assert otlp.detect(given)
    return list(otlp.read(given))


def answers(drafts: list[RunDraft]) -> list[Any]:
    """The answers of all runs."""
    return [draft.event.response for one in drafts for draft in one if isinstance(draft.event, Answered)]


def test_one_request_and_lines_of_them_are_the_same_run() -> None:
    """A file may hold one export request or one a line; a line tells where its spans stood."""
    (whole,), (lined,) = (
        read(source(traces(chat(1, "a"), chat(3, "b")))),
        read(source(traces(chat(1, "a")), traces(chat(3, "b")))),
    )
    assert [draft.key for draft in whole] == [draft.key for draft in lined]
    assert {draft.line for draft in lined} == {1, 2}
    assert answers([lined]) == ["a", "b"]


def test_a_pretty_printed_request_is_recognised() -> None:
    """Detection does not rely on lines."""
    assert otlp.detect(Source(name="x.json", data=json.dumps(traces(chat(1)), indent=1).encode()))


@pytest.mark.parametrize("name", ["logs.json", "traces.logs.json"])
def test_log_records_of_a_sibling_file_are_joined(name: str) -> None:
    """Content that went to log records is found in the file beside the traces."""
    data = json.dumps(logs(1, "from the log")).encode()
    assert answers(read(source(traces(chat(1)), siblings={name: data}))) == ["from the log"]


def test_the_sibling_with_the_log_records_is_a_companion() -> None:
    """It is read with the traces, and is no run of its own; without the traces it is one."""
    beside = source(logs(1, "x"), name="logs.json", siblings={"traces.json": b"{}"})
    alone = source(logs(1, "x"), name="logs.json")
    assert otlp.companion(beside) == "logs.json holds the log records of traces.json, and is read with it"
    assert otlp.companion(alone) is None
    assert len(read(alone)) == 1


def test_a_truth_file_is_a_companion() -> None:
    """What a run should come to is no run."""
    truth = Source(name="S1.truth.json", data=b'{"schema": "otel_core.truth/v1", "turns": []}')
    assert not otlp.detect(truth)
    assert otlp.companion(truth) == "S1.truth.json says what a run beside it should come to; it is not a run"


def test_a_bad_line_is_noted_and_the_others_are_read() -> None:
    """The place of the bad line is named."""
    given = Source(name="t.jsonl", data=b"\n".join([json.dumps(traces(chat(1, "a"))).encode(), b'{"cut', b'{"x": 1}']))
    assert answers(read(given)) == ["a"]
    assert [problem.line for problem in given.problems] == [2, 3]


def test_a_file_without_a_request_is_refused() -> None:
    """The refusal says what was looked for and what to do."""
    with pytest.raises(ImportRefused, match="export traces as OTLP/JSON"):
        list(otlp.read(Source(name="t.jsonl", data=b'{"a": 1}\n{"b": 2}')))


@pytest.mark.parametrize(
    "junk", [b"", b"[]", b"null", b"\xff\xfe", b'"resourceSpans"', b'{"resourceSpans": 5}', b"PK\x03\x04resourceSpans"]
)
def test_junk_is_not_claimed(junk: bytes) -> None:
    """Detection neither fails nor guesses."""
    assert not otlp.detect(Source(name="x.json", data=junk))


def test_fields_of_the_wrong_type_cost_nothing_else() -> None:
    """A span of odd values is read as far as it goes."""
    odd = {**chat(1, "a"), "events": [5], "status": "x", "name": None, "startTimeUnixNano": [], "kind": {}}
    (draft,) = read(source(traces(odd, 5, {"spanId": 1})))  # type: ignore[arg-type]
    assert reported(draft, list(draft))["decisions"] == 1

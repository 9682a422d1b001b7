"""Jaeger's JSON: the same spans in other clothes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from journal.ingest import jaeger
from journal.ingest.counts import reported
from journal.ingest.draft import RunDraft
from journal.ingest.source import Source


def span(identity: str, name: str, parent: str | None = None, **tags: Any) -> dict[str, Any]:
    """A span in Jaeger's form; its tags are written with `__` for a dot."""
    return {
        "traceID": "abc", "spanID": identity, "operationName": name, "processID": "p1",
        "references": [{"refType": "CHILD_OF", "traceID": "abc", "spanID": parent}] if parent else [],
        "startTime": 1_700_000_000_000_000 + int(identity, 16), "duration": 2000, "logs": [],
        "tags": [
            {"key": key.replace("__", "."), "type": "int64" if isinstance(value, int) else "string", "value": value}
            for key, value in tags.items()
        ],
    }  # fmt: skip


def document(*spans: dict[str, Any]) -> dict[str, Any]:
    """The answer to a query that found one trace."""
    return {
        "data": [{"traceID": "abc", "spans": list(spans), "processes": {"p1": {"serviceName": "helper", "tags": []}}}]
    }


def source(value: Any) -> Source:
    """A file of this document."""
    return Source(name="trace.json", data=json.dumps(value).encode())


def read(value: Any) -> RunDraft:
    """Read the one run of a document."""
    given = source(value)
    assert jaeger.detect(given)
    (draft,) = jaeger.read(given)
    return draft


CALL = span(
    "a1", "openai.chat", llm__request__type="chat", gen_ai__system="openai", gen_ai__usage__prompt_tokens=7,
    gen_ai__usage__completion_tokens=2, gen_ai__prompt__0__role="user", gen_ai__prompt__0__content="list",
    gen_ai__completion__0__role="assistant", gen_ai__completion__0__finish_reason="tool_calls",
    gen_ai__completion__0__tool_calls__0__id="c1", gen_ai__completion__0__tool_calls__0__name="ls",
    gen_ai__completion__0__tool_calls__0__arguments="{}",
)  # fmt: skip
TOOL = span(
    "a2",
    "ls.tool",
    "a1",
    traceloop__span__kind="tool",
    traceloop__entity__name="ls",
    traceloop__entity__output="a.txt",
    error="true",
)


def test_flattened_prompts_and_completions_make_a_run() -> None:
    """Numbered attributes become messages and calls; tags keep their numbers."""
    draft = read(document(CALL))
    events = [draft.event for draft in draft]
    assert [type(event).__name__ for event in events] == [
        "Started",
        "MessageReceived",
        "ModelCalled",
        "ModelResponded",
        "Reasoned",
    ]
    found = reported(draft, list(draft))
    assert (found["input_tokens"], found["output_tokens"], found["tool_calls"]) == (7, 2, 1)


def test_ids_are_padded_to_their_full_width() -> None:
    """Jaeger leaves leading zeros out, the standard does not."""
    draft = read(document(CALL))
    assert draft.source_id == "abc".rjust(32, "0")
    assert {event.traceparent for event in draft} == {f"00-{'abc'.rjust(32, '0')}-{'a1'.rjust(16, '0')}-01"}


def test_an_error_tag_is_a_failed_call() -> None:
    """A status is a tag here; the service stands in the run's context."""
    draft = read(document(CALL, TOOL))
    assert reported(draft, list(draft))["tool_errors"] == 1
    started = next(iter(draft)).event
    assert started.context["resource"] == {"service.name": "helper"}  # type: ignore[union-attr]


def test_a_single_trace_is_accepted() -> None:
    """The file may hold the trace without the query's wrapping."""
    assert read(document(CALL)["data"][0]).source_id == "abc".rjust(32, "0")


@pytest.mark.parametrize(
    "junk", [b"", b"[]", b'{"traceID": 1}', b'{"data": [{"traceID": "a"}]}', b'"traceID"', b"\xff"]
)
def test_junk_is_not_claimed(junk: bytes) -> None:
    """Detection neither fails nor guesses."""
    assert not jaeger.detect(Source(name="x.json", data=junk))


def test_a_span_without_an_id_is_noted() -> None:
    """The others are read."""
    given = source(document(CALL, {"traceID": "abc"}))
    assert len(list(jaeger.read(given))) == 1
    assert [str(problem) for problem in given.problems] == ["a span without a traceID or a spanID"]

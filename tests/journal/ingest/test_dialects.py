"""The table of attribute names: what each dialect's spans mean."""

from __future__ import annotations

import re
from typing import Any

import pytest

from journal.ingest.dialects import DIALECTS
from journal.ingest.span_reading import Reading, captured
from journal.ingest.spans import Log, Span, SpanEvent

MERGED = {"gen_ai.tool.name": "(merged tools)", "gcp.vertex.agent.event_id": "1"}


def reading(attributes: dict[str, Any], **more: Any) -> Reading:
    """Read a span of these attributes."""
    return Reading(Span(trace_id="a" * 32, span_id="b" * 16, attributes=attributes, **more))


@pytest.mark.parametrize(
    ("dialect", "role", "attributes"),
    [
        ("genai", "llm", {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"}),
        ("genai", "tool", {"gen_ai.operation.name": "execute_tool"}),
        ("genai", "agent", {"gen_ai.operation.name": "invoke_agent"}),
        ("genai", "other", {"gen_ai.operation.name": "embeddings"}),
        ("openinference", "llm", {"openinference.span.kind": "LLM"}),
        ("openinference", "tool", {"openinference.span.kind": "TOOL"}),
        ("openinference", "other", {"openinference.span.kind": "RETRIEVER"}),
        ("traceloop", "tool", {"traceloop.span.kind": "tool"}),
        ("traceloop", "llm", {"llm.request.type": "chat", "gen_ai.system": "openai"}),
        ("traceloop", "llm", {"gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "hi"}),
        ("adk", "llm", {"gcp.vertex.agent.llm_request": '{"contents": [{"role": "user"}]}'}),
        ("adk", "other", {"gen_ai.operation.name": "execute_tool", **MERGED}),
        ("claude_code", "llm", {"span.type": "llm_request"}),
        ("claude_code", "other", {"span.type": "tool.blocked_on_user", "gen_ai.tool.call.id": "t"}),
        ("vercel", "llm", {"ai.operationId": "ai.streamText.doStream"}),
        ("vercel", "turn", {"ai.operationId": "ai.streamText"}),
        ("langsmith", "llm", {"langsmith.span.kind": "llm"}),
        ("langfuse", "llm", {"langfuse.observation.type": "generation"}),
        ("", "other", {"http.request.method": "GET"}),
    ],
)  # fmt: skip
def test_a_span_has_the_dialect_and_role_its_attributes_say(
    dialect: str, role: str, attributes: dict[str, Any]
) -> None:
    """The dialect is chosen for each span alone."""
    found = reading(attributes)
    assert (found.dialect, found.role) == (dialect, role)


def test_every_name_in_the_table_is_in_one_of_the_written_forms() -> None:
    """An entry that no rule can read would be a silent gap."""
    names = [name for known in DIALECTS for names in known.names.values() for name in names]
    form = re.compile(r"\{[\w. ]+\}|[\w.:]+( > [\w.]+)?|[\w.]+\.\*|[\w.]+( \+ [\w.]+)+")
    assert [name for name in names if not form.fullmatch(name)] == []


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 7, "gen_ai.usage.output_tokens": "3"},
        {"gen_ai.operation.name": "chat", "gen_ai.usage.prompt_tokens": 7, "gen_ai.usage.completion_tokens": 3},
        {"openinference.span.kind": "LLM", "llm.token_count.prompt": 7, "llm.token_count.completion": 3},
        {"span.type": "llm_request", "input_tokens": 2, "cache_read_tokens": 5, "output_tokens": 3},
        {"ai.operationId": "ai.generateText.doGenerate", "ai.usage.promptTokens": 7, "ai.usage.completionTokens": 3},
    ],
)  # fmt: skip
def test_tokens_have_many_names(attributes: dict[str, Any]) -> None:
    """Old and new names give the same counts; Claude Code counts cached input apart, and it is added."""
    found = reading(attributes)
    assert (found.count("input_tokens"), found.count("output_tokens")) == (7, 3)


@pytest.mark.parametrize(
    "absent", [None, "", "<elided>", "<REDACTED>", [], {"result": "<not specified>"}, '{"result": "<not specified>"}']
)
def test_what_was_left_out_is_not_content(absent: object) -> None:
    """Placeholders for content that was not captured count as absent."""
    assert not captured(absent)


@pytest.mark.parametrize("present", ["text", "{}", 0, False, [1], {"result": ""}, "[1, 2"])
def test_empty_and_odd_content_is_content(present: object) -> None:
    """An empty result is a result."""
    assert captured(present)


def test_a_detail_record_counts_as_if_it_stood_on_the_span() -> None:
    """Content may be on a log record of the span, structured."""
    messages = [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]
    log = Log(name="gen_ai.client.inference.operation.details", attributes={"gen_ai.input.messages": messages})
    assert reading({"gen_ai.operation.name": "chat"}, logs=[log]).get("input") == messages


def test_older_message_events_are_messages_unless_elided() -> None:
    """Span events and log records named after a role carry a message each; an elided one carries none."""
    events = [
        SpanEvent(name="gen_ai.user.message", attributes={"content": "hi"}),
        SpanEvent(name="gen_ai.system.message", attributes={"content": "<elided>"}),
    ]
    found = reading({"gen_ai.operation.name": "chat", "gen_ai.system": "x"}, events=events)
    assert found.get("input") == [{"role": "user", "content": "hi"}]
    assert found.get("output") is None

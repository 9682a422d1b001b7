"""An agent around the real `openai` client, traced by OpenInference: what its exporter sends is the run that it was."""

from __future__ import annotations

import base64
import gzip
import json
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import openai
import pytest
from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from pytest_django.live_server_helper import LiveServer

from journal.domain.aggregate import fold
from journal.domain.event import RecordedEvent
from journal.store import get_store
from tests.api import secret
from tests.journal.recorder import model_server as provider
from tests.journal.recorder.looking import causes, kinds, of_kind
from tests.journal.recorder.model_server import Reply, model_server
from tests.otlp import settle

instrumentation = pytest.importorskip("openinference.instrumentation")
instrumentor = pytest.importorskip("openinference.instrumentation.openai").OpenAIInstrumentor

IDS = ("traceId", "spanId", "parentSpanId")
TOOLS: Any = [
    {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}},
]


class JsonExporter(SpanExporter):
    """The SDK's own encoding as JSON, as collectors send it: ids in hexadecimal digits, and gzipped."""

    def __init__(self, endpoint: str, headers: dict[str, str]) -> None:
        self._endpoint = endpoint
        self._headers = {**headers, "Content-Type": "application/json", "Content-Encoding": "gzip"}

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send the spans."""
        document = MessageToDict(encode_spans(spans), use_integers_for_enums=True)
        body = gzip.compress(json.dumps(_in_hex(document)).encode())
        request = urllib.request.Request(self._endpoint, body, self._headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return SpanExportResult.SUCCESS if answer.status == 200 else SpanExportResult.FAILURE


def _in_hex(value: Any) -> Any:
    if isinstance(value, list):
        return [_in_hex(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: base64.b64decode(item).hex() if name in IDS and isinstance(item, str) else _in_hex(item)
        for name, item in value.items()
    }


@pytest.fixture(params=["protobuf", "json"])
def exporter(request: pytest.FixtureRequest, live_server: LiveServer, transactional_db: None) -> SpanExporter:
    """What sends to the server, zipped."""
    headers = {"Authorization": f"Bearer {secret('ingest')}"}
    endpoint = f"{live_server.url}/v1/traces"
    if request.param == "json":
        return JsonExporter(endpoint, headers)
    return OTLPSpanExporter(endpoint=endpoint, headers=headers, compression=Compression.Gzip)


@contextmanager
def traced(exporter: SpanExporter, *replies: Reply) -> Iterator[tuple[Any, openai.OpenAI]]:
    """Instrument the client as a program does; yield its tracer and the client."""
    providing = instrumentation.TracerProvider()
    providing.add_span_processor(BatchSpanProcessor(exporter))
    instrument = instrumentor()
    instrument.instrument(tracer_provider=providing)
    try:
        with model_server(*replies) as server, openai.OpenAI(base_url=f"{server.url}/v1", api_key="sk-test") as client:
            yield providing.get_tracer("adder"), client
    finally:
        instrument.uninstrument()
        providing.shutdown()


def told() -> list[RecordedEvent]:
    """Return the one run that came of the trace, but for spans that are nothing of a run."""
    (written,) = settle().runs
    return [event for event in get_store("default").read_stream(written.stream) if event.type.startswith("agent_run.")]


def final(stream: str) -> dict[str, Any]:
    """Return the run's state at its end."""
    found: Any = fold(stream, get_store("default").read_stream(stream))
    return dict(found.to_json())


def test_a_conversation_with_a_tool(exporter: SpanExporter) -> None:
    """Decisions, the call and its result, their causes and the tokens; as protobuf and as JSON the same."""
    first = provider.chat("I will add.", ("c1", "add", '{"a": 1, "b": 2}'))
    messages: list[Any] = [{"role": "system", "content": "You add."}, {"role": "user", "content": "1 + 2?"}]
    with traced(exporter, provider.whole(first), provider.whole(provider.chat("It is 3."))) as (tracer, client):

        @tracer.tool(name="add")  # type: ignore[untyped-decorator]
        def add(a: int, b: int) -> int:
            """Add two numbers."""
            return a + b

        with tracer.start_as_current_span("adder", openinference_span_kind="agent") as span:
            span.set_input("1 + 2?")
            said = client.chat.completions.create(model="orion-3", messages=messages, tools=TOOLS).choices[0].message
            messages.append(said.model_dump(exclude_none=True))
            messages.append({"role": "tool", "tool_call_id": "c1", "content": str(add(1, 2))})
            last = client.chat.completions.create(model="orion-3", messages=messages, tools=TOOLS)
            span.set_output(last.choices[0].message.content)
    events = told()
    assert kinds(events) == [
        "started", "message_received", "message_received", "model_called", "model_responded", "reasoned",
        "tool_returned", "model_called", "model_responded", "answered",
    ]  # fmt: skip
    assert causes(events) == {5: "4 model_called", 6: "5 model_responded", 9: "8 model_called", 10: "9 model_responded"}
    (result,), (called, again) = of_kind(events, "tool_returned"), of_kind(events, "model_called")
    assert [(one.id, one.certainty) for one in result.meta.causes] == [(events[5].id, "inferred")]
    assert again.payload["messages"] == [{"version": 3}, {"version": 2}, {"version": 5}, {"version": 7}]
    assert called.payload["model"] == "orion-3"
    assert events[5].payload["argsJson"] == '{"a": 1, "b": 2}'
    assert [one.payload["finishReason"] for one in of_kind(events, "model_responded")] == ["tool_calls", "stop"]
    totals = final(events[0].stream)["totals"]
    assert {name: totals[name] for name in ("decisions", "tool_calls", "input_tokens", "output_tokens")} == {
        "decisions": 2, "tool_calls": 1, "input_tokens": 24, "output_tokens": 10,
    }  # fmt: skip


def test_a_streamed_response_and_a_tool_without_a_span(exporter: SpanExporter) -> None:
    """The result stands in what the model is sent next, and the streamed words come out whole."""
    first = provider.chat(None, ("c1", "add", '{"a": 1, "b": 2}'))
    chunks = provider.chat_chunks({"role": "assistant", "content": "It "}, {"content": "is 3."})
    messages: list[Any] = [{"role": "user", "content": "1 + 2?"}]
    replies = provider.whole(first), provider.stream(chunks, done=True)
    with (
        traced(exporter, *replies) as (tracer, client),
        tracer.start_as_current_span("adder", openinference_span_kind="agent"),
    ):
        said = client.chat.completions.create(model="orion-3", messages=messages, tools=TOOLS).choices[0].message
        messages.append(said.model_dump(exclude_none=True))
        messages.append({"role": "tool", "tool_call_id": "c1", "content": "3"})
        streamed = client.chat.completions.create(
            model="orion-3", messages=messages, stream=True, stream_options={"include_usage": True}
        )
        assert "".join(chunk.choices[0].delta.content or "" for chunk in streamed if chunk.choices) == "It is 3."
    events = told()
    assert kinds(events) == [
        "started", "message_received", "model_called", "model_responded", "reasoned", "tool_returned", "model_called",
        "model_responded", "answered",
    ]  # fmt: skip
    assert events[5].payload["callId"] == "c1"
    assert (events[7].payload["content"], events[7].payload["outputTokens"]) == ("It is 3.", 7)


def test_a_refused_request_ends_the_run(exporter: SpanExporter) -> None:
    """The provider's words are kept, where it happened and as the reason."""
    refused = provider.whole({"error": {"message": "too many tokens", "code": "rate_limit"}}, 400)
    with (
        traced(exporter, refused) as (tracer, client),
        pytest.raises(openai.BadRequestError),
        tracer.start_as_current_span("adder", openinference_span_kind="agent"),
    ):
        client.chat.completions.create(model="orion-3", messages=[{"role": "user", "content": "1 + 2?"}])
    events = told()
    (response,) = of_kind(events, "model_responded")
    assert response.payload["finishReason"] == "error"
    assert "too many tokens" in response.payload["raw"]["error"]
    assert "too many tokens" in of_kind(events, "aborted")[0].payload["reason"]

"""OTLP over HTTP: what exporters send and are answered, who may send, and how much."""

from __future__ import annotations

import gzip
import json
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest
from django.db import OperationalError, connection
from django.test import Client
from google.protobuf import json_format  # type: ignore[import-untyped]
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Status, StatusCode, format_span_id, format_trace_id
from pytest_django.live_server_helper import LiveServer

from journal.access import Role, add_user, create_token, revoke_token
from journal.access.projects import add_project
from journal.api import asked, rates
from journal.ingest import otlp_wire, span_inbox
from journal.ingest.otlp_wire import Signal
from journal.ingest.spans import Span
from journal.ingest.writer import stream_of
from journal.models import SpanRecord, SpanTrace
from journal.runtime.projection import catch_up_all
from tests.api import secret
from tests.otlp import TRACE, Sender, agent, chat, content, hundred, logs, message_log, settle, span, traces, types

RUN = stream_of("default", "otlp", TRACE)
PROTOBUF: Final = "application/x-protobuf"
BAD = {**chat(9, says="x"), "traceId": "zz"}


@pytest.fixture
def sender(db: None) -> Sender:
    """A program that may send."""
    return Sender(secret("ingest"))


# --- The SDK's own exporters ------------------------------------------------------------------------------------------


class Agent:
    """An agent that is traced by the OpenTelemetry SDK, and sends to a server."""

    def __init__(self, url: str, token: str, compression: Compression) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        resource = Resource.create({"service.name": "shop"})
        self.tracers = TracerProvider(resource=resource)
        spans = OTLPSpanExporter(endpoint=f"{url}/v1/traces", headers=headers, compression=compression, timeout=20)
        self.tracers.add_span_processor(BatchSpanProcessor(spans))
        self.loggers = LoggerProvider(resource=resource)
        records = OTLPLogExporter(endpoint=f"{url}/v1/logs", headers=headers, compression=compression, timeout=20)
        self.loggers.add_log_record_processor(SimpleLogRecordProcessor(records))

    def work(self) -> str:
        """Answer with one call of a tool, and return the trace's id and the span id of the tool."""
        tracer = self.tracers.get_tracer("shop.agent")
        named = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner"}
        with tracer.start_as_current_span("invoke_agent planner", attributes=named):
            wanted = [
                {
                    "role": "assistant",
                    "parts": [{"type": "tool_call", "id": "c1", "name": "find", "arguments": {"n": 1}}],
                }
            ]
            self._chat(tracer, wanted)
            with tracer.start_as_current_span("execute_tool find") as called:
                called.set_attributes({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "find",
                                       "gen_ai.tool.call.id": "c1", "error.type": "timeout"})  # fmt: skip
                called.set_status(Status(StatusCode.ERROR, "no answer in 5 s"))
                at = called.get_span_context()
            said = [{"role": "assistant", "parts": [{"type": "text", "content": "I could not find it."}]}]
            self._chat(tracer, said, as_log=True)
        self.tracers.shutdown()
        self.loggers.shutdown()
        return f"{format_trace_id(at.trace_id)}/{format_span_id(at.span_id)}"

    def _chat(self, tracer: Any, messages: list[Any], *, as_log: bool = False) -> None:
        with tracer.start_as_current_span("chat orion-3") as called:
            called.set_attributes({"gen_ai.operation.name": "chat", "gen_ai.request.model": "orion-3",
                                   "gen_ai.usage.input_tokens": 12, "gen_ai.request.temperature": 0.5})  # fmt: skip
            said = {"gen_ai.output.messages": json.dumps(messages)}
            if as_log:
                name = "gen_ai.client.inference.operation.details"
                self.loggers.get_logger("shop.agent").emit(LogRecord(event_name=name, attributes=said, timestamp=1))
            else:
                called.set_attributes(said)


@pytest.fixture
def server(live_server: LiveServer) -> str:
    """The address of a server on loopback."""
    return live_server.url


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("compression", [Compression.Gzip, Compression.NoCompression])
def test_the_sdks_exporters_need_an_address_and_a_token(server: str, compression: Compression) -> None:
    """Spans and log records in protobuf: a whole run, and from a span's address to its event."""
    place = Agent(server, secret("ingest"), compression).work()
    (written,) = settle().runs
    told = content(written.stream)
    assert types(told) == [
        "started", "source.otlp.span", "model_called", "model_responded", "reasoned", "tool_failed", "model_called",
        "model_responded", "answered",
    ]  # fmt: skip
    assert json.loads(told[0][4])["agent"] == "planner"
    assert json.loads(told[5][4])["message"] == "no answer in 5 s"
    assert json.loads(told[-1][4])["response"] == "I could not find it."
    catch_up_all()
    reader = Client()
    reader.force_login(add_user("reader", role=Role.VIEWER, project="default", password="a long password")[0])
    assert reader.get(f"/by-trace/{place}/")["Location"] == f"/runs/{written.stream}/?v=6"


# --- Answers ----------------------------------------------------------------------------------------------------------


def packed(*spans: dict[str, Any]) -> bytes:
    """Return an export request in protobuf, of spans in JSON."""
    request = ExportTraceServiceRequest()
    for one in spans:
        made = request.resource_spans.add().scope_spans.add().spans.add()
        made.trace_id, made.span_id = bytes.fromhex(one["traceId"]), bytes.fromhex(one["spanId"])
        made.parent_span_id = bytes.fromhex(one["parentSpanId"])
        made.name, made.kind = one["name"], one["kind"]
        made.start_time_unix_nano, made.end_time_unix_nano = int(one["startTimeUnixNano"]), int(one["endTimeUnixNano"])
        for pair in one["attributes"]:
            ((kind, value),) = pair["value"].items()
            known = made.attributes.add(key=pair["key"])
            setattr(known.value, {"stringValue": "string_value", "intValue": "int_value"}[kind], value)
    return bytes(request.SerializeToString())


@pytest.mark.django_db
def test_protobuf_and_json_are_the_same_records(sender: Sender) -> None:
    """What came in one encoding is known in the other; the answer is in that of the request."""
    bare = {"resourceSpans": [{"scopeSpans": [{"spans": [agent(1), chat(2, says="x")]}]}]}
    assert sender.send(bare) == {}
    assert sender.response["Content-Type"] == "application/json"
    sender.send(packed(agent(1), chat(2, says="x")), kind=PROTOBUF)
    assert (sender.status, sender.response["Content-Type"], sender.response.content) == (200, PROTOBUF, b"")
    assert SpanRecord.objects.count() == 2


def _every_field() -> tuple[ExportTraceServiceRequest, ExportLogsServiceRequest]:
    """Return requests in which each field that is read says something, and one of each where none does."""
    spans, logs = ExportTraceServiceRequest(), ExportLogsServiceRequest()
    resource, told = spans.resource_spans.add(), logs.resource_logs.add()
    for one in (resource, told):
        one.resource.attributes.add(key="service.name").value.string_value = "shop"
    scope, records = resource.scope_spans.add(), told.scope_logs.add().log_records
    scope.scope.name = "lib"
    for kind in range(7):
        span = scope.spans.add(trace_id=b"t" * 16, span_id=bytes([9] * 7 + [kind]), name=f"n{kind}", kind=kind)
        span.parent_span_id = b"\x00" * 8 if kind else b"p" * 8
        span.start_time_unix_nano, span.end_time_unix_nano = kind * 10**18, kind * 10**18 + 1
        span.status.code, span.status.message = kind % 3, "said"
        event = span.events.add(name="exception", time_unix_nano=kind)
        event.attributes.add(key="a").value.bool_value = bool(kind)
        log = records.add(trace_id=b"t" * 16, span_id=b"s" * 8, event_name="e" if kind else "")
        log.time_unix_nano, log.observed_time_unix_nano = kind, 7
        for item in (span, log):
            item.attributes.add(key="event.name").value.string_value = "named"
            item.attributes.add(key="list").value.array_value.values.add(int_value=-kind)
            item.attributes.add(key="map").value.kvlist_value.values.add(key="k").value.double_value = kind / 3
            item.attributes.add(key="bytes").value.bytes_value = bytes([kind, 255])
            item.attributes.add(key="none")
        log.body.kvlist_value.values.add(key="content").value.string_value = "x"
    scope.spans.add(trace_id=b"t" * 16, span_id=b"s" * 8)
    records.add(trace_id=b"t" * 16)
    return spans, logs


def test_a_field_means_the_same_in_either_encoding() -> None:
    """What protobuf's own writer of JSON makes of a request is kept in the same bytes."""
    signals: tuple[Signal, ...] = ("traces", "logs")
    requests: tuple[Any, ...] = _every_field()
    for signal, request in zip(signals, requests, strict=True):
        written = json_format.MessageToJson(
            request, always_print_fields_with_no_presence=True, use_integers_for_enums=True
        ).encode()
        one = otlp_wire.read(request.SerializeToString(), signal=signal, encoding=PROTOBUF)
        other = otlp_wire.read(written, signal=signal, encoding="application/json")
        assert (one.rejected, other.rejected) == (0, 0)
        assert len(one.records) == 8
        assert [record.body for record in one.records] == [record.body for record in other.records]


@pytest.mark.django_db
def test_a_request_costs_the_same_queries_however_many_spans_it_has(
    sender: Sender, django_assert_max_num_queries: Any
) -> None:
    """None is for a single span: who asks, what is known, the trace, the records, what waits, and the transaction."""
    for number, spans in enumerate((1, 400), 1):
        request = packed(*({**chat(at + 2, says="x"), "traceId": f"{number:032x}"} for at in range(spans)))
        with django_assert_max_num_queries(12):
            sender.send(request, kind=PROTOBUF)
        assert sender.status == 200
    assert SpanRecord.objects.count() == 401


def test_every_kind_of_value_comes_through_protobuf() -> None:
    """As the JSON encoding writes it; bytes as base64, and what JSON has no number for as text."""
    request = ExportTraceServiceRequest()
    made = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"\1" * 16, span_id=b"\2" * 8)
    value = made.attributes.add(key="all").value.kvlist_value.values
    value.add(key="int").value.int_value = 2**62
    value.add(key="yes").value.bool_value = True
    value.add(key="half").value.double_value = 0.5
    value.add(key="nan").value.double_value = float("nan")
    value.add(key="far").value.double_value = float("-inf")
    value.add(key="raw").value.bytes_value = b"\x00\xff"
    value.add(key="many").value.array_value.values.add().string_value = "a"
    value.add(key="none")
    made.events.add(name="e", time_unix_nano=5)
    (record,) = otlp_wire.read(request.SerializeToString(), signal="traces", encoding=PROTOBUF).records
    assert record.item.attributes["all"] == {
        "int": 2**62, "yes": True, "half": 0.5, "nan": "NaN", "far": "-Infinity", "raw": "AP8=", "many": ["a"],
        "none": None,
    }  # fmt: skip
    assert isinstance(record.item, Span)
    assert [(event.name, event.at_ns) for event in record.item.events] == [("e", 5)]


@pytest.mark.django_db
def test_a_bad_span_is_counted_and_the_others_are_taken(sender: Sender) -> None:
    """Partial success: so many were rejected, and why."""
    plain, inside = span(8, "x", gen_ai__tool__call__result="a\x00b"), chat(9, says="a\x00b")
    answer = sender.send(traces(chat(2, says="good \\u0000"), BAD, plain, inside, {"name": "no ids"}))
    assert sender.status == 200
    told = answer["partialSuccess"]
    assert told["rejectedSpans"] == "4"
    assert "a trace id is 32 hexadecimal digits" in told["errorMessage"]
    assert "NUL" in told["errorMessage"]
    assert SpanRecord.objects.count() == 1
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"\0" * 16, span_id=b"\2" * 8)
    sender.send(request.SerializeToString(), kind=PROTOBUF)
    response = ExportTraceServiceResponse.FromString(sender.response.content)
    assert (response.partial_success.rejected_spans, sender.status) == (1, 200)
    assert "hexadecimal" in response.partial_success.error_message


@pytest.mark.django_db
def test_log_records_of_nothing_are_rejected(sender: Sender) -> None:
    """One names its trace, or at least its conversation; ids of zeros are none."""
    unnamed = {**message_log(1, "x"), "traceId": "0" * 32, "spanId": ""}
    talk = {**unnamed, "attributes": [*unnamed["attributes"], {"key": "session.id", "value": {"stringValue": "s-1"}}]}
    half = {**message_log(1, "x"), "spanId": "12"}
    answer = sender.send(logs(unnamed, talk, half))
    assert answer["partialSuccess"]["rejectedLogRecords"] == "2"
    assert [written.stream for written in settle().runs] == [stream_of("default", "otlp", "s-1")]


# --- Who --------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/v1/traces", "/v1/logs"])
def test_only_a_token_that_may_import_is_let_in(path: str) -> None:
    """No token, a wrong, an expired, or a session: 401. A token or a role without the permission: 403."""
    person, _ = add_user("person", role=Role.ADMIN, project="default", password="a long password")
    browser = Client()
    browser.force_login(person)
    gone = create_token(user="person", project="default", scopes=["ingest"])
    revoke_token(gone.row.id)
    expected = [
        (Sender(), 401),
        (Sender("ngr_" + "x" * 43), 401),
        (Sender(gone.secret), 401),
        (Sender(client=browser), 401),
        (Sender(secret("read")), 403),
        (Sender(secret("audit")), 403),
        (Sender(secret("ingest", role=Role.VIEWER)), 403),
        (Sender(secret("ingest", role=Role.ENGINEER)), 200),
        (Sender(secret("admin")), 200),
    ]
    found = []
    for one, _ in expected:
        response = one.client.post(path, b"{}", content_type="application/json", headers=one.headers)
        found.append(response.status_code)
        if response.status_code == 401:
            assert response["WWW-Authenticate"].startswith("Bearer")
            assert json.loads(response.content)["code"] == 16
    assert found == [status for _, status in expected]


@pytest.mark.django_db
def test_the_project_is_the_tokens(sender: Sender) -> None:
    """The same spans in two projects are two runs; another project's name is refused."""
    other = Sender(secret("ingest", project="shop"))
    for one in (sender, other):
        one.send(traces(agent(1), chat(2, says="x")))
    assert {written.stream for written in settle().runs} == {RUN, stream_of("shop", "otlp", TRACE)}
    assert content(stream_of("shop", "otlp", TRACE)) == []
    assert content(stream_of("shop", "otlp", TRACE), "shop")
    add_project("third")
    response = sender.client.post(
        "/v1/traces?project=third", b"{}", content_type="application/json", headers=sender.headers
    )
    assert response.status_code == 404


@pytest.mark.django_db
def test_another_method_is_told_which(sender: Sender) -> None:
    """405."""
    response = sender.client.get("/v1/traces", headers=sender.headers)
    assert (response.status_code, response["Allow"]) == (405, "POST")


# --- How much ---------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"[]", {}, 400),
        (b'{"resourceSpans": "\xed\xa0\x80"}', {}, 400),
        (b"[" * 10_000 + b"]" * 10_000, {}, 400),
        (b"\xff\xff", {"kind": PROTOBUF}, 400),
        (b"{}", {"kind": "text/plain"}, 415),
        (b"{}", {"Content_Encoding": "br"}, 415),
        (b"{}", {"Content_Encoding": "gzip"}, 400),
        (gzip.compress(b"{}", mtime=0)[:-9], {"Content_Encoding": "gzip"}, 400),
        (gzip.compress(b" " * 8 * 2**20, mtime=0), {"Content_Encoding": "gzip"}, 413),
    ],
    ids=["cut", "list", "surrogate", "deep", "no protobuf", "text", "brotli", "no gzip", "cut gzip", "bomb"],
)
def test_what_is_no_request_is_refused_whole(sender: Sender, body: bytes, headers: dict[str, str], status: int) -> None:
    """With a status that no exporter sends again for, and nothing is kept."""
    sender.send(body, **headers)
    assert sender.status == status
    assert SpanRecord.objects.count() == 0


@pytest.mark.django_db
def test_a_refusal_is_a_status_in_the_encoding_of_the_request(sender: Sender) -> None:
    """As OTLP says: `google.rpc.Status`."""
    from google.rpc.status_pb2 import Status as RpcStatus  # type: ignore[import-untyped]  # noqa: PLC0415

    assert sender.send(b"[]")["code"] == 3
    sender.send(b"\xff", kind=PROTOBUF)
    told = RpcStatus.FromString(sender.response.content)
    assert (sender.response["Content-Type"], told.code) == (PROTOBUF, 3)
    assert "ExportTraceServiceRequest" in told.message


@pytest.mark.django_db
def test_bodies_records_and_traces_are_bounded(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole body, one record, and the records of one trace."""
    monkeypatch.setattr(otlp_wire, "MAX_RECORD_BYTES", 2_000)
    answer = sender.send(traces(chat(2, says="x" * 3_000), chat(3, says="y")))
    assert answer["partialSuccess"]["rejectedSpans"] == "1"
    monkeypatch.setattr(span_inbox, "MAX_RECORDS", 1)
    answer = sender.send(traces(chat(3, says="y"), chat(4, says="z")))
    assert answer["partialSuccess"]["rejectedSpans"] == "1"
    assert SpanTrace.objects.get().news == SpanRecord.objects.count() == 1
    monkeypatch.setattr(asked, "MAX_BODY", 100)
    sender.send(traces(chat(5, says="x")))
    assert sender.status == 413


@pytest.mark.django_db
def test_one_request_does_not_fill_a_trace_past_its_bound(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor do its records take the room of another trace."""
    monkeypatch.setattr(span_inbox, "MAX_RECORDS", 3)
    sender.send(traces(chat(1, says="x")))
    other = [chat(number, says="x", trace="1" * 32) for number in (1, 2)]
    answer = sender.send(traces(*(chat(number, says="x") for number in range(2, 7)), *other))
    assert answer["partialSuccess"]["rejectedSpans"] == "3"
    assert sorted(SpanTrace.objects.values_list("news", flat=True)) == [2, 3]
    assert SpanRecord.objects.count() == 5


@pytest.mark.django_db
@pytest.mark.parametrize("kind", [PROTOBUF, "application/json"])
@pytest.mark.parametrize("most", [2**20, 1_000], ids=["taken", "too large each"])
def test_a_small_request_does_not_become_a_large_one(
    sender: Sender, monkeypatch: pytest.MonkeyPatch, kind: str, most: int
) -> None:
    """Each record repeats its resource: what all of them come to is bounded, whether they would be taken or not."""
    request = ExportTraceServiceRequest()
    described = request.resource_spans.add()
    described.resource.attributes.add(key="x").value.string_value = "a" * 2_000
    spans = described.scope_spans.add().spans
    for number in range(50):
        spans.add(trace_id=b"\x01" * 16, span_id=(number + 1).to_bytes(8))
    body = request.SerializeToString() if kind == PROTOBUF else json_format.MessageToJson(request).encode()
    monkeypatch.setattr(otlp_wire, "MAX_RECORD_BYTES", most)
    monkeypatch.setattr(otlp_wire, "MAX_KEPT_BYTES", 50_000)
    sender.send(body, kind=kind)
    assert (sender.status, SpanRecord.objects.count()) == (400, 0)
    assert b"each repeats its resource" in sender.response.content
    monkeypatch.setattr(otlp_wire, "MAX_KEPT_BYTES", 200_000)
    sender.send(body, kind=kind)
    assert (sender.status, SpanRecord.objects.count()) == (200, 50 if most > len(body) else 0)


@pytest.mark.django_db
def test_gzip_is_unpacked(sender: Sender) -> None:
    """What exporters send by default."""
    packed_body = gzip.compress(json.dumps(traces(chat(2, says="x" * 5_000))).encode())
    assert sender.send(packed_body, Content_Encoding="gzip") == {}
    assert SpanRecord.objects.count() == 1


@pytest.mark.django_db
def test_who_sends_too_often_is_told_when_to_come_again(sender: Sender, settings: Any) -> None:
    """429 with Retry-After, which exporters obey."""
    settings.API_RATE = 2
    rates.forget()
    try:
        statuses = []
        while sender.response is None or sender.status == 200:  # the minute of the clock may turn once meanwhile
            sender.send(traces(span(1, "x")))
            statuses.append(sender.status)
    finally:
        rates.forget()
    assert statuses[-1] == 429
    assert 3 <= len(statuses) <= 5
    assert 1 <= int(sender.response["Retry-After"]) <= 61


@pytest.mark.django_db
def test_a_database_that_does_not_answer_is_said_so(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 with Retry-After: nothing was acknowledged that is not stored."""

    def fails(*_args: object, **_more: object) -> None:
        raise OperationalError("locked")

    monkeypatch.setattr(span_inbox, "keep", fails)
    answer = sender.send(traces(span(1, "x")))
    assert (sender.status, sender.response["Retry-After"], answer["code"]) == (503, "1", 14)


@pytest.mark.django_db(transaction=True)
def test_senders_at_once_lose_nothing_and_store_nothing_twice() -> None:
    """Eight of them, with the same spans in other orders; who is told to send again does."""
    token, spans = secret("ingest"), hundred()

    def send(seed: int) -> None:
        order = random.Random(seed)
        own, mine = Sender(token), order.sample(spans, len(spans))
        try:
            for start in range(0, len(mine), 10):
                own.send(traces(*mine[start : start + 10]))
                while own.status == 503:
                    own.send(traces(*mine[start : start + 10]))
                assert own.status == 200
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(send, seed) for seed in range(8)]:
            done.result()
    assert SpanRecord.objects.count() == len(spans)
    (written,) = settle().runs
    ids = [event[1] for event in content(written.stream)]
    assert len(ids) == len(set(ids)) == written.events

"""Spans out of OTLP's JSON."""

from __future__ import annotations

import base64
from typing import Any

from journal.ingest.spans import Batch, Log, Span, any_value, attributes, joined, read_request, unflatten

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


def request(*spans: dict[str, Any]) -> dict[str, Any]:
    """Wrap spans in an export request."""
    return {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {"name": "lib"}, "spans": list(spans)}]}]}


def refused(_reason: str) -> None:
    """A note that must not come."""
    message = "nothing should be noted"
    raise AssertionError(message)


def test_values_come_out_of_their_wrappings() -> None:
    """Integers come as text and are numbers; arrays, maps and what is missing keep their shape."""
    pairs = [
        {"key": "n", "value": {"intValue": "42"}},
        {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"boolValue": True}]}}},
        {"key": "map", "value": {"kvlistValue": {"values": [{"key": "x", "value": {"doubleValue": 0.5}}]}}},
        {"key": "none"},
        "junk",
    ]
    assert attributes(pairs) == {"n": 42, "list": ["a", True], "map": {"x": 0.5}, "none": None}
    assert any_value("junk") is None


def test_a_span_has_its_ids_times_and_status() -> None:
    """Ids are lower-case hex, times integers, the status a word, and the traceparent is made of both ids."""
    record = {
        "traceId": TRACE.upper(), "spanId": SPAN, "parentSpanId": "", "name": "chat", "kind": 3,
        "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": 1700000001000000000,
        "status": {"code": 2, "message": "rate limited"},
    }  # fmt: skip
    (span,) = read_request(request(record), refused).spans
    assert (span.trace_id, span.parent_id, span.kind) == (TRACE, None, "client")
    assert (span.status, span.status_message, span.latency_ms) == ("error", "rate limited", 1000.0)
    assert (span.scope, span.traceparent) == ("lib", f"00-{TRACE}-{SPAN}-01")


def test_base64_ids_and_protobuf_names_are_understood() -> None:
    """Generic protobuf writers give base64 ids and snake-case names; they mean the same spans."""
    record = {
        "trace_id": base64.b64encode(bytes.fromhex(TRACE)).decode(),
        "span_id": base64.b64encode(b"\x01" * 8).decode(),
    }
    document = {"resource_spans": [{"scope_spans": [{"spans": [record]}]}]}
    (span,) = read_request(document, refused).spans
    assert (span.trace_id, span.span_id) == (TRACE, "01" * 8)


def test_a_span_without_ids_is_noted_and_the_others_stay() -> None:
    """One bad record costs that record."""
    notes: list[str] = []
    batch = read_request(request({"name": "lost"}, {"traceId": TRACE, "spanId": SPAN}), notes.append)
    assert len(batch.spans) == 1
    assert notes == ["a span without a trace id or a span id"]


def test_only_numbers_make_structure() -> None:
    """Numbered attributes are gathered; whatever else a key holds stays one flat key, and huge numbers cost nothing."""
    flat = {
        "p.1.role": "b", "p.0.role": "a", "p.0.__proto__.x": 1, "p.x.role": "no", "p.99999999999.role": "no",
    }  # fmt: skip
    assert unflatten(flat, "p") == [{"role": "a", "__proto__.x": 1}, {"role": "b"}]


def test_log_records_join_their_span_and_repeats_count_once() -> None:
    """A span exported twice is taken from the last export; records without a span here are given back."""
    early, late = (Span(trace_id=TRACE, span_id=SPAN, end_ns=end) for end in (0, 9))
    here, elsewhere = Log(trace_id=TRACE, span_id=SPAN), Log(trace_id=TRACE, span_id="c" * 16)
    spans, alone = joined(Batch(spans=[early, late], logs=[here, elsewhere]))
    assert [(span.end_ns, span.logs) for span in spans] == [(9, [here])]
    assert alone == [elsewhere]


def test_ids_of_another_length_give_no_traceparent() -> None:
    """A traceparent is only what the standard says it is."""
    assert Span(trace_id="abc", span_id=SPAN).traceparent is None
    assert Span(trace_id="0" * 32, span_id=SPAN).traceparent is None

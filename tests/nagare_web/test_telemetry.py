"""The trace context: the caller's where it sent one, a fresh one otherwise."""

from __future__ import annotations

import re

from django.test import RequestFactory
from opentelemetry import trace

from nagare_web import telemetry

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_an_incoming_trace_goes_on() -> None:
    """Without an exporter, log lines still carry the caller's trace id."""
    request = RequestFactory().get("/", HTTP_TRACEPARENT=f"00-{TRACE}-00f067aa0ba902b7-01")
    with telemetry.request_span(request) as span:
        assert telemetry.traceparent_of(span).split("-")[1] == TRACE


def test_a_malformed_trace_is_replaced() -> None:
    """What is no traceparent is not repeated; the new one is unsampled, as nobody records it."""
    request = RequestFactory().get("/", HTTP_TRACEPARENT="00-zz-11-01")
    with telemetry.request_span(request) as span:
        assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-00", telemetry.traceparent_of(span))


def test_without_an_endpoint_nothing_is_set_up() -> None:
    """The process keeps the API's do-nothing provider."""
    telemetry.configure(None, service="test")
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)

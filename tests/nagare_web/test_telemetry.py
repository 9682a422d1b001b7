"""The trace context: the caller's where it sent one, a fresh one otherwise."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
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


PROGRAM = """
from nagare_web import telemetry
telemetry.configure({endpoint!r}, service="test")
from journal.domain.event import EventData
from journal.store.memory import MemoryStore
MemoryStore().append("order-1", [EventData(type="order.placed", data=b"{{}}")], expected_version=0)
"""


@pytest.mark.slow
def test_with_an_endpoint_spans_and_metrics_arrive_there() -> None:
    """The journal's own, by the time the process has ended."""
    collected: dict[str, bytes] = {}

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collected[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        program = PROGRAM.format(endpoint=f"http://127.0.0.1:{server.server_port}/")
        root = Path(__file__).resolve().parents[2]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("NAGARE_", "OTEL_"))}
        subprocess.run([sys.executable, "-c", program], check=True, cwd=root, env=environment, timeout=60)
        server.shutdown()
    assert b"nagare.eventstore.append" in collected["/v1/traces"]
    assert b"nagare.eventstore.appended" in collected["/v1/metrics"]

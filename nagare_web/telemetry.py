"""OpenTelemetry of the project itself: a span a request, the journal's own spans, and its metrics.

All of it is exported only where NAGARE_OTLP_ENDPOINT says where to.

Without an endpoint the SDK is not even imported. The API then makes spans that record nothing but still carry an
incoming trace context on, so that log lines can be joined with the caller's trace either way.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Final

from opentelemetry import metrics, propagate, trace

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from django.http import HttpRequest, HttpResponseBase

SERVER_ERROR = 500
_KEY: Final = re.compile(r"(?<=^/embed/)[^/]+")
"""Whoever has the address of an embedded run sees it, so logs and traces must not have it."""


def configure(endpoint: str | None, *, service: str, has_gauges: bool = False) -> None:
    """Send spans and metrics to `endpoint`, the base URL of an OTLP/HTTP collector. Does nothing without one.

    `has_gauges` is for one process of an installation: what the tables say would be counted again by every other.
    """
    if endpoint is None or not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415 -- costly
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 -- costly
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415 -- costly
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415 -- costly
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 -- costly
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 -- costly
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 -- costly

    base = endpoint.rstrip("/")
    resource = Resource.create({"service.name": service, "service.instance.id": secrets.token_hex(8)})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{base}/v1/traces")))
    trace.set_tracer_provider(provider)
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=f"{base}/v1/metrics"))
    metrics.set_meter_provider(MeterProvider([reader], resource=resource))
    if has_gauges:
        from journal.runtime import horizon, tracing  # noqa: PLC0415 -- needs Django to be set up

        tracing.observe(held=lambda: horizon.horizon().held_back)


def request_span(request: HttpRequest) -> AbstractContextManager[trace.Span]:
    """Start the span of an incoming request, as a child of the caller's where it sent a `traceparent`."""
    return trace.get_tracer("nagare_web").start_as_current_span(
        request.method or "HTTP",
        context=propagate.extract({name.lower(): value for name, value in request.headers.items()}),
        kind=trace.SpanKind.SERVER,
        attributes={
            "http.request.method": request.method or "",
            "url.path": path_of(request),
            "url.scheme": request.scheme or "",
        },
    )


def path_of(request: HttpRequest) -> str:
    """Return the request's path as it may be written down: an address that is itself a key, without that."""
    return _KEY.sub("…", request.path)


def finish_request_span(span: trace.Span, request: HttpRequest, response: HttpResponseBase) -> None:
    """Add what is known only after routing: the route, which has few values and so names the span, and the status."""
    if request.resolver_match is not None:
        route = f"/{request.resolver_match.route}"
        span.update_name(f"{request.method} {route}")
        span.set_attribute("http.route", route)
    span.set_attribute("http.response.status_code", response.status_code)
    if response.status_code >= SERVER_ERROR:
        span.set_status(trace.StatusCode.ERROR)


def traceparent_of(span: trace.Span) -> str:
    """Return the W3C traceparent of `span`; where nothing is traced, that of a new, unsampled trace."""
    context = span.get_span_context()
    if not context.is_valid:
        return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

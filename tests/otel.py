"""An OpenTelemetry SDK for one test: spans and metrics end in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


class Telemetry:
    """What a program that set up an SDK would have sent."""

    def __init__(self) -> None:
        self._spans = InMemorySpanExporter()
        self._metrics = InMemoryMetricReader()
        self.tracer_provider = TracerProvider()
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._spans))
        self.meter_provider = MeterProvider([self._metrics])

    def spans(self, name: str) -> list[ReadableSpan]:
        """Return the ended spans of a name, in the order they ended in."""
        return [span for span in self._spans.get_finished_spans() if span.name == name]

    def metric(self, name: str) -> dict[frozenset[tuple[str, object]], float]:
        """Return a metric's values by their attributes, collected now."""
        collected = self._metrics.get_metrics_data()
        return {
            frozenset((point.attributes or {}).items()): point.value  # type: ignore[union-attr]
            for resource in (collected.resource_metrics if collected else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        }


@contextmanager
def telemetry() -> Iterator[Telemetry]:
    """Be a program with an SDK. The API lets a process set one up once only, hence the patches."""
    found = Telemetry()
    patch = pytest.MonkeyPatch()
    patch.setattr("opentelemetry.trace._TRACER_PROVIDER", found.tracer_provider)
    patch.setattr("opentelemetry.metrics._internal._METER_PROVIDER", found.meter_provider)
    try:
        yield found
    finally:
        patch.undo()
        found.tracer_provider.shutdown()
        found.meter_provider.shutdown()

"""The way in from a tracing tool: which events were appended in a span."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from explorer.models import EventLine

SHOWN: Final = 100


@dataclass(frozen=True, kw_only=True)
class TracePage:
    """The events of a trace. `of_span` is the first that the span itself appended, None where it appended none."""

    trace_id: str
    span_id: str
    of_span: EventLine | None
    lines: list[EventLine]
    has_more: bool


def trace_page(project: str, trace_id: str, span_id: str) -> TracePage:
    """Return a project's events of a trace, in the journal's order: two look-ups in one index."""
    of_trace = (
        EventLine.objects.filter(run__project=project, trace_id=trace_id).select_related("run").order_by("position")
    )
    of_span = of_trace.filter(span_id=span_id).first()
    lines = list(of_trace[: SHOWN + 1]) if of_span is None else []
    return TracePage(
        trace_id=trace_id, span_id=span_id, of_span=of_span, lines=lines[:SHOWN], has_more=len(lines) > SHOWN
    )

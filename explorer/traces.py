"""From an event to its trace in the operator's own tracing tool."""

from __future__ import annotations

from dataclasses import dataclass

from journal.domain.event import RecordedEvent
from journal.domain.trace import parsed

_address: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """The span an event was appended in; `href` is empty where no tool is configured."""

    trace_id: str
    span_id: str
    href: str


def use(address: str | None) -> None:
    """Link traces by this template, which holds `{trace_id}` and may hold `{span_id}`; None links nothing."""
    global _address  # noqa: PLW0603 -- set once, when the app is ready
    _address = address


def trace_of(event: RecordedEvent) -> Trace | None:
    """Return the span that an event's traceparent names, None where it names none."""
    context = parsed(event.meta.traceparent)
    if context is None:
        return None
    template = _address or ""
    href = template.replace("{trace_id}", context.trace_id).replace("{span_id}", context.span_id)
    return Trace(trace_id=context.trace_id, span_id=context.span_id, href=href)

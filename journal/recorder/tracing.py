"""The trace context of the moment: the current span of OpenTelemetry, where its API is installed and a span is open.

Else the one the process was started in, by the variable that build systems and schedulers set.
"""

from __future__ import annotations

import os

from journal.domain.trace import TraceContext, parsed

try:
    from opentelemetry import trace as _trace
except ImportError:  # the agent need not have it
    _trace = None  # type: ignore[assignment]


def traceparent() -> str | None:
    """Return the W3C traceparent that belongs to what happens now, or None."""
    if _trace is not None:
        context = _trace.get_current_span().get_span_context()
        if context.is_valid:
            return str(
                TraceContext(
                    trace_id=f"{context.trace_id:032x}", span_id=f"{context.span_id:016x}", flags=context.trace_flags
                )
            )
    inherited = os.environ.get("TRACEPARENT")
    return inherited if inherited and parsed(inherited) else None

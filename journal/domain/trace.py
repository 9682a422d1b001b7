"""W3C trace context: the `traceparent` that ties an event to the span it was appended in."""

from __future__ import annotations

import re
from typing import Final

import msgspec

_TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_TRACE_ID: Final = re.compile(r"(?!0+$)[0-9a-f]{32}")
_SPAN_ID: Final = re.compile(r"(?!0+$)[0-9a-f]{16}")


class TraceContext(msgspec.Struct, frozen=True, kw_only=True):
    """A span: its trace, itself, and the flags of its trace. Ids are lower-case hexadecimal."""

    trace_id: str
    span_id: str
    flags: int = 1

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"


def parsed(traceparent: str | None) -> TraceContext | None:
    """Return what a traceparent says, or None where it says nothing that the standard allows.

    Source: W3C Trace Context, section 3.2. Later versions may append fields; those are left out.
    """
    match = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    if match is None or not is_trace_id(match[1]) or not is_span_id(match[2]):
        return None
    return TraceContext(trace_id=match[1], span_id=match[2], flags=int(match[3], 16))


def is_trace_id(text: str) -> bool:
    """Return whether `text` is a trace id; one of zeros alone is none."""
    return _TRACE_ID.fullmatch(text) is not None


def is_span_id(text: str) -> bool:
    """Return whether `text` is a span id; one of zeros alone is none."""
    return _SPAN_ID.fullmatch(text) is not None

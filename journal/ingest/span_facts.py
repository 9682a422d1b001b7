"""What spans say of a call, a failure or an outcome, as plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from journal.ingest.lenient import as_dict, as_float, as_list, as_text
from journal.ingest.span_messages import Message, as_json, canonical, read_messages, said
from journal.ingest.span_reading import Reading, captured, decoded

if TYPE_CHECKING:
    from journal.ingest.dialects import Meaning
    from journal.ingest.span_runs import ModelCall, Trail
    from journal.ingest.spans import Span

AROUND = ("agent", "turn")
"""Roles of spans that hold a whole turn, and can say what it was asked and came to."""


def first_of(call: ModelCall, meaning: Meaning) -> Any:
    """Return a meaning as the innermost span that has it gives it."""
    return next((found for found in (reading.get(meaning) for reading in call.readings) if found is not None), None)


def outcome_of(reading: Reading) -> Any:
    """Return what an agent's or a turn's span gives as its outcome."""
    output = said(read_messages(reading.get("output"), role="assistant")) if reading.role in AROUND else None
    return output.content if output else None


def outermost(trail: Trail) -> dict[str, Reading]:
    """Return the last agent or turn of each trace that is in no other."""
    found = {}
    for reading in trail.readings:
        if reading.role in AROUND and all(one.role not in AROUND for one in trail.ancestors(reading)):
            found[reading.span.trace_id] = reading
    return found


def tools_in(value: object) -> list[Any]:
    """Return the tools offered, one by one: Gemini groups declarations, OpenInference keeps each as JSON text."""
    listed = [decoded(tool) for tool in as_list(decoded(value))]
    grouped = [as_dict(tool).get("function_declarations") or [tool] for tool in listed]
    single = [tool for group in grouped for tool in as_list(group)]
    return [decoded(as_dict(tool).get("tool.json_schema", tool)) for tool in single]


def count_of(call: ModelCall, meaning: Meaning) -> int | None:
    """Return a count as the innermost span that has it gives it."""
    return next((found for found in (reading.count(meaning) for reading in call.readings) if found is not None), None)


def dollars(value: object) -> float | None:
    """Return a cost; attributes that went through a text form hold it as text."""
    try:
        return float(value) if isinstance(value, str) else as_float(value)
    except ValueError:
        return None


def finish_reason(value: object) -> str | None:
    """Return why a response ended: the first of a list, which may be JSON text, or the one given."""
    value = decoded(value)
    return as_text(value[0] if isinstance(value, list) and value else value)


def fingerprint(message: Message) -> str:
    """Return what is equal for the same message however it was recorded; call ids differ between its records."""
    calls = [(call.name, canonical(call.args_json)) for call in message.calls]
    return canonical([message.role, message.content, calls])


def tool_name(reading: Reading) -> str:
    """Return the name of the tool that a span is of."""
    return reading.text("tool") or reading.span.name.removeprefix("execute_tool ").strip()


def has_failed(reading: Reading) -> bool:
    """Whether a tool's span tells of an error, by its status or its error type."""
    return reading.span.status == "error" or captured(reading.flat.get("error.type"))


def reason_of(reading: Reading, *, with_result: bool = False) -> str | None:
    """Return why a span failed, in the source's words: the status, else the exception, and the result if it has one."""
    span: Span = reading.span
    thrown = next(
        (event.attributes.get("exception.message") for event in span.events if event.name == "exception"), None
    )
    reason = (
        span.status_message
        or as_text(reading.text("error"))
        or as_text(thrown)
        or as_text(reading.flat.get("error.type"))
    )
    result = reading.get("result") if with_result else None
    parts = [reason, None if result is None else result if isinstance(result, str) else as_json(result)]
    return "\n".join(part for part in parts if part) or None

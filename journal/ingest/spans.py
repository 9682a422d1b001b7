"""Spans and log records, from OTLP's JSON or any other shape, as plain values.

Attribute keys stay flat, exactly as recorded: `gen_ai.prompt.0.role` is one key, and so is `__proto__.x`. Nothing here
knows files, and nothing knows what an attribute means; that is `journal.ingest.dialects`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import Any, Literal

import msgspec

Status = Literal["unset", "ok", "error"]
Note = Callable[[str], None]

_canonical = msgspec.json.Encoder(enc_hook=str, order="sorted").encode
_INDEX = re.compile(r"\d{1,6}", re.ASCII)
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-01")
_VALUES = (
    "stringValue",
    "boolValue",
    "doubleValue",
    "bytesValue",
    "string_value",
    "bool_value",
    "double_value",
    "bytes_value",
)
STATUSES: dict[object, Status] = {1: "ok", 2: "error"}
KINDS = ("", "internal", "server", "client", "producer", "consumer")


class SpanEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A named moment of a span."""

    name: str
    at_ns: int = 0
    attributes: dict[str, Any] = {}


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """A log record, joined to its span by both ids."""

    name: str = ""
    at_ns: int = 0
    trace_id: str = ""
    span_id: str = ""
    body: Any = None
    attributes: dict[str, Any] = {}
    resource: dict[str, Any] = {}
    line: int | None = None

    @property
    def trace(self) -> str:
        """The trace it is of, or the conversation or session it names; empty where it says neither."""
        named = self.attributes.get("gen_ai.conversation.id") or self.attributes.get("session.id")
        return self.trace_id or str(named or "")

    @property
    def own_id(self) -> str:
        """A name made of what it says, for a record without a span: the same however it came, and when."""
        return f"log-{sha256(_canonical(msgspec.structs.replace(self, line=None))).hexdigest()[:12]}"


class Span(msgspec.Struct, kw_only=True):
    """One span with flat attributes. Times are nanoseconds since 1970, 0 where not recorded; ids lower-case hex."""

    trace_id: str
    span_id: str
    parent_id: str | None = None
    name: str = ""
    kind: str = ""
    start_ns: int = 0
    end_ns: int = 0
    attributes: dict[str, Any] = {}
    events: list[SpanEvent] = []
    logs: list[Log] = []
    status: Status = "unset"
    status_message: str = ""
    scope: str = ""
    resource: dict[str, Any] = {}
    line: int | None = None

    @property
    def place(self) -> str:
        """The span's key within a run: both ids, since span ids are unique within a trace only."""
        return f"{self.trace_id}/{self.span_id}"

    @property
    def traceparent(self) -> str | None:
        """The W3C form of both ids, or None where they are not of its lengths."""
        found = f"00-{self.trace_id}-{self.span_id}-01"
        return found if _TRACEPARENT.fullmatch(found) else None

    @property
    def latency_ms(self) -> float | None:
        """How long it took, or None where a time is missing."""
        return (self.end_ns - self.start_ns) / 1e6 if self.start_ns and self.end_ns >= self.start_ns else None

    def recorded(self) -> dict[str, Any]:
        """Return the span as it was recorded, without what is empty, for an opaque event."""
        return {name: value for name, value in msgspec.to_builtins(self).items() if value and name != "line"}


class Batch(msgspec.Struct, kw_only=True):
    """What one or several export requests held."""

    spans: list[Span] = []
    logs: list[Log] = []

    def add(self, other: Batch) -> None:
        """Take the spans and logs of `other` too."""
        self.spans.extend(other.spans)
        self.logs.extend(other.logs)


def read_request(request: object, note: Note, *, line: int | None = None) -> Batch:
    """Return the spans and log records of an OTLP export request in its JSON form; what is no span is noted."""
    batch = Batch()
    for resource, scope, record in _records(
        request, "resourceSpans", ("scopeSpans", "instrumentationLibrarySpans"), "spans"
    ):
        span = _span(record, resource, scope, line)
        if span is None:
            note("a span without a trace id or a span id")
        else:
            batch.spans.append(span)
    for resource, _scope, record in _records(request, "resourceLogs", ("scopeLogs",), "logRecords"):
        batch.logs.append(_log(record, resource, line))
    return batch


def joined(batch: Batch) -> tuple[list[Span], list[Log]]:
    """Return each span once, ordered by (start, span id), with its log records in time; and those without a span here.

    A span that was exported twice is taken from its last export, since a retry or a resumed export repeats it whole.
    """
    spans = {(span.trace_id, span.span_id): span for span in batch.spans}
    by_span: dict[tuple[str, str], list[Log]] = defaultdict(list)
    for log in batch.logs:
        by_span[log.trace_id, log.span_id].append(log)
    for ids, span in spans.items():
        span.logs = sorted(by_span.pop(ids, []), key=lambda log: log.at_ns)
    alone = [log for logs in by_span.values() for log in logs]
    return in_order(spans.values()), alone


def in_order(spans: Iterable[Span]) -> list[Span]:
    """Return the spans by (start, span id): the order in which what they stand for began."""
    return sorted(spans, key=lambda span: (span.start_ns, span.span_id))


def any_value(value: object) -> Any:
    """Return what an OTLP AnyValue holds; 64-bit integers come as text there, and as numbers here."""
    if not isinstance(value, dict):
        return None
    for name, held in value.items():
        match name:
            case "intValue" | "int_value":
                return as_int(held)
            case "arrayValue" | "array_value":
                return [any_value(item) for item in _list(held, "values")]
            case "kvlistValue" | "kvlist_value":
                return attributes(_list(held, "values"))
            case _ if name in _VALUES:
                return held
    return None


def attributes(pairs: object) -> dict[str, Any]:
    """Return OTLP's list of key and value as a flat dict."""
    if isinstance(pairs, dict):
        return {str(key): value for key, value in pairs.items()}
    if not isinstance(pairs, list):
        return {}
    return {
        pair["key"]: any_value(pair.get("value"))
        for pair in pairs
        if isinstance(pair, dict) and isinstance(pair.get("key"), str)
    }


def unflatten(flat: dict[str, Any], prefix: str) -> list[dict[str, Any]]:
    """Gather `prefix.<n>.<rest>` into one dict per n, in the order of n, each with its `rest` as a flat key.

    Only the number makes structure. `rest` is never split, so no key can become a nested object, and a number stands
    for an order only, so a huge one allocates nothing.
    """
    found: dict[int, dict[str, Any]] = defaultdict(dict)
    start = f"{prefix}."
    for key, value in flat.items():
        if not key.startswith(start):
            continue
        number, _, rest = key[len(start) :].partition(".")
        if _INDEX.fullmatch(number):
            found[int(number)][rest] = value
    return [found[number] for number in sorted(found)]


def as_int(value: object) -> int | None:
    """Return a count as an int: also from text and from a whole float; None where it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,19}", value.strip()):
        return int(value)
    return None


def hex_id(value: object, *, bytes_long: int) -> str:
    """Return an id as lower-case hex: the specified form, or base64, which generic protobuf-to-JSON writers produce."""
    if not isinstance(value, str):
        return ""
    if is_hex(value) or len(value) != (bytes_long + 2) // 3 * 4:
        return value.lower() if is_hex(value) else value
    try:
        return base64.b64decode(value, validate=True).hex()
    except (binascii.Error, ValueError):
        return value


def is_hex(text: str) -> bool:
    """Whether a text is hexadecimal digits only."""
    return re.fullmatch(r"[0-9a-fA-F]+", text) is not None


def _records(
    request: object, top: str, middle: tuple[str, ...], leaf: str
) -> Iterator[tuple[dict[str, Any], str, Any]]:
    for resource in _list(request, top):
        if not isinstance(resource, dict):
            continue
        described = attributes(_field(resource.get("resource"), "attributes"))
        for scoped in (scoped for name in middle for scoped in _list(resource, name)):
            scope = _field(scoped, "scope") or _field(scoped, "instrumentationLibrary")
            for record in _list(scoped, leaf):
                yield described, _text(_field(scope, "name")), record


def _span(record: object, resource: dict[str, Any], scope: str, line: int | None) -> Span | None:
    if not isinstance(record, dict):
        return None
    trace = hex_id(_field(record, "traceId"), bytes_long=16)
    span = hex_id(_field(record, "spanId"), bytes_long=8)
    if not trace or not span:
        return None
    parent = hex_id(_field(record, "parentSpanId"), bytes_long=8)
    status = record.get("status")
    return Span(
        trace_id=trace,
        span_id=span,
        parent_id=parent if parent.strip("0") else None,
        name=_text(record.get("name")),
        kind=_kind(record.get("kind")),
        start_ns=as_int(_field(record, "startTimeUnixNano")) or 0,
        end_ns=as_int(_field(record, "endTimeUnixNano")) or 0,
        attributes=attributes(record.get("attributes")),
        events=[_event(event) for event in _list(record, "events") if isinstance(event, dict)],
        status=_status(_field(status, "code")),
        status_message=_text(_field(status, "message")),
        scope=scope,
        resource=resource,
        line=line,
    )


def _event(record: dict[str, Any]) -> SpanEvent:
    return SpanEvent(
        name=_text(record.get("name")),
        at_ns=as_int(_field(record, "timeUnixNano")) or 0,
        attributes=attributes(record.get("attributes")),
    )


def _log(record: object, resource: dict[str, Any], line: int | None) -> Log:
    known = attributes(_field(record, "attributes"))
    return Log(
        name=_text(_field(record, "eventName")) or _text(known.get("event.name")),
        at_ns=as_int(_field(record, "timeUnixNano")) or as_int(_field(record, "observedTimeUnixNano")) or 0,
        trace_id=hex_id(_field(record, "traceId"), bytes_long=16),
        span_id=hex_id(_field(record, "spanId"), bytes_long=8),
        body=any_value(_field(record, "body")),
        attributes=known,
        resource=resource,
        line=line,
    )


def _kind(value: object) -> str:
    if isinstance(value, int) and 0 <= value < len(KINDS):
        return KINDS[value]
    return _text(value).removeprefix("SPAN_KIND_").lower()


def _status(code: object) -> Status:
    if isinstance(code, str) and code.upper().endswith(("ERROR", "OK")):
        return "error" if code.upper().endswith("ERROR") else "ok"
    return STATUSES.get(as_int(code), "unset")


def _field(record: object, name: str) -> Any:
    """Look a field up by its JSON name, or by the protobuf name some writers keep."""
    if not isinstance(record, dict):
        return None
    if name in record:
        return record[name]
    return record.get(re.sub(r"(?<=[a-z])([A-Z])", lambda found: f"_{found[1].lower()}", name))


def _list(record: object, name: str) -> list[Any]:
    value = _field(record, name)
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""

"""OTLP export requests as they come over HTTP: protobuf or JSON in, spans and log records out, and what is answered.

JSON is read by what reads files. Protobuf is typed, so that its fields are taken as they are; that a trace means the
same whichever way it came is tested, field by field.

Source: OpenTelemetry Protocol specification 1.x, OTLP/HTTP; JSON Protobuf encoding.
"""

from __future__ import annotations

import base64
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any, Final, Literal

import msgspec

from journal.domain import codec
from journal.errors import ImportRefused, PayloadRefused
from journal.ingest.source import decode
from journal.ingest.span_reading import decoded
from journal.ingest.spans import KINDS, STATUSES, Batch, Log, Span, SpanEvent, read_request

Signal = Literal["traces", "logs"]
Encoding = Literal["application/x-protobuf", "application/json"]

ENCODINGS: Final[tuple[Encoding, ...]] = ("application/x-protobuf", "application/json")
MAX_RECORD_BYTES: Final = 4 * 2**20
"""Bytes of one span or log record: an event made of it stays below what every database takes in one row."""

MAX_KEPT_BYTES: Final = 4 * 32 * 2**20
"""Bytes of all records of a request: each repeats its resource and scope, which stand in the request once for many."""

_NUL: Final = rb"\u0000"
_TRACE_ID: Final = 32
_SPAN_ID: Final = 16
_REASONS_TOLD: Final = 5
_MODULES: Final = {"traces": "trace.v1.trace_service_pb2", "logs": "logs.v1.logs_service_pb2"}
_NAMES: Final = {"traces": "ExportTraceService", "logs": "ExportLogsService"}
_REJECTED: Final = {"traces": "rejected_spans", "logs": "rejected_log_records"}


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A span or log record that is taken, with the bytes it is kept as."""

    item: Span | Log
    body: bytes


class Received(msgspec.Struct, kw_only=True):
    """What a request held: the records that are taken, and why others are not."""

    records: list[Record] = []
    refused: Counter[str] = msgspec.field(default_factory=Counter)

    @property
    def rejected(self) -> int:
        """How many records are not taken."""
        return self.refused.total()

    @property
    def reasons(self) -> str:
        """Why, most frequent first; empty where all are taken."""
        told = [f"{reason} ({count:,})" for reason, count in self.refused.most_common(_REASONS_TOLD)]
        more = len(self.refused) - len(told)
        return "; ".join(told) + (f"; and {more:,} other reasons" if more > 0 else "")


def read(raw: bytes, *, signal: Signal, encoding: Encoding) -> Received:
    """Return the records of one export request. One that cannot be kept is counted, and the others are taken.

    Raises:
        ImportRefused: the body is not such a request at all, or becomes many times as much.
    """
    received, size = Received(), 0
    if encoding == "application/json":
        batch = read_request(_from_json(raw), lambda reason: received.refused.update([reason]))
    else:
        batch = _from_protobuf(raw, signal)
    for item in _of_signal(batch, signal):
        fault, body = _kept(item)
        size += len(body)
        if size > MAX_KEPT_BYTES:
            raise ImportRefused(
                f"its records come to more than {MAX_KEPT_BYTES:,} bytes, as each repeats its resource; send fewer"
            )
        if fault:
            received.refused[fault] += 1
        else:
            received.records.append(Record(item=item, body=body))
    return received


def answer(received: Received, *, signal: Signal, encoding: Encoding) -> bytes:
    """Return the body of the answer: empty of meaning where all was taken, else how much was not, and why."""
    rejected = _REJECTED[signal]
    if encoding == "application/json":
        name = "rejectedSpans" if signal == "traces" else "rejectedLogRecords"
        partial = {name: str(received.rejected), "errorMessage": received.reasons}
        return codec.encode({"partialSuccess": partial} if received.rejected else {})
    response = _message(signal, "Response")
    if received.rejected:
        setattr(response.partial_success, rejected, received.rejected)
        response.partial_success.error_message = received.reasons
    encoded: bytes = response.SerializeToString()
    return encoded


def failure(code: int, message: str, *, encoding: Encoding) -> bytes:
    """Return a `google.rpc.Status`, which is how OTLP says that a whole request was refused."""
    if encoding == "application/json":
        return codec.encode({"code": code, "message": message})
    said = message.encode("utf-8", "replace")
    return b"\x08" + _varint(code) + b"\x12" + _varint(len(said)) + said


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:  # noqa: PLR2004 - seven bits a byte
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def _of_signal(batch: Batch, signal: Signal) -> Iterable[Span | Log]:
    return batch.spans if signal == "traces" else map(_without_zeros, batch.logs)


def _without_zeros(log: Log) -> Log:
    """Return a log record whose ids of zeros, which is how some writers say none, are left out."""
    zeros = {name: "" for name in ("trace_id", "span_id") if not getattr(log, name).strip("0")}
    return msgspec.structs.replace(log, **zeros)


# --- What can be kept -------------------------------------------------------------------------------------------------


def _kept(item: Span | Log) -> tuple[str, bytes]:
    """Return why a record cannot be taken, or nothing, and its bytes as far as there are any."""
    if fault := _fault_of_span(item) if isinstance(item, Span) else _fault_of_log(item):
        return fault, b""
    body = b""
    try:
        body = codec.encode(item)
        codec.check_object(body, what="it")
    except PayloadRefused as refused:
        return refused.reason, body
    except (UnicodeEncodeError, RecursionError):
        return "it holds text that is no Unicode, or nests too deeply", b""
    if len(body) > MAX_RECORD_BYTES:
        return f"a record has {MAX_RECORD_BYTES:,} bytes at most", body
    if _NUL in body and _holds_nul(msgspec.json.decode(body)):
        return "JSON in one of its attributes holds a NUL, which no event can", body
    return "", body


def _holds_nul(value: Any) -> bool:
    """Return whether a text in a value is JSON with a NUL in it: told as an event it would be one."""
    if isinstance(value, str):
        inner = decoded(value)
        return "\x00" in value or (inner is not value and _NUL in codec.encode(inner).replace(rb"\\", b""))
    if isinstance(value, dict):
        return any(map(_holds_nul, value.values()))
    return isinstance(value, list) and any(map(_holds_nul, value))


def _fault_of_span(span: Span) -> str:
    if _is_id(span.trace_id, _TRACE_ID) and _is_id(span.span_id, _SPAN_ID):
        return ""
    return f"a trace id is {_TRACE_ID} hexadecimal digits and a span id {_SPAN_ID}, not all of them zero"


def _fault_of_log(log: Log) -> str:
    for name, width in (("trace_id", _TRACE_ID), ("span_id", _SPAN_ID)):
        value = getattr(log, name)
        if value and not _is_id(value, width):
            return f"a log record's {name} is {width} hexadecimal digits, or left out"
    return "" if log.trace else "a log record of no trace, conversation or session belongs to no run"


def _is_id(text: str, width: int) -> bool:
    return len(text) == width and bool(text.strip("0")) and not text.strip("0123456789abcdef")


# --- JSON -------------------------------------------------------------------------------------------------------------


def _from_json(raw: bytes) -> dict[str, Any]:
    request = decode(raw)
    if not isinstance(request, dict):
        raise ImportRefused("an export request is one JSON object")
    return request


# --- Protobuf ---------------------------------------------------------------------------------------------------------


def _from_protobuf(raw: bytes, signal: Signal) -> Batch:
    message = _message(signal, "Request")
    decode_error: Any = import_module("google.protobuf.message").DecodeError
    try:
        message.ParseFromString(raw)
    except decode_error as error:
        raise ImportRefused(f"the body is no {_NAMES[signal]}Request in protobuf") from error
    return Batch(spans=list(_spans(message))) if signal == "traces" else Batch(logs=list(_logs(message)))


def _message(signal: Signal, kind: str) -> Any:
    module = import_module(f"opentelemetry.proto.collector.{_MODULES[signal]}")
    return getattr(module, _NAMES[signal] + kind)()


def _spans(message: Any) -> Iterator[Span]:
    for resource in message.resource_spans:
        described = _pairs(resource.resource.attributes)
        for scoped in resource.scope_spans:
            scope = scoped.scope.name
            yield from (_span(span, scope, described) for span in scoped.spans)


def _span(span: Any, scope: str, resource: dict[str, Any]) -> Span:
    parent = span.parent_span_id.hex()
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=parent if parent.strip("0") else None,
        name=span.name,
        kind=KINDS[span.kind] if 0 <= span.kind < len(KINDS) else "",
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        attributes=_pairs(span.attributes),
        events=[
            SpanEvent(name=event.name, at_ns=event.time_unix_nano, attributes=_pairs(event.attributes))
            for event in span.events
        ],
        status=STATUSES.get(span.status.code, "unset"),
        status_message=span.status.message,
        scope=scope,
        resource=resource,
    )


def _logs(message: Any) -> Iterator[Log]:
    for resource in message.resource_logs:
        described = _pairs(resource.resource.attributes)
        yield from (_log(log, described) for scoped in resource.scope_logs for log in scoped.log_records)


def _log(log: Any, resource: dict[str, Any]) -> Log:
    known = _pairs(log.attributes)
    named = known.get("event.name")
    return Log(
        name=log.event_name or (named if isinstance(named, str) else ""),
        at_ns=log.time_unix_nano or log.observed_time_unix_nano,
        trace_id=log.trace_id.hex(),
        span_id=log.span_id.hex(),
        body=_value(log.body),
        attributes=known,
        resource=resource,
    )


def _pairs(attributes: Iterable[Any]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in attributes}


def _value(value: Any) -> Any:
    """Return what an AnyValue holds; what JSON has no number for is the text that the JSON encoding writes."""
    kind = value.WhichOneof("value")
    if kind in _PLAIN:
        return getattr(value, kind)
    match kind:
        case "double_value":
            return _double(value.double_value)
        case "array_value":
            return [_value(item) for item in value.array_value.values]
        case "kvlist_value":
            return _pairs(value.kvlist_value.values)
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case _:
            return None


_PLAIN: Final = frozenset({"string_value", "bool_value", "int_value"})


def _double(number: float) -> float | str:
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"

"""A run as OTLP/JSON spans by the GenAI semantic conventions: the run, its model responses, its tool calls.

Span and trace ids are the recorded ones where an event has a traceparent, else derived from the run and the event, so
that exporting twice gives the same spans.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import msgspec

from journal.domain import agent_run as run
from journal.domain.catalog import catalog
from journal.domain.event import RecordedEvent
from journal.domain.text import plain

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ERROR, _INTERNAL, _CLIENT = 2, 1, 3
_TRACEPARENT_DASHES = 3


def otlp(events: Iterable[RecordedEvent]) -> Iterator[bytes]:
    """Yield the export request, indented, in one piece."""
    trace = _Trace()
    for event in events:
        trace.take(event)
    yield msgspec.json.format(msgspec.json.encode(trace.finished()), indent=2) + b"\n"


class _Call(msgspec.Struct, frozen=True, kw_only=True):
    """A call that waits for its result: it began behind the response that decided on it, where there is one."""

    event: RecordedEvent
    call: run.Reasoned
    begin_ns: int
    has_response: bool


class _Response(msgspec.Struct, frozen=True, kw_only=True):
    """A response whose calls are still coming. `said` is what was said since the one before it."""

    event: RecordedEvent
    response: run.ModelResponded
    begin_ns: int
    said: list[dict[str, Any]]
    output: list[dict[str, Any]]


class _Trace:
    def __init__(self) -> None:
        self._spans: list[dict[str, Any]] = []
        self._calls: dict[str, _Call] = {}
        self._said: list[dict[str, Any]] = []
        self._response: _Response | None = None
        self._called: RecordedEvent | None = None
        self._decided_ns: int | None = None
        self._first: RecordedEvent | None = None
        self._moments: dict[str, int] = {}
        self._at_once: Counter[int] = Counter()
        self._started = run.Started()

    def take(self, event: RecordedEvent) -> None:
        """Turn an event into a span, or into a part of one."""
        self._first = self._first or event
        self._moments[event.id] = self._moment(event)
        match catalog.decode(event):
            case run.Started() as started:
                self._started = started
            case run.MessageReceived() as message:
                self._said.append(_message(message.role, plain(message.content)))
            case run.ModelCalled():
                self._called = event
            case run.ModelResponded() as response:
                self._respond(event, response)
            case run.Reasoned() as call:
                self._call(event, call)
            case run.ToolReturned() as result:
                self._tool(event, result.call_id, result.tool_name, result.response_json, None)
            case run.ToolFailed() as failure:
                why = failure.message or failure.error_code or "failed"
                self._tool(event, failure.call_id, failure.tool_name, why, failure.error_code or "tool_error")
            case _:
                pass

    def _moment(self, event: RecordedEvent) -> int:
        """Return the event's nanosecond. Where a source has one time for many events, they stay in their order."""
        at = (event.occurred_at - _EPOCH) // _MICROSECOND
        self._at_once[at] += 1
        return at * 1000 + self._at_once[at]

    def _respond(self, event: RecordedEvent, response: run.ModelResponded) -> None:
        self._close_response()
        begin_ns = self._moments[(self._called or event).id]
        content = [{"type": "text", "content": plain(response.content)}] if response.content else []
        self._response = _Response(event=event, response=response, begin_ns=begin_ns, said=self._said, output=content)
        self._called, self._said, self._decided_ns = None, [], begin_ns

    def _call(self, event: RecordedEvent, call: run.Reasoned) -> None:
        call_id = call.call_id or f"call-{event.version}"
        begin_ns = max(self._moments[event.id], (self._decided_ns or 0) + 1)
        has_response = self._response is not None
        self._calls[call_id] = _Call(event=event, call=call, begin_ns=begin_ns, has_response=has_response)
        if self._response is not None:
            self._response.output.append(
                {"type": "tool_call", "id": call_id, "name": call.tool_name, "arguments": call.args_json}
            )

    def _close_response(self) -> None:
        """A response's span can be written when all its calls are known."""
        if self._response is None:
            return
        response, output = self._response.response, self._response.output
        model = self._started.model or "unknown"
        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": model,
            "gen_ai.usage.input_tokens": response.input_tokens,
            "gen_ai.usage.output_tokens": response.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": response.cached_tokens,
            "gen_ai.usage.cost": response.cost_usd,
            "gen_ai.response.finish_reasons": [response.finish_reason] if response.finish_reason else None,
            "gen_ai.input.messages": _json(self._response.said) if self._response.said else None,
            "gen_ai.output.messages": _json([{"role": "assistant", "parts": output}]) if output else None,
        }
        self._add(self._response.event, f"chat {model}", _CLIENT, attributes, begin_ns=self._response.begin_ns)
        self._response = None

    def _tool(self, event: RecordedEvent, call_id: str | None, tool: str, said: str, error: str | None) -> None:
        self._close_response()
        known = self._calls.pop(call_id or self._oldest_open(tool), None)
        name = tool or (known.call.tool_name if known else "")
        attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": name,
            "gen_ai.tool.call.id": call_id or (f"call-{known.event.version}" if known else None),
            "gen_ai.tool.call.arguments": known.call.args_json if known else "{}",
            "gen_ai.tool.call.result": None if error else said,
            "error.type": error,
        }
        part = {"type": "tool_call_response", "id": attributes["gen_ai.tool.call.id"], "response": said}
        self._said.append({"role": "tool", "parts": [part]})
        begin_ns = known.begin_ns if known else self._moments[event.id]
        self._add(event, f"execute_tool {name}", _INTERNAL, attributes, begin_ns=begin_ns, error=error and said)

    def _oldest_open(self, tool: str) -> str:
        """Return the key of the call that a result without an id answers, as the run's state has it."""
        return next((key for key, known in self._calls.items() if known.call.tool_name == tool), "")

    def _add(  # noqa: PLR0913 - a span has that many parts
        self,
        event: RecordedEvent,
        name: str,
        kind: int,
        attributes: dict[str, Any],
        *,
        begin_ns: int,
        error: str | None = None,
    ) -> None:
        known = {"gen_ai.conversation.id": event.stream, "nagare.version": event.version, **attributes}
        self._spans.append(
            {
                "traceId": self._trace_id(),
                "spanId": _span_id(event.id),
                "parentSpanId": _span_id(event.stream),
                "name": name,
                "kind": kind,
                "startTimeUnixNano": str(begin_ns),
                "endTimeUnixNano": str(max(begin_ns, self._moments[event.id])),
                "attributes": _attributes(known),
                "status": {"code": _ERROR, "message": error} if error else {},
            }
        )

    def finished(self) -> dict[str, Any]:
        """Return the export request: the run's own span first."""
        self._close_response()
        for known in self._calls.values():
            if not known.has_response:  # else the response tells of it; a span would say that it was carried out
                self._open_call(known)
        spans = [self._root(self._first), *self._spans] if self._first is not None else []
        resource = {"attributes": _attributes({"service.name": self._started.agent or "agent"})}
        return {
            "resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "nagare"}, "spans": spans}]}]
        }

    def _open_call(self, known: _Call) -> None:
        attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": known.call.tool_name,
            "gen_ai.tool.call.id": known.call.call_id,
            "gen_ai.tool.call.arguments": known.call.args_json,
        }
        name = f"execute_tool {known.call.tool_name}"
        self._add(known.event, name, _INTERNAL, attributes, begin_ns=known.begin_ns)

    def _root(self, first: RecordedEvent) -> dict[str, Any]:
        agent = self._started.agent or "agent"
        attributes = {
            "gen_ai.conversation.id": first.stream,
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": agent,
            "gen_ai.request.model": self._started.model,
        }
        return {
            "traceId": self._trace_id(),
            "spanId": _span_id(first.stream),
            "name": f"invoke_agent {agent}",
            "kind": _INTERNAL,
            "startTimeUnixNano": str(min(self._moments.values()) - 1),
            "endTimeUnixNano": str(max(self._moments.values())),
            "attributes": _attributes(attributes),
            "status": {},
        }

    def _trace_id(self) -> str:
        first = self._first
        recorded = first.meta.traceparent if first else None
        if recorded and recorded.count("-") == _TRACEPARENT_DASHES:
            return recorded.split("-")[1]
        return sha256(first.stream.encode()).hexdigest()[:32] if first else "0" * 31 + "1"


def _span_id(event_id: str) -> str:
    return sha256(event_id.encode()).hexdigest()[:16]


def _attributes(known: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in known.items() if value is not None]


def _message(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _value(value: Any) -> dict[str, Any]:
    """Return a value as OTLP's AnyValue; integers are text there."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(item) for item in value]}}
    return {"stringValue": str(value)}

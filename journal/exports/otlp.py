"""A run as OTLP/JSON spans by the GenAI semantic conventions: the run, its model responses, its tool calls.

Span and trace ids are the recorded ones where an event has a traceparent, else derived from the run and the event, so
that exporting twice gives the same spans.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any

import msgspec

from journal.domain import agent_run as run
from journal.domain.catalog import catalog
from journal.domain.event import RecordedEvent
from journal.domain.text import plain

_ERROR, _INTERNAL, _CLIENT = 2, 1, 3
_TRACEPARENT_DASHES = 3


def otlp(events: Iterable[RecordedEvent]) -> Iterator[bytes]:
    """Yield the export request, indented, in one piece."""
    trace = _Trace()
    for event in events:
        trace.take(event)
    yield msgspec.json.format(msgspec.json.encode(trace.finished()), indent=2) + b"\n"


class _Trace:
    def __init__(self) -> None:
        self._spans: list[dict[str, Any]] = []
        self._calls: dict[str, tuple[RecordedEvent, run.Reasoned]] = {}
        self._said: list[dict[str, Any]] = []
        self._response: tuple[RecordedEvent, run.ModelResponded] | None = None
        self._output: list[dict[str, Any]] = []
        self._called: RecordedEvent | None = None
        self._first: RecordedEvent | None = None
        self._last: RecordedEvent | None = None
        self._started = run.Started()

    def take(self, event: RecordedEvent) -> None:
        """Turn an event into a span, or into a part of one."""
        self._first, self._last = self._first or event, event
        match catalog.decode(event):
            case run.Started() as started:
                self._started = started
            case run.MessageReceived() as message:
                self._said.append(_message(message.role, plain(message.content)))
            case run.ModelCalled():
                self._called = event
            case run.ModelResponded() as response:
                self._close_response()
                self._response = (event, response)
                self._output = [{"type": "text", "content": plain(response.content)}] if response.content else []
            case run.Reasoned() as call:
                call_id = call.call_id or f"call-{event.version}"
                self._calls[call_id] = (event, call)
                self._output.append(
                    {"type": "tool_call", "id": call_id, "name": call.tool_name, "arguments": call.args_json}
                )
            case run.ToolReturned() as result:
                self._tool(event, result.call_id, result.tool_name, result.response_json, None)
            case run.ToolFailed() as failure:
                why = failure.message or failure.error_code or "failed"
                self._tool(event, failure.call_id, failure.tool_name, why, failure.error_code or "tool_error")
            case _:
                pass

    def _close_response(self) -> None:
        """A response's span can be written when all its calls are known."""
        if self._response is None:
            return
        event, response = self._response
        model = self._started.model or "unknown"
        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": model,
            "gen_ai.usage.input_tokens": response.input_tokens,
            "gen_ai.usage.output_tokens": response.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": response.cached_tokens,
            "gen_ai.response.finish_reasons": [response.finish_reason] if response.finish_reason else None,
            "gen_ai.input.messages": _json(self._said) if self._said else None,
            "gen_ai.output.messages": _json([{"role": "assistant", "parts": self._output}]) if self._output else None,
        }
        self._add(event, f"chat {model}", _CLIENT, attributes, began=self._called)
        self._response, self._called, self._said = None, None, []

    def _tool(self, event: RecordedEvent, call_id: str | None, tool: str, said: str, error: str | None) -> None:
        self._close_response()
        began, call = self._calls.pop(call_id or "", (None, run.Reasoned(tool_name=tool)))
        attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": tool or call.tool_name,
            "gen_ai.tool.call.id": call_id,
            "gen_ai.tool.call.arguments": call.args_json,
            "gen_ai.tool.call.result": said,
            "error.type": error,
        }
        self._said.append({"role": "tool", "parts": [{"type": "tool_call_response", "id": call_id, "response": said}]})
        self._add(
            event, f"execute_tool {tool or call.tool_name}", _INTERNAL, attributes, began=began, error=error and said
        )

    def _add(  # noqa: PLR0913 - a span has that many parts
        self,
        event: RecordedEvent,
        name: str,
        kind: int,
        attributes: dict[str, Any],
        *,
        began: RecordedEvent | None = None,
        error: str | None = None,
        is_root: bool = False,
    ) -> None:
        known = {"gen_ai.conversation.id": event.stream, "nagare.version": event.version, **attributes}
        span = {
            "traceId": self._trace_id(),
            "spanId": _span_id(event.stream if is_root else event.id),
            "name": name,
            "kind": kind,
            "startTimeUnixNano": _nanoseconds(began or event),
            "endTimeUnixNano": _nanoseconds(self._last if is_root and self._last else event),
            "attributes": [{"key": key, "value": _value(value)} for key, value in known.items() if value is not None],
            "status": {"code": _ERROR, "message": error} if error else {},
        }
        if not is_root:
            span["parentSpanId"] = _span_id(event.stream)
        self._spans.append(span)

    def finished(self) -> dict[str, Any]:
        """Return the export request: the run's own span first."""
        self._close_response()
        for event, call in self._calls.values():  # decided on, and never answered
            attributes = {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": call.tool_name,
                "gen_ai.tool.call.id": call.call_id,
                "gen_ai.tool.call.arguments": call.args_json,
            }
            self._add(event, f"execute_tool {call.tool_name}", _INTERNAL, attributes)
        if self._first is not None:
            agent = self._started.agent or "agent"
            attributes = {
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": agent,
                "gen_ai.request.model": self._started.model,
            }
            self._add(self._first, f"invoke_agent {agent}", _INTERNAL, attributes, is_root=True)
            self._spans.insert(0, self._spans.pop())
        scope = {"scope": {"name": "nagare"}, "spans": self._spans}
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": self._started.agent or "agent"}}]}
        return {"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}

    def _trace_id(self) -> str:
        first = self._first
        recorded = first.meta.traceparent if first else None
        if recorded and recorded.count("-") == _TRACEPARENT_DASHES:
            return recorded.split("-")[1]
        return sha256(first.stream.encode()).hexdigest()[:32] if first else "0" * 31 + "1"


def _span_id(event_id: str) -> str:
    return sha256(event_id.encode()).hexdigest()[:16]


def _nanoseconds(event: RecordedEvent) -> str:
    whole = int(event.occurred_at.timestamp())
    return str(whole * 10**9 + event.occurred_at.microsecond * 1000)


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

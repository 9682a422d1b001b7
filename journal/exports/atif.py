"""A run as an ATIF v1.7 trajectory: one JSON document, a step per message and per response.

A response, the calls it decided on and what they returned are one step. What ATIF has no place for (memory, grades,
notes, records kept raw) goes into the step's or the document's `extra`, by event.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from journal.domain import agent_run as run
from journal.domain.catalog import catalog
from journal.domain.event import RecordedEvent, instant
from journal.domain.text import parsed, plain

_SOURCES = {"system": "system", "developer": "system", "assistant": "agent"}


def atif(events: Iterable[RecordedEvent]) -> Iterator[bytes]:
    """Yield the document, indented, in one piece."""
    document = _Document()
    for event in events:
        document.take(event)
    yield msgspec.json.format(msgspec.json.encode(document.finished()), indent=2) + b"\n"


class _Document:
    def __init__(self) -> None:
        self._agent: dict[str, Any] = {"name": "agent", "version": "unknown"}
        self._stream = ""
        self._steps: list[dict[str, Any]] = []
        self._calls: dict[str, dict[str, Any]] = {}
        self._current: dict[str, Any] | None = None
        self._totals: dict[str, float] = {}
        self._extra: list[dict[str, Any]] = []

    def take(self, event: RecordedEvent) -> None:
        """Put an event where the format has a place for it."""
        self._stream = event.stream
        match catalog.decode(event):
            case run.Started() as started:
                self._start(started)
            case run.MessageReceived() as message:
                self._hear(event, message)
            case run.ModelResponded() as response:
                self._respond(event, response)
            case run.Reasoned() as call:
                self._call(event, call)
            case run.ToolReturned() as result:
                self._observe(event, result.call_id, _text(parsed(result.response_json)), {"is_error": False})
            case run.ToolFailed() as failure:
                error = {"is_error": True, "error_code": failure.error_code}
                self._observe(event, failure.call_id, failure.message or failure.error_code or "failed", error)
            case run.ModelCalled() | run.Answered():
                pass  # the response it belongs to is a step already
            case _:
                self._extra.append({"version": event.version, "type": event.type, "data": event.payload})

    def _start(self, started: run.Started) -> None:
        self._agent["name"] = started.agent or "agent"
        self._agent["version"] = str(started.context.get("version") or "unknown")
        if started.model:
            self._agent["model_name"] = started.model
        if started.tools:
            self._agent["tool_definitions"] = [
                tool if isinstance(tool, dict) else {"name": tool} for tool in started.tools
            ]

    def _step(self, event: RecordedEvent, source: str, message: str) -> dict[str, Any]:
        step: dict[str, Any] = {"step_id": len(self._steps) + 1, "source": source, "message": message}
        if event.meta.time == "recorded":
            step["timestamp"] = instant(event.occurred_at)
        self._steps.append(step)
        return step

    def _hear(self, event: RecordedEvent, message: run.MessageReceived) -> None:
        """What an agent is said to have said is no decision of this run: no call to a model stands behind it."""
        self._current = None
        step = self._step(event, _SOURCES.get(message.role, "user"), plain(message.content))
        if step["source"] == "agent":
            step["llm_call_count"] = 0

    def _respond(self, event: RecordedEvent, response: run.ModelResponded) -> None:
        step = self._current = self._step(event, "agent", plain(response.content))
        if response.reasoning:
            step["reasoning_content"] = response.reasoning
        metrics = {
            "prompt_tokens": response.input_tokens,
            "completion_tokens": response.output_tokens,
            "cached_tokens": response.cached_tokens,
            "cost_usd": response.cost_usd,
        }
        known = {name: value for name, value in metrics.items() if value is not None}
        if known:
            step["metrics"] = known
        for name, value in known.items():
            self._totals[name] = self._totals.get(name, 0) + value

    def _call(self, event: RecordedEvent, call: run.Reasoned) -> None:
        step = self._current
        if step is None:
            step = self._current = self._step(event, "agent", "")
            step["llm_call_count"] = 0
        call_id = call.call_id or f"call-{event.version}"
        arguments = parsed(call.args_json)
        step.setdefault("tool_calls", []).append(
            {
                "tool_call_id": call_id,
                "function_name": call.tool_name,
                "arguments": arguments if isinstance(arguments, dict) else {"value": arguments},
            }
        )
        self._calls[call_id] = step

    def _observe(self, event: RecordedEvent, call_id: str | None, content: str, extra: dict[str, Any]) -> None:
        step = self._calls.get(call_id or "") or self._current or self._step(event, "system", "")
        known = {name: value for name, value in extra.items() if value is not None}
        result: dict[str, Any] = {"content": content, "extra": known}
        if call_id is not None:
            result["source_call_id"] = call_id
        step.setdefault("observation", {"results": []})["results"].append(result)

    def finished(self) -> dict[str, Any]:
        """Return the document."""
        final = {f"total_{name}": value for name, value in self._totals.items()}
        document = {
            "schema_version": "ATIF-v1.7",
            "session_id": self._stream,
            "trajectory_id": self._stream,
            "agent": self._agent,
            "steps": self._steps,
            "final_metrics": {**final, "total_steps": len(self._steps)},
        }
        if self._extra:
            document["extra"] = {"nagare_events": self._extra}
        return document


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()

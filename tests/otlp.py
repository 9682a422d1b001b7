"""OTLP for tests: spans of a made-up agent as the JSON of an export request, a sender, what was made of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.test import Client

from journal.ingest.span_settler import Settled, settle_due
from journal.store import get_store

TRACE = "0af7651916cd43dd8448eb211c80319c"
QUIET = timedelta(seconds=6)
BEGAN_NS = 1_764_000_000_000_000_000


def pairs(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    """Write attributes as OTLP's JSON does."""
    kinds = {bool: "boolValue", int: "intValue", float: "doubleValue", str: "stringValue"}
    return [{"key": key, "value": {kinds[type(value)]: value}} for key, value in attributes.items()]


def span(
    number: int, name: str, parent: int | None = None, *, trace: str = TRACE, took: float = 0.5, **attributes: Any
) -> dict[str, Any]:
    """A span that began at `number` seconds; attributes are written with `__` for a dot."""
    began = BEGAN_NS + number * 10**9
    return {
        "traceId": trace,
        "spanId": f"{number:016x}",
        "parentSpanId": "" if parent is None else f"{parent:016x}",
        "name": name,
        "kind": 1,
        "startTimeUnixNano": str(began),
        "endTimeUnixNano": str(began + int(took * 10**9)),
        "attributes": pairs({key.replace("__", "."): value for key, value in attributes.items()}),
        "status": {},
    }


def agent(number: int, **more: Any) -> dict[str, Any]:
    """The outermost span of an agent."""
    return span(number, "invoke_agent planner", took=1000.0, gen_ai__operation__name="invoke_agent",
                gen_ai__agent__name="planner", **more)  # fmt: skip


def chat(number: int, parent: int | None = 1, *, says: str = "", calls: str = "", **more: Any) -> dict[str, Any]:
    """A model call, which says something or asks for a tool; with neither, its content was not captured."""
    parts: list[dict[str, Any]] = [{"type": "text", "content": says}] if says else []
    parts += [{"type": "tool_call", "id": f"c{number}", "name": calls, "arguments": {"n": number}}] if calls else []
    told = json.dumps([{"role": "assistant", "parts": parts}])
    said: dict[str, Any] = {"gen_ai__output__messages": told} if parts else {}
    return span(number, "chat", parent, gen_ai__operation__name="chat", gen_ai__request__model="orion-3",
                gen_ai__usage__input_tokens=10, gen_ai__usage__output_tokens=2, **said, **more)  # fmt: skip


def tool(number: int, name: str, of: int, parent: int | None = 1, **more: Any) -> dict[str, Any]:
    """The span of a tool that the model call `of` asked for."""
    return span(number, f"execute_tool {name}", parent, gen_ai__operation__name="execute_tool", gen_ai__tool__name=name,
                gen_ai__tool__call__id=f"c{of}", gen_ai__tool__call__result=f"result {number}", **more)  # fmt: skip


def hundred() -> list[dict[str, Any]]:
    """A run of a hundred spans: an agent, and 33 times a model call, its tool, and the tool's request."""
    spans = [agent(1)]
    for at in range(2, 101, 3):
        spans += [chat(at, calls="search"), tool(at + 1, "search", at), span(at + 2, "GET", at + 1)]
    return spans


def message_log(number: int, said: str, *, trace: str = TRACE) -> dict[str, Any]:
    """The log record with what a model call said."""
    messages = json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": said}]}])
    return {
        "traceId": trace, "spanId": f"{number:016x}", "timeUnixNano": str(BEGAN_NS + number * 10**9 + 1),
        "eventName": "gen_ai.client.inference.operation.details",
        "attributes": pairs({"gen_ai.output.messages": messages}),
    }  # fmt: skip


def traces(*spans: Any) -> dict[str, Any]:
    """Wrap spans in an export request."""
    resource = {"attributes": pairs({"service.name": "shop"})}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "t"}, "spans": list(spans)}]}]}


def logs(*records: Any) -> dict[str, Any]:
    """Wrap log records in an export request."""
    return {"resourceLogs": [{"resource": {}, "scopeLogs": [{"logRecords": list(records)}]}]}


class Sender:
    """A program that sends OTLP with a token; `response` is the last answer."""

    def __init__(self, token: str = "", client: Client | None = None) -> None:
        self.client = client or Client(raise_request_exception=False)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.response: Any = None

    def send(self, document: Any, *, kind: str = "application/json", **headers: str) -> Any:
        """Send an export request, as JSON or as bytes that are ready; return what the answer says."""
        raw = document if isinstance(document, bytes) else json.dumps(document).encode()
        path = "/v1/logs" if not isinstance(document, bytes) and "resourceLogs" in document else "/v1/traces"
        given = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        self.response = self.client.post(path, data=raw, content_type=kind, headers=given)
        return json.loads(self.response.content) if self.response["Content-Type"] == "application/json" else None

    @property
    def status(self) -> int:
        """The status of the last answer."""
        return int(self.response.status_code)


def settle(*, after: timedelta = timedelta(minutes=5)) -> Settled:
    """Make runs of what came, as if so much time had passed."""
    return settle_due(now=datetime.now(UTC) + after, quiet=QUIET)


@contextmanager
def undone() -> Iterator[None]:
    """Do something and take it back, so that it can be done again another way in the same project."""
    block = transaction.atomic()
    block._from_testcase = True  # type: ignore[attr-defined]  # as Django marks the tests' own: the journal's appends may be inside
    with block:
        yield
        transaction.set_rollback(True)


Event = tuple[Any, ...]


def content(stream: str, project: str = "default") -> list[Event]:
    """Return all of a stream but when it was recorded and at which position."""
    return [
        (event.version, event.id, event.type, event.schema, event.data, event.metadata, event.occurred_at)
        for event in get_store(project).read_stream(stream)
    ]


def types(events: Sequence[Event]) -> list[str]:
    """Return the types of events, without their category."""
    return [event[2].removeprefix("agent_run.") for event in events]

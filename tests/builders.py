"""Events for tests: plain functions that return what a story needs, with everything else at a fixed default."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import msgspec

from journal.domain import agent_run as run
from journal.domain import codec
from journal.domain.catalog import catalog
from journal.domain.event import EventData, Metadata, RecordedEvent

STREAM = "agent_run-7"
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def event(data: msgspec.Struct, *, id: str | None = None, at: datetime | None = None, **metadata: Any) -> EventData:  # noqa: A002 - the field's name
    """Return an event to append, of a registered Struct."""
    return EventData(
        id=id,
        type=catalog.name_of(type(data)),
        data=codec.encode(data),
        metadata=codec.encode(Metadata(**metadata)),
        occurred_at=at,
    )


def raw(type: str = "test.noted", data: bytes = b"{}", metadata: bytes = b"{}", id: str | None = None) -> EventData:  # noqa: A002 - the fields' names
    """Return an event to append, of these very bytes."""
    return EventData(type=type, data=data, metadata=metadata, id=id)


def identity(name: object) -> str:
    """Return a UUID that belongs to a name."""
    return str(uuid5(NAMESPACE_URL, str(name)))


def recorded(events: Sequence[msgspec.Struct], *, stream: str = STREAM, **metadata: Any) -> list[RecordedEvent]:
    """Return the events as a journal would give them back: versions from 1, a second apart."""
    return [
        RecordedEvent(
            position=100 + version,
            project="default",
            stream=stream,
            version=version,
            id=identity((stream, version)),
            type=catalog.name_of(type(data)),
            schema=1,
            data=codec.encode(data),
            metadata=codec.encode(Metadata(**metadata)),
            occurred_at=NOON + timedelta(seconds=version),
            recorded_at=NOON,
        )
        for version, data in enumerate(events, 1)
    ]


def started(**fields: Any) -> run.Started:
    """Return the beginning of a run."""
    return run.Started(**{"prompt": "Fix the rounding", "model": "orion-3", "agent": "coder", **fields})


def responded(content: str = "I will look.", **fields: Any) -> run.ModelResponded:
    """Return a response of the model."""
    return run.ModelResponded(
        **{"content": content, "input_tokens": 100, "output_tokens": 10, "cost_usd": 0.25, **fields}
    )


def reasoned(tool: str = "read_file", call_id: str = "c1", **arguments: Any) -> run.Reasoned:
    """Return a decision to call a tool."""
    return run.Reasoned(tool_name=tool, call_id=call_id, args_json=codec.text(arguments), thought="It is named there.")


def returned(result: Any = "some text", tool: str = "read_file", call_id: str = "c1") -> run.ToolReturned:
    """Return a tool's result."""
    return run.ToolReturned(tool_name=tool, call_id=call_id, response_json=codec.text(result))


def failed(message: str = "no such file", tool: str = "read_file", call_id: str = "c1") -> run.ToolFailed:
    """Return a tool's failure."""
    return run.ToolFailed(tool_name=tool, call_id=call_id, message=message)

"""Recorded events from where a replay finds them: the wire, and files that `nagare export` wrote."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from journal.domain.codec import encode
from journal.domain.event import RecordedEvent
from journal.errors import ImportRefused


class _Line(msgspec.Struct, kw_only=True):
    stream: str
    version: int
    id: str
    type: str
    data: msgspec.Raw
    occurred_at: datetime
    schema: int = 1
    metadata: msgspec.Raw = msgspec.Raw(b"{}")
    position: int = 0
    project: str = ""
    recorded_at: datetime | None = None
    data_raw: str | None = None
    metadata_raw: str | None = None

    def event(self) -> RecordedEvent:
        return RecordedEvent(
            position=self.position,
            project=self.project,
            stream=self.stream,
            version=self.version,
            id=self.id,
            type=self.type,
            schema=self.schema,
            data=self.data_raw.encode() if self.data_raw is not None else bytes(self.data),
            metadata=self.metadata_raw.encode() if self.metadata_raw is not None else bytes(self.metadata),
            occurred_at=self.occurred_at,
            recorded_at=self.recorded_at or self.occurred_at,
        )


_decode = msgspec.json.Decoder(_Line).decode


def read_file(path: Path) -> Iterator[RecordedEvent]:
    """Yield the events of a JSON Lines export, in the file's order.

    Raises:
        ImportRefused: a line is no event; names it.
    """
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            if raw.strip():
                try:
                    yield _decode(raw).event()
                except msgspec.MsgspecError as error:
                    raise ImportRefused(f"{path.name} is no export of a journal: {error}", line=number) from error


def from_wire(wire: dict[str, Any]) -> RecordedEvent:
    """Return an event from its form on the wire.

    Raises:
        msgspec.MsgspecError: it does not have that form.
    """
    return _decode(encode(wire)).event()

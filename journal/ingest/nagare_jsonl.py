"""The journal's own JSON Lines (`nagare export --format jsonl`): an event on the wire per line, read back unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from journal.domain.event import EventData
from journal.ingest import Format, register
from journal.ingest.draft import RecordedRun
from journal.ingest.source import Source, moment

_MARKS = frozenset({"stream", "version", "id", "type", "schema", "data", "metadata", "occurred_at"})


class _Line(msgspec.Struct):
    """One exported event. `data` and `metadata` keep their bytes."""

    stream: str
    version: int
    id: str
    type: str
    schema: int
    data: msgspec.Raw
    metadata: msgspec.Raw
    occurred_at: str
    data_raw: str | None = None
    metadata_raw: str | None = None

    def event(self, at: datetime) -> EventData:
        """Return the event as it is appended again."""
        return EventData(
            id=self.id,
            type=self.type,
            schema=self.schema,
            occurred_at=at,
            data=self.data_raw.encode() if self.data_raw is not None else bytes(self.data),
            metadata=self.metadata_raw.encode() if self.metadata_raw is not None else bytes(self.metadata),
        )


_decode = msgspec.json.Decoder(_Line).decode


def _detect(source: Source) -> bool:
    return set(source.first) >= _MARKS


def _read(source: Source) -> Iterator[RecordedRun]:
    """Yield each stream of the file with its events in order of version; a line that is no event is noted."""
    streams: dict[str, list[tuple[int, EventData]]] = {}
    for number, raw in source.raw_lines():
        found = _line(source, number, raw)
        if found is not None:
            streams.setdefault(found[0], []).append(found[1:])
    for stream, events in streams.items():
        yield RecordedRun(stream=stream, events=[event for _, event in sorted(events, key=_version)])


def _line(source: Source, number: int, raw: bytes) -> tuple[str, int, EventData] | None:
    try:
        line = _decode(raw)
    except msgspec.DecodeError as error:
        source.note(str(error), line=number)
        return None
    at = moment(line.occurred_at)
    if at is None:
        source.note(f"occurred_at {line.occurred_at[:40]!r} is no time", line=number)
        return None
    return line.stream, line.version, line.event(at)


def _version(entry: tuple[int, Any]) -> int:
    return entry[0]


register(
    Format(
        name="nagare",
        title="Nagare journal export",
        detect=_detect,
        read=_read,
        order=10,
        example='{"position": 1, "project": "default", "stream": "agent_run-…", "version": 1, "id": "…", …}',
    )
)

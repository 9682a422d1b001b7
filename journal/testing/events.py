"""Events as a journal would give them back, without a journal."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid5

import msgspec

from journal.domain.catalog import Unknown, catalog
from journal.domain.decider import to_append
from journal.domain.event import Metadata, RecordedEvent

NOON: Final = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
"""When events of tests happen; each a second after the one before."""

_IDS: Final = UUID("5b9c6f0e-2f0b-5d5e-9c53-0c6a1d1c7a11")


def recorded(
    events: Iterable[msgspec.Struct], *, stream: str, after: int = 0, project: str = "default", **metadata: Any
) -> list[RecordedEvent]:
    """Return events of a stream with versions behind `after`, encoded and decoded on the way as a store would.

    The same place in a stream has the same id each time. `metadata` are fields of `Metadata`.

    Raises:
        AssertionError: an event does not survive being stored; names the field that its Struct lacks or changes.
    """
    return [
        _recorded(event, stream, version, project, Metadata(**metadata))
        for version, event in enumerate(events, after + 1)
    ]


def _recorded(event: msgspec.Struct, stream: str, version: int, project: str, metadata: Metadata) -> RecordedEvent:
    new = to_append(event, metadata)
    stored = RecordedEvent(
        position=version,
        project=project,
        stream=stream,
        version=version,
        id=str(uuid5(_IDS, f"{project} {stream} {version}")),
        type=new.type,
        schema=new.schema,
        data=new.data,
        metadata=new.metadata,
        occurred_at=NOON + timedelta(seconds=version),
        recorded_at=NOON + timedelta(seconds=version),
    )
    back = catalog.decode(stored)
    if isinstance(back, Unknown):
        raise AssertionError(  # noqa: TRY004 - what a test expects does not hold
            f"{event!r} cannot be read back once it is stored: {back.reason}"
        )
    if back != event:
        raise AssertionError(f"stored and read back, the event is another one:\n  before {event!r}\n  after  {back!r}")
    return stored

"""The shop's old order log, an order a line. What comes of it is a stream of the order's own events.

{"order": "1001", "customer": "Ada", "items": [{"sku": "tea", "quantity": 2, "price_cents": 450}], "paid_cents": 900}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid5

import msgspec

from journal.domain.decider import to_append
from journal.domain.event import EventData, Metadata
from journal.domain.stream import stream_name
from journal.errors import PayloadRefused
from journal.ingest import Format, register
from journal.ingest.draft import RecordedRun
from journal.ingest.source import Source
from orders.events import Item, Paid, Placed

LOG = UUID("0b8f6a52-93a5-5a5b-8a4e-0d8a0f2f6f11")
"""Ids are derived from the order's number, so that the same log again brings nothing new."""


def detect(source: Source) -> bool:
    """Return whether the first line is an order of that log."""
    return {"order", "customer", "items"} <= source.first.keys()


def read(source: Source) -> Iterator[RecordedRun]:
    """Yield a stream for each order; a line that is none is noted and left out."""
    for line, record in source.lines():
        try:
            number = str(record["order"])
            yield RecordedRun(stream=stream_name("order", number), events=list(_events(number, record)))
        except (KeyError, TypeError, msgspec.ValidationError, PayloadRefused) as error:
            source.note(f"no order: {error}", line=line)


def _events(number: str, record: dict[str, Any]) -> Iterator[EventData]:
    items = msgspec.convert(record["items"], tuple[Item, ...])
    yield _event(number, 1, Placed(customer=str(record["customer"]), items=items))
    if record.get("paid_cents") is not None:
        yield _event(number, 2, Paid(amount_cents=msgspec.convert(record["paid_cents"], int)))


def _event(number: str, place: int, event: msgspec.Struct) -> EventData:
    return to_append(event, Metadata(time="unknown"), event_id=str(uuid5(LOG, f"{number}/{place}")))


register(
    Format(
        name="orders",
        title="Order log of the old shop",
        detect=detect,
        read=read,
        example='{"order": "1001", "customer": "Ada", "items": []}',
    )
)

"""What the outbox delivers for us. A delivery may come twice: the dispatch's id makes both the same command."""

from __future__ import annotations

import structlog

from journal.domain.event import Metadata
from journal.errors import CommandRejected
from journal.runtime.outbox import Delivery, Undeliverable, effect
from journal.runtime.repository import repository
from orders.aggregates import Ship

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@effect("orders.ship")
def ship(delivery: Delivery) -> None:
    """Tell the order to ship."""
    metadata = Metadata(causation_id=delivery.event_id, dispatch_id=delivery.id, actor="process:shipping")
    command = Ship(parcel=delivery.payload["parcel"])
    try:
        repository(delivery.project).execute(delivery.target, command, metadata=metadata, command_id=delivery.id)
    except CommandRejected as rejected:
        raise Undeliverable(str(rejected)) from rejected


@effect("orders.ask")
def ask(delivery: Delivery) -> None:
    """Tell a person that a parcel is late."""
    log.warning("parcel_late", stream=delivery.target, dispatch_id=delivery.id)

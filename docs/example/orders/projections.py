"""How `OpenOrder` is filled."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from journal.domain.catalog import catalog
from journal.domain.event import RecordedEvent
from journal.runtime import read_model
from journal.runtime.projection import projects
from orders.events import Cancelled, Paid, Placed, Shipped
from orders.models import OpenOrder


@projects
class OpenOrders:
    """The orders to be packed. The runner calls it in a transaction with its checkpoint: each event counts once."""

    name = "open_orders"
    code_version = 1

    def handle(self, events: Sequence[RecordedEvent], *, generation: int) -> None:
        """Take the next events of the journal in; those of other apps are none of ours."""
        for event in events:
            self._handle(event, generation)

    def _handle(self, event: RecordedEvent, generation: int) -> None:
        key: dict[str, Any] = {"generation": generation, "project": event.project, "stream": event.stream}
        match catalog.decode(event):
            case Placed(customer=customer):
                OpenOrder.every.update_or_create(**key, defaults={"customer": customer})
            case Paid():
                OpenOrder.every.filter(**key).update(is_paid=True)
            case Shipped() | Cancelled():
                OpenOrder.every.filter(**key).delete()

    def discard(self, *, below: int, keep: Collection[int]) -> None:
        """Delete the rows of old generations."""
        read_model.discard([OpenOrder], below=below, keep=keep)

    def digest(self, *, generation: int) -> str:
        """Return a digest of the rows, which a rebuild must reach as well."""
        columns = ("project", "stream", "customer", "is_paid")
        rows = OpenOrder.every.filter(generation=generation).order_by(*columns)
        return read_model.digest([rows.values_list(*columns).iterator()])

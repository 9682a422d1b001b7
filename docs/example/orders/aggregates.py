"""What an order is after its events, and what it decides when it is told to do something."""

from __future__ import annotations

from typing import Any

import msgspec

from journal.domain.aggregate import aggregate
from journal.domain.decider import decides
from journal.domain.plain_aggregate import PlainAggregate
from journal.errors import CommandRejected
from orders.events import Cancelled, Item, Paid, Placed, Shipped


@aggregate("order")
class Order(PlainAggregate):
    """The state of one order. Its attributes are what the debugger shows."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.status = "new"
        self.customer = ""
        self.items: dict[str, dict[str, int]] = {}
        self.total_cents = 0
        self.parcel: str | None = None

    def evolve(self, event: Any) -> None:
        """Take the next event in."""
        match event:
            case Placed():
                self.status, self.customer = "placed", event.customer
                for item in event.items:
                    self.items[item.sku] = {"quantity": item.quantity, "price_cents": item.price_cents}
                    self.total_cents += item.quantity * item.price_cents
            case Paid():
                self.status = "paid"
            case Shipped():
                self.status, self.parcel = "shipped", event.parcel
            case Cancelled():
                self.status = "cancelled"
                self.items.clear()

    def headline(self) -> str:
        """Return the order's name in lists."""
        return f"Order of {self.customer}, {self.status}" if self.customer else ""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A customer's wish."""

    customer: str
    items: tuple[Item, ...]


class Pay(msgspec.Struct, frozen=True, kw_only=True):
    """Money for an order."""

    amount_cents: int


class Ship(msgspec.Struct, frozen=True, kw_only=True):
    """Hand the parcel over."""

    parcel: str


class Cancel(msgspec.Struct, frozen=True, kw_only=True):
    """Call it off."""

    reason: str


@decides("order")
def decide(order: Order, command: Place | Pay | Ship | Cancel) -> list[msgspec.Struct]:
    """Return the events a command leads to. Told again what is done already, an order does nothing."""
    match command, order.status:
        case Place(), "new":
            return [Placed(customer=command.customer, items=command.items)]
        case Pay(), "placed" if command.amount_cents == order.total_cents:
            return [Paid(amount_cents=command.amount_cents)]
        case Pay(), "placed":
            raise CommandRejected(f"{command.amount_cents} cents were paid, the order is {order.total_cents}")
        case Ship(), "paid":
            return [Shipped(parcel=command.parcel)]
        case Ship(), "shipped" if command.parcel == order.parcel:
            return []
        case Cancel(), "placed" | "paid":
            return [Cancelled(reason=command.reason)]
        case _:
            raise CommandRejected(f"the order is {order.status}")

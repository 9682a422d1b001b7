"""The order's events in English: the numbers and names come from the event, and from nothing else."""

from __future__ import annotations

from journal.domain.explain import Explanation, explains
from orders.events import Cancelled, Paid, Placed, Shipped


@explains(Placed)
def placed(event: Placed) -> Explanation:
    """Say who wants what."""
    pieces = sum(item.quantity for item in event.items)
    return Explanation(
        title="Order placed",
        summary=f"{event.customer} orders {pieces} pieces of {len(event.items)} articles",
        detail="\n".join(f"{item.quantity} × {item.sku} at {item.price_cents / 100:.2f}" for item in event.items),
        actor=f"customer:{event.customer}",
        tags={"customer": event.customer},
    )


@explains(Paid)
def paid(event: Paid) -> Explanation:
    """Say how much."""
    return Explanation(title="Paid", summary=f"{event.amount_cents / 100:.2f} paid")


@explains(Shipped)
def shipped(event: Shipped) -> Explanation:
    """Say in which parcel."""
    return Explanation(title="Shipped", summary=f"Shipped as parcel {event.parcel}", tags={"parcel": event.parcel})


@explains(Cancelled)
def cancelled(event: Cancelled) -> Explanation:
    """Say why."""
    return Explanation(title="Cancelled", summary=f"Cancelled: {event.reason}")

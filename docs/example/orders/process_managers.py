"""Who reacts to what happened: a paid order is shipped."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from journal.domain.event import RecordedEvent
from journal.domain.process import TIMED_OUT
from journal.domain.stream import category
from journal.runtime.process_manager import Command, Reaction, manages

PATIENCE = timedelta(days=2)


@manages
class Shipping:
    """Ships what is paid, and asks a person when the parcel does not leave in time."""

    name = "shipping"
    reacts_to = frozenset({"order.paid", "order.shipped", "order.cancelled", TIMED_OUT})

    def process_of(self, event: RecordedEvent) -> str | None:
        """Return which process an event belongs to: one for each order."""
        return event.stream.partition("-")[2] if category(event.stream) in ("order", "process_shipping") else None

    def decide(self, state: dict[str, Any], event: RecordedEvent) -> Reaction | None:
        """Return what is to be done, from the state and the event alone."""
        match event.type:
            case "order.paid":
                ship = Command(effect="orders.ship", target=event.stream, payload={"parcel": f"P{event.id[:8]}"})
                return Reaction(state={"order": event.stream}, commands=(ship,), timeout=PATIENCE)
            case "order.shipped" | "order.cancelled":
                return Reaction(state=state, has_ended=True)
            case _:
                ask = Command(effect="orders.ask", target=state["order"])
                return Reaction(state={**state, "asked": True}, commands=(ask,))

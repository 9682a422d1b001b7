"""How an app tests its own aggregates and process managers: given, when, then; no database."""

from __future__ import annotations

from datetime import timedelta

import pytest
from orders.aggregates import Cancel, Pay, Place, Ship
from orders.events import Cancelled, Item, Paid, Placed, Shipped
from orders.process_managers import Shipping

from journal.domain.process import TIMED_OUT, TimedOut
from journal.runtime.process_manager import Command
from journal.testing import given, given_process, recorded

TEA = Item(sku="tea", quantity=2, price_cents=450)
PLACED = Placed(customer="Ada", items=(TEA,))
PAID = Paid(amount_cents=900)


def test_an_order_is_placed() -> None:
    """The first command begins the stream."""
    given(stream="order-1").when(Place(customer="Ada", items=(TEA,))).then([PLACED]).then_state(total_cents=900)


def test_only_the_whole_sum_pays_an_order() -> None:
    """A rejection says both numbers."""
    given([PLACED]).when(Pay(amount_cents=900)).then([PAID]).then_state(status="paid")
    given([PLACED]).when(Pay(amount_cents=1)).then_rejected("1 cents were paid, the order is 900")


def test_shipping_again_changes_nothing() -> None:
    """The same parcel twice is one parcel; another one is refused."""
    shipped = given([PLACED, PAID]).when(Ship(parcel="P1")).then([Shipped(parcel="P1")])
    shipped.when(Ship(parcel="P1")).then_nothing()
    shipped.when(Ship(parcel="P2")).then_rejected("the order is shipped")


def test_a_shipped_order_is_not_cancelled() -> None:
    """Before it is, it may be."""
    given([PLACED]).when(Cancel(reason="no tea")).then([Cancelled(reason="no tea")]).then_state(items={})
    given([PLACED, PAID, Shipped(parcel="P1")]).when(Cancel(reason="late")).then_rejected()


def test_a_paid_order_is_shipped_once() -> None:
    """The same event delivered again issues no second command; the parcel ends the process."""
    placed, paid, shipped = recorded([PLACED, PAID, Shipped(parcel="P1")], stream="order-1")
    reaction = given_process(Shipping()).when(paid)
    reaction.then([Command(effect="orders.ship", target="order-1", payload={"parcel": f"P{paid.id[:8]}"})])
    reaction.then_waits(timedelta(days=2)).when(paid).then_nothing()
    reaction.when(shipped).then([]).then_ended()
    given_process(Shipping()).when(placed).then_nothing()


def test_a_late_parcel_is_asked_about() -> None:
    """The timeout is an event of the process's own stream."""
    (paid,) = recorded([PAID], stream="order-1", after=1)
    (late,) = recorded([TimedOut(dispatch="d")], stream="process_shipping-1", after=1)
    assert late.type == TIMED_OUT
    given_process(Shipping(), [paid]).when(late).then([Command(effect="orders.ask", target="order-1")])


def test_the_harness_says_what_came() -> None:
    """A step that does not hold names the command, what was expected and what came."""
    with pytest.raises(AssertionError, match=r"(?s)Pay.*expected:\n  1\. Shipped.*came:\n  1\. Paid"):
        given([PLACED]).when(Pay(amount_cents=900)).then([Shipped(parcel="P1")])

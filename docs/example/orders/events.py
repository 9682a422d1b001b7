"""What happens to an order. Names and fields are for ever: stored bytes never change."""

from __future__ import annotations

import msgspec

from journal.domain.catalog import catalog


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """Some pieces of one article, each at a price."""

    sku: str
    quantity: int
    price_cents: int


@catalog.event("order.placed")
class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """A customer asked for some items."""

    customer: str
    items: tuple[Item, ...]


@catalog.event("order.paid")
class Paid(msgspec.Struct, frozen=True, kw_only=True):
    """The money came."""

    amount_cents: int


@catalog.event("order.shipped")
class Shipped(msgspec.Struct, frozen=True, kw_only=True):
    """The parcel left."""

    parcel: str


@catalog.event("order.cancelled")
class Cancelled(msgspec.Struct, frozen=True, kw_only=True):
    """There will be no parcel."""

    reason: str

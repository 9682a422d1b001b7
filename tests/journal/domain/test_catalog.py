"""Event names, schema versions and upcasters."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from journal.domain.catalog import Catalog, Unknown
from tests.builders import recorded, started


class Booked(msgspec.Struct, frozen=True):
    """An event of a test."""

    cents: int
    currency: str


def stored(catalog_schema: int, data: bytes) -> Any:
    """Decode data of a schema version with a catalog that knows two upcasters."""
    catalog = Catalog()
    catalog.event("till.booked", schema=3)(Booked)
    catalog.upcaster("till.booked", schema=1)(lambda old: {"cents": old["euros"] * 100})
    catalog.upcaster("till.booked", schema=2)(lambda old: {**old, "currency": "EUR"})
    (event,) = recorded([started()])
    return catalog.decode(msgspec.structs.replace(event, type="till.booked", schema=catalog_schema, data=data))


def test_old_data_goes_through_every_step_to_the_newest_schema() -> None:
    """Upcasters run one schema at a time; stored bytes are not touched."""
    assert stored(1, b'{"euros": 3}') == Booked(cents=300, currency="EUR")
    assert stored(2, b'{"cents": 5}') == Booked(cents=5, currency="EUR")
    assert stored(3, b'{"cents": 5, "currency": "CHF"}') == Booked(cents=5, currency="CHF")


@pytest.mark.parametrize(
    ("schema", "data", "reason"),
    [(4, b"{}", "newer than 3"), (3, b'{"cents": "no"}', "does not fit"), (1, b'{"dollars": 1}', "does not fit")],
)
def test_what_cannot_be_read_is_kept_as_unknown_with_the_reason(schema: int, data: bytes, reason: str) -> None:
    """A newer schema and data of another shape are shown raw, never dropped."""
    unknown = stored(schema, data)
    assert isinstance(unknown, Unknown)
    assert unknown.data == msgspec.json.decode(data)
    assert reason in unknown.reason


def test_a_name_belongs_to_one_struct() -> None:
    """Registering a second Struct under a name is a mistake in the code, said at import."""
    catalog = Catalog()
    catalog.event("till.booked")(Booked)
    with pytest.raises(ValueError, match=r"till\.booked"):
        catalog.event("till.booked")(Booked)

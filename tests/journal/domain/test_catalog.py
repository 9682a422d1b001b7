"""Event names, schema versions and upcasters."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from journal.domain.catalog import Catalog, Unknown
from journal.domain.event import RecordedEvent
from tests.builders import recorded, started


class Booked(msgspec.Struct, frozen=True):
    """An event of a test."""

    cents: int
    currency: str


def till() -> Catalog:
    """Return a catalog that knows two upcasters; one changes its argument, which it may."""
    catalog = Catalog()
    catalog.event("till.booked", schema=3)(Booked)
    catalog.upcaster("till.booked", schema=1)(lambda old: {"cents": old.pop("euros") * 100})
    catalog.upcaster("till.booked", schema=2)(lambda old: {**old, "currency": "EUR"})
    return catalog


def booked(schema: int, data: bytes) -> RecordedEvent:
    """Return a stored event of a schema version."""
    (event,) = recorded([started()])
    return msgspec.structs.replace(event, type="till.booked", schema=schema, data=data)


def stored(catalog_schema: int, data: bytes) -> Any:
    """Decode data of a schema version."""
    return till().decode(booked(catalog_schema, data))


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


def test_raw_and_upcast_data_stand_side_by_side() -> None:
    """What is stored is shown as it is, whatever an upcaster did to its own copy."""
    event = booked(1, b'{"euros": 3}')
    shown = till().both(event)
    assert (shown.schema, shown.newest, shown.is_changed) == (1, 3, True)
    assert (shown.raw, shown.upcast) == ({"euros": 3}, {"cents": 300, "currency": "EUR"})
    assert event.data == b'{"euros": 3}'


def test_data_of_the_newest_schema_is_the_same_on_both_sides() -> None:
    """Also what the Struct does not name."""
    shown = till().both(booked(3, b'{"cents": 5, "currency": "CHF", "more": 1}'))
    assert shown.raw == shown.upcast == {"cents": 5, "currency": "CHF", "more": 1}
    assert not shown.is_changed


def test_data_that_cannot_be_read_has_one_side_and_a_reason() -> None:
    """Nothing is dropped, nothing is raised."""
    for schema, data in ((4, b'{"cents": 1}'), (1, b'{"dollars": 1}')):
        shown = till().both(booked(schema, data))
        assert shown.upcast is None
        assert shown.reason
        assert shown.raw == msgspec.json.decode(data)

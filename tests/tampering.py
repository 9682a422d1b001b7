"""What whoever owns the database can do to stored events, past the triggers that keep everybody else from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from journal.models import EventRow, StreamRow
from tests.triggers import put_back, take_away


@pytest.fixture(scope="module")
def rows_can_be_altered(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Take the append-only triggers away, as the database's owner can, and put them back."""
    with django_db_blocker.unblock():
        take_away()
    yield
    with django_db_blocker.unblock():
        put_back()


def row(stream: str, version: int) -> EventRow:
    """Return the row of an event."""
    return EventRow.objects.get(stream__name=stream, version=version)


def alter(stream: str, version: int, **fields: object) -> None:
    """Change an event's row."""
    EventRow.objects.filter(pk=row(stream, version).pk).update(**fields)


def edit(stream: str, version: int) -> None:
    """Let an event say something else."""
    alter(stream, version, data=bytes(row(stream, version).data).replace(b"a", b"o"))


def drop(stream: str, version: int) -> None:
    """Remove an event, and where it was the last, let the stream's own row know of no such version."""
    EventRow.objects.filter(pk=row(stream, version).pk).delete()
    StreamRow.objects.filter(name=stream, version=version).update(version=version - 1)


def swap(stream: str, first: int, second: int) -> None:
    """Let two events exchange what they say."""
    one, other = row(stream, first), row(stream, second)
    alter(stream, first, data=bytes(other.data), metadata=bytes(other.metadata), type=other.type)
    alter(stream, second, data=bytes(one.data), metadata=bytes(one.metadata), type=one.type)


def change_places(stream: str, first: int, second: int) -> None:
    """Let two events exchange their versions."""
    one, other = row(stream, first), row(stream, second)
    EventRow.objects.filter(pk=one.pk).update(version=10_000)
    EventRow.objects.filter(pk=other.pk).update(version=one.version)
    EventRow.objects.filter(pk=one.pk).update(version=other.version)


TAMPERINGS: dict[str, Callable[[str, int], None]] = {
    "edited": edit,
    "dropped": drop,
    "swapped": lambda stream, version: swap(stream, version, version - 1),
    "moved": lambda stream, version: change_places(stream, version, version - 1),
    "recorded earlier": lambda stream, version: alter(stream, version, recorded_us=1_000_000),
    "occurred earlier": lambda stream, version: alter(stream, version, occurred_us=1_000_000),
    "of another type": lambda stream, version: alter(stream, version, type="agent_run.annotated"),
}
"""By name, what is done to the event of a version, which is at least the second."""

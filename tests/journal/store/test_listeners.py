"""Who is told of appends: everybody, once each, when they are stored."""

from __future__ import annotations

import pytest

from journal.errors import WrongExpectedVersion
from journal.store import get_store, listeners
from tests.builders import raw


@pytest.mark.django_db
def test_a_listener_is_told_of_appends_and_of_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """An append that is refused, or has no events, is none."""
    monkeypatch.setattr(listeners, "_listeners", [])
    told: list[int] = []
    store = get_store()
    listeners.on_append(lambda: told.append(store.head()))
    store.append("run-7", [raw(), raw()], expected_version=0)
    store.append("run-7", [], expected_version=2)
    with pytest.raises(WrongExpectedVersion):
        store.append("run-7", [raw()], expected_version=0)
    assert told == [store.head()]

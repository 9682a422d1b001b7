"""A command is load, decide, append: again where another was first, and once where it comes twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from journal.domain.event import EventData, Metadata
from journal.errors import CommandRejected, WrongExpectedVersion
from journal.runtime.repository import ATTEMPTS, Repository
from journal.store import Appended
from journal.store.memory import MemoryStore
from tests.builders import event
from tests.doors import Opened, doors
from tests.otel import telemetry

STREAM = "door-1"
COMMAND = "0192f0c1-0000-7000-8000-000000000001"


@pytest.fixture(autouse=True)
def _doors() -> Iterator[None]:
    with doors():
        yield


class Busy(MemoryStore):
    """A store in which another writer is first so many times."""

    rivals = 0

    def append(self, stream: str, events: Sequence[EventData], **arguments: Any) -> Appended:
        """Let a rival go first."""
        if self.rivals:
            self.rivals -= 1
            super().append(stream, [event(Opened(by="a rival"))], expected_version="any")
        return super().append(stream, events, **arguments)


def _opened_by(store: MemoryStore) -> list[str]:
    return [found.payload["by"] for found in store.read_stream(STREAM)]


def test_a_command_is_decided_again_where_another_was_first() -> None:
    """Nothing of the decision that lost is stored."""
    store = Busy()
    store.rivals = 2
    done = Repository(store).execute(STREAM, "Ada")
    assert (done.version, done.is_new) == (3, True)
    assert _opened_by(store) == ["a rival", "a rival", "Ada"]


@pytest.mark.slow
def test_a_command_gives_up_in_the_end() -> None:
    """With the conflict it met."""
    store = Busy()
    store.rivals = ATTEMPTS
    with pytest.raises(WrongExpectedVersion):
        Repository(store).execute(STREAM, "Ada")
    assert "Ada" not in _opened_by(store)


def test_a_rejected_command_stores_nothing_and_is_not_tried_again() -> None:
    """The message says who decided what."""
    store = MemoryStore()
    with pytest.raises(CommandRejected) as caught:
        Repository(store).execute(STREAM, "Eve")
    assert str(caught.value) == "str for 'door-1' was rejected: not for Eve"
    assert caught.value.fields() == {"reason": "not for Eve", "stream": STREAM, "command": "str"}
    assert store.head() == 0


def test_a_command_that_changes_nothing_appends_nothing() -> None:
    """And says where the stream stands."""
    store = MemoryStore()
    repository = Repository(store)
    repository.execute(STREAM, "Ada")
    done = repository.execute(STREAM, "")
    assert (done.version, done.ids, done.is_new) == (1, (), False)


def test_the_same_command_again_decides_nothing() -> None:
    """Also when the stream went on in between, as after a lost answer."""
    store = MemoryStore()
    repository = Repository(store)
    first = repository.execute(STREAM, "Ada", command_id=COMMAND)
    repository.execute(STREAM, "Bob")
    again = repository.execute(STREAM, "Ada", command_id=COMMAND)
    assert (again.version, again.ids, again.is_new) == (1, first.ids, False)
    assert _opened_by(store) == ["Ada", "Bob"]


def test_metadata_stands_in_each_event() -> None:
    """As the caller gave it."""
    store = MemoryStore()
    Repository(store).execute(STREAM, "Ada", metadata=Metadata(actor="user:ada", correlation_id="c"))
    (found,) = store.read_stream(STREAM)
    assert (found.meta.actor, found.meta.correlation_id) == ("user:ada", "c")


def test_load_and_command_are_spans() -> None:
    """The append and the load stand below the command, and the event carries the command's span."""
    with telemetry() as sdk:
        store = MemoryStore()
        repository = Repository(store)
        repository.execute(STREAM, "Ada")
        repository.load(STREAM)
    (ask,) = sdk.spans("nagare.aggregate.ask")
    assert ask.attributes is not None
    assert ask.attributes["nagare.command.type"] == "str"
    (append,) = sdk.spans("nagare.eventstore.append")
    assert append.parent == ask.get_span_context()
    assert sdk.spans("nagare.aggregate.load")[-1].attributes == {
        "nagare.aggregate.id": STREAM,
        "nagare.aggregate.type": "door",
        "nagare.version": 1,
    }

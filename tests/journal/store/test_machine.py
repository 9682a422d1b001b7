"""Any history of appends and reads, against a plain list."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test

from journal.domain.event import EventData
from journal.errors import EventIdReused, WrongExpectedVersion
from journal.store import get_store
from journal.store.memory import MemoryStore
from journal.store.protocol import EventStore
from tests.builders import identity, raw

_streams = st.sampled_from(["run-1", "run-2", "order-1"])
_payloads = st.binary(max_size=4).map(lambda noise: b'{"n": "' + noise.hex().encode() + b'"}')


class JournalMachine(RuleBasedStateMachine):
    """The journal and a list of what should be in it."""

    appended = Bundle("appended")

    def __init__(self) -> None:
        super().__init__()
        self.store = self.new_store()
        self.base = self.store.head()
        self.log: list[tuple[str, int, bytes, str]] = []
        self.serial = 0

    def new_store(self) -> EventStore:
        """Return an empty journal."""
        raise NotImplementedError

    def version(self, stream: str) -> int:
        """Return the version the stream should be at."""
        return sum(entry[0] == stream for entry in self.log)

    def fresh(self, payloads: list[bytes]) -> list[EventData]:
        """Return new events with ids that were never used."""
        self.serial += len(payloads)
        return [raw(data=data, id=identity((self.project, self.serial - at))) for at, data in enumerate(payloads)]

    @property
    def project(self) -> str:
        """The project's name."""
        return self.store.project

    @rule(
        target=appended,
        stream=_streams,
        payloads=st.lists(_payloads, min_size=1, max_size=4),
        off=st.sampled_from([0, 0, 0, -1, 1, 5]),
    )
    def append(self, stream: str, payloads: list[bytes], off: int) -> Any:
        """Append at the right version or at a wrong one."""
        events, before = self.fresh(payloads), self.version(stream)
        if off and before + off >= 0:
            with pytest.raises(WrongExpectedVersion):
                self.store.append(stream, events, expected_version=before + off)
            return None
        done = self.store.append(stream, events, expected_version=before)
        assert done.version == before + len(events)
        self.log += [(stream, before + at, event.data, str(event.id)) for at, event in enumerate(events, 1)]
        return stream, events

    @rule(batch=consumes(appended), off=st.integers(-2, 2))
    def repeat(self, batch: Any, off: int) -> None:
        """The same append again changes nothing."""
        if batch is not None:
            stream, events = batch
            assert not self.store.append(stream, events, expected_version=max(0, self.version(stream) + off)).is_new

    @rule(batch=appended, stream=_streams)
    def reuse(self, batch: Any, stream: str) -> None:
        """A known id with other content, or in another stream, is refused."""
        if batch is not None:
            changed = raw(data=b'{"other": 1}', id=batch[1][0].id)
            with pytest.raises(EventIdReused):
                self.store.append(stream, [changed], expected_version="any")

    @rule(stream=_streams, after=st.integers(0, 6), until=st.integers(0, 9))
    def read_range(self, stream: str, after: int, until: int) -> None:
        """A range of a stream is the slice of the list."""
        found = [(event.version, event.data) for event in self.store.read_stream(stream, after=after, until=until)]
        assert found == [
            (version, data) for name, version, data, _ in self.log if name == stream and after < version <= until
        ]

    @invariant()
    def is_the_list(self) -> None:
        """All of it, in order."""
        events = list(self.store.read_all())
        assert [(event.stream, event.version, event.data, event.id) for event in events] == self.log
        positions = [event.position for event in events]
        assert positions == sorted(set(positions))


class MemoryMachine(JournalMachine):
    """The memory store."""

    def new_store(self) -> EventStore:
        """Return a new one."""
        return MemoryStore()


def test_the_memory_store_is_a_list() -> None:
    """Any history."""
    run_state_machine_as_test(MemoryMachine, settings=settings(max_examples=60, stateful_step_count=25, deadline=None))


_projects = iter(range(1_000_000))


class SqliteMachine(JournalMachine):
    """The SQLite store: every run of the machine is a project of its own, as events cannot be deleted between them."""

    def new_store(self) -> EventStore:
        """Return an unused project's journal."""
        return get_store(f"machine-{next(_projects)}")


@pytest.mark.slow
class TestSqliteMachine(TestCase):
    """Inside a test transaction."""

    def test_the_sqlite_store_is_a_list(self) -> None:
        """Any history."""
        run_state_machine_as_test(
            SqliteMachine, settings=settings(max_examples=25, stateful_step_count=20, deadline=None)
        )

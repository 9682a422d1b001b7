"""The stores on database servers keep the promises."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Event

import pytest
from django.db import DatabaseError, connections, transaction

from journal.domain.stream import NO_STREAM
from journal.store import EventStore, get_store
from journal.store.sql import Batch
from tests.builders import raw
from tests.journal.store.contract import NewStore, StoreContract

_serial = count(1)

on_every_server = pytest.mark.parametrize(
    "server",
    [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in ("postgresql", "mariadb", "mssql")],
    indirect=True,
)


@on_every_server
class TestServerStore(StoreContract):
    """On PostgreSQL, MariaDB, and SQL Server where there is one; each test in projects of its own."""

    @pytest.fixture
    def new_store(self, server: str) -> NewStore:
        """The projects share one database with all other tests of the run."""
        serial = next(_serial)
        return lambda project: get_store(f"{project}-{serial}", using=server)


@on_every_server
def test_a_running_append_holds_readers_back_and_is_named(server: str) -> None:
    """What commits behind an append that is not through waits; the horizon says how much, since when, for whom."""
    name = f"held-{next(_serial)}"
    store = get_store(name, using=server)
    before = store.horizon()
    with other_thread_appending(store, server) as slow:
        store.append("run-2", [raw(), raw()], expected_version=NO_STREAM)
        seen = store.horizon()
        assert [event.stream for event in store.read_all()] == []
        assert (seen.head, store.head(), len(seen.by)) == (before.head, 0, 1)
        assert seen.held_back >= 2
        assert seen.since is not None
        assert abs(datetime.now(UTC) - seen.since) < timedelta(minutes=1)
        assert "session" in seen.by[0].by
        slow.set()
    assert [event.stream for event in store.read_all()] == ["run-1", "run-2", "run-2"]
    assert (store.horizon().held_back, store.horizon().by) == (0, ())


@on_every_server
def test_an_append_that_is_rolled_back_lets_readers_go_on(server: str) -> None:
    """It leaves a hole in the positions, and nothing to wait for."""
    store = get_store(f"undone-{next(_serial)}", using=server)
    with (  # noqa: PT012 - what fails is the end of the other thread's append
        pytest.raises(ZeroDivisionError),
        other_thread_appending(store, server, error=ZeroDivisionError) as slow,
    ):
        store.append("run-2", [raw()], expected_version=NO_STREAM)
        assert list(store.read_all()) == []
        slow.set()
    assert [event.stream for event in store.read_all()] == ["run-2"]


@on_every_server
@pytest.mark.parametrize(
    "statement",
    ["UPDATE journal_event SET schema_version = 2", "DELETE FROM journal_event", "TRUNCATE TABLE journal_event"],
)
def test_the_database_itself_refuses_to_change_an_event(server: str, statement: str) -> None:
    """Whoever has the connection still cannot rewrite history by accident."""
    store = get_store(f"kept-{next(_serial)}", using=server)
    store.append("run-7", [raw(data=b'{"a": 1}')], expected_version=NO_STREAM)
    with (
        pytest.raises(DatabaseError, match=r"append-only|journal_event_no_truncate"),
        connections[server].cursor() as cursor,
    ):
        cursor.execute(statement)
    assert [event.data for event in store.read_stream("run-7")] == [b'{"a": 1}']


@on_every_server
def test_an_append_inside_another_transaction_is_an_error_and_not_a_stall(server: str) -> None:
    """An append is durable when it returns, so it cannot be part of something that is not."""
    with transaction.atomic(using=server), pytest.raises(RuntimeError, match="durable"):
        get_store("inside", using=server).append("run-7", [raw()], expected_version=NO_STREAM)


@on_every_server
def test_a_reader_inside_a_transaction_still_sees_what_others_commit(server: str) -> None:
    """Projections read inside their own transaction: each page is as new as the horizon it was taken for."""
    store = get_store(f"within-{next(_serial)}", using=server)
    with transaction.atomic(using=server):
        assert list(store.read_all()) == []
        with other_thread_appending(store, server) as slow:
            slow.set()
        assert [event.stream for event in store.read_all()] == ["run-1"]


@contextmanager
def other_thread_appending(store: EventStore, server: str, error: type[Exception] | None = None) -> Iterator[Event]:
    """Append to run-1 in another thread; go on when it has its positions. It ends when the event is set."""
    drawn, go_on = Event(), Event()

    class Slow(type(store)):  # type: ignore[misc]
        @contextmanager
        def _transaction(self, _batch: Batch) -> Iterator[None]:
            with transaction.atomic(using=server, durable=True):
                yield
                drawn.set()
                assert go_on.wait(30)
                if error is not None:
                    raise error

    def append() -> None:
        try:
            Slow(store.project, using=server).append("run-1", [raw()], expected_version=NO_STREAM)
        finally:
            drawn.set()
            connections[server].close()

    with ThreadPoolExecutor(1) as pool:
        appending = pool.submit(append)
        assert drawn.wait(30)
        try:
            yield go_on
        finally:
            go_on.set()
        appending.result(30)

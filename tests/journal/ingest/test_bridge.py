"""The bridge beside agents that write: what is new comes in once, from SQLite and from PostgreSQL."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from journal.domain.agent_run import Answered, HandedOff
from journal.domain.catalog import catalog
from journal.errors import ImportRefused
from journal.ingest import bridge
from journal.ingest.bridge import Bridge, shown
from journal.ingest.files import find
from journal.ingest.importer import Importer
from journal.ingest.langgraph_saved import SqliteCheckpoints
from journal.models import BridgedThread
from journal.store.memory import MemoryStore
from tests.graphs import ADDING, agent, asked, said, sqlite_saver, team, thread
from tests.servers import Missing, fresh_postgresql_url

PostgresSaver = pytest.importorskip("langgraph.checkpoint.postgres").PostgresSaver

pytestmark = pytest.mark.django_db

Database = tuple[str, Callable[[], Any]]
"""Where the bridge finds it, and what opens a saver on it."""


@contextmanager
def postgres_saver(url: str) -> Iterator[Any]:
    """Open a database as an agent does."""
    with closing(psycopg.connect(url, autocommit=True, row_factory=dict_row)) as connection:
        saver = PostgresSaver(connection)
        saver.setup()
        yield saver


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """A database of a real saver."""
    if request.param == "sqlite":
        path = tmp_path / "checkpoints.sqlite"
        return f"sqlite:///{path}", lambda: sqlite_saver(path)
    try:
        url = fresh_postgresql_url()
    except Missing as missing:
        pytest.skip(str(missing))
    return url, lambda: postgres_saver(url)


def of(store: MemoryStore, kind: type) -> list[Any]:
    """Return the events of one type in a journal."""
    return [event for kept in store.read_all() if isinstance(event := catalog.decode(kept), kind)]


def test_what_is_new_comes_in_once(database: Database) -> None:
    """A second look finds nothing, one after another turn only that, also by a bridge that was started anew."""
    url, opened = database
    store = MemoryStore()
    with opened() as saver:
        talker = agent(saver, *ADDING, said("Bye."))
        talker.invoke(asked("1 + 2?"), thread("t-1"))
        first, again = (Bridge(store=store, url=url).once() for _ in range(2))
        talker.invoke(asked("Thanks"), thread("t-1"))
        second = Bridge(store=store, url=url).once()
    assert [report.status for report in (*first.files, *second.files)] == ["imported", "extended"]
    assert again.files == []
    assert [one.response for one in of(store, Answered)] == ["It is 3.", "Bye."]
    assert not [event for event in store.read_all() if event.type == "agent_run.annotated"]


def test_an_interrupt_comes_in_though_no_checkpoint_followed(database: Database) -> None:
    """Only a write was added to the newest one."""
    url, opened = database
    store = MemoryStore()
    with opened() as saver:
        asking = agent(saver, said("Good."), ask="Go on?")
        stopped = asking.invoke(asked("Hi"), thread("t-1"), interrupt_before=["ask"])
        assert Bridge(store=store, url=url).once().totals["runs"] == 1
        assert (of(store, HandedOff), len(stopped["messages"])) == ([], 1)
        asking.invoke(None, thread("t-1"))
        Bridge(store=store, url=url).once()
    assert [one.instruction for one in of(store, HandedOff)] == ["Go on?"]


def test_the_marks_are_a_saving_only(database: Database) -> None:
    """Without them all is read again, and nothing is added."""
    url, opened = database
    store = MemoryStore()
    with opened() as saver:
        team(saver, said("Well.")).invoke(asked("Well?"), thread("t-1"))
    Bridge(store=store, url=url).once()
    BridgedThread.objects.all().delete()
    (report,) = Bridge(store=store, url=url).once().files
    assert (report.status, report.added, len(report.runs)) == ("unchanged", 0, 2)


def test_stopping_between_the_runs_and_their_mark_loses_and_repeats_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mark is the last that is written."""
    url, opened = database
    store = MemoryStore()
    with opened() as saver:
        agent(saver, *ADDING).invoke(asked("1 + 2?"), thread("t-1"))
    with monkeypatch.context() as stopped:
        stopped.setattr(Bridge, "_remember", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            Bridge(store=store, url=url).once()
    before = len(list(store.read_all()))
    (report,) = Bridge(store=store, url=url).once().files
    assert (report.status, len(list(store.read_all()))) == ("unchanged", before)


def test_both_savers_tell_the_same_run(tmp_path: Path) -> None:
    """The checkpoints of one thread, copied from one saver to the other, are the same events."""
    path = tmp_path / "checkpoints.sqlite"
    try:
        url = fresh_postgresql_url()
    except Missing as missing:
        pytest.skip(str(missing))
    with sqlite_saver(path) as saver, postgres_saver(url) as other:
        agent(saver, *ADDING).invoke(asked("1 + 2?"), thread("t-1"))
        for kept in reversed(list(saver.list(thread("t-1")))):
            before = kept.parent_config or {"configurable": {"thread_id": "t-1", "checkpoint_ns": ""}}
            other.put(before, kept.checkpoint, kept.metadata, kept.checkpoint["channel_versions"])
            for identity in {write[0] for write in kept.pending_writes or ()}:
                own = [(channel, value) for known, channel, value in kept.pending_writes or () if known == identity]
                other.put_writes(kept.config, own, identity)
        one, two = MemoryStore(), MemoryStore()
        Importer(store=one).run(find([str(path)]))
        Bridge(store=two, url=url).once()
    events = [
        [
            (event.stream, event.id, event.type, event.data)
            for event in store.read_all()
            if event.type != "source.langgraph.checkpoint"
        ]
        for store in (one, two)
    ]
    assert events[0] == events[1]
    assert len(events[0]) == 11


def test_a_saver_of_before_tasks_had_paths_is_read(database: Database) -> None:
    """Its table of writes has a column less."""
    url, opened = database
    store = MemoryStore()
    with opened() as saver:
        agent(saver, *ADDING).invoke(asked("1 + 2?"), thread("t-1"))
        table = "writes" if url.startswith("sqlite") else "checkpoint_writes"
        saver.conn.execute(f"ALTER TABLE {table} DROP COLUMN task_path")
        saver.conn.commit()
        report = Bridge(store=store, url=url).once()
    assert [file.status for file in report.files] == ["imported"]
    assert [one.response for one in of(store, Answered)] == ["It is 3."]


def test_following_goes_on_until_it_is_stopped(database: Database) -> None:
    """What comes is there at the next look; what it cost is summed up."""
    url, opened = database
    store, stop, said_so = MemoryStore(), threading.Event(), []
    with opened() as saver:
        talker = agent(saver, *ADDING, said("Bye."))

        def came() -> None:
            said_so.append(len(of(store, Answered)))
            if len(said_so) == 1:
                talker.invoke(asked("Thanks"), thread("t-2"))
            else:
                stop.set()

        talker.invoke(asked("1 + 2?"), thread("t-1"))
        report = Bridge(store=store, url=url).follow(stop, poll_s=0.01, on_new=came)
    assert said_so == [1, 2]
    assert (report.totals["runs"], report.totals["decisions"]) == (2, 3)


def test_following_waits_for_a_database_that_is_not_there(tmp_path: Path) -> None:
    """It says what is missing, and reads it once it is there."""
    path = tmp_path / "later.sqlite"
    store, stop, troubles = MemoryStore(), threading.Event(), []

    def trouble(reason: str) -> None:
        troubles.append(reason)
        with sqlite_saver(path) as saver:
            agent(saver, *ADDING).invoke(asked("1 + 2?"), thread("t-1"))

    following = Bridge(store=store, url=str(path), on_trouble=trouble)
    following.follow(stop, poll_s=0.01, on_new=stop.set)
    assert len(troubles) == 1
    assert "later.sqlite cannot be read" in troubles[0]
    assert len(of(store, Answered)) == 1


def test_a_thread_that_cannot_be_read_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever reading it raises, it is refused, and asked for again only once it changes."""
    path = tmp_path / "checkpoints.sqlite"
    odd: dict[str, Exception] = {
        "t-1": sqlite3.DatabaseError("database disk image is malformed"),
        "t-2": KeyError("odd"),
        "t-3": psycopg.DataError("out of range"),
    }
    with sqlite_saver(path) as saver:
        for name in (*odd, "t-4"):
            agent(saver, *ADDING).invoke(asked("1 + 2?"), thread(name))
    whole = SqliteCheckpoints.read

    def read(self: SqliteCheckpoints, name: str, note: Callable[[str], None]) -> Any:
        if name in odd:
            raise odd[name]
        return whole(self, name, note)

    monkeypatch.setattr(SqliteCheckpoints, "read", read)
    store = MemoryStore()
    first, again = (Bridge(store=store, url=str(path)).once() for _ in range(2))
    assert [file.status for file in first.files] == ["refused", "refused", "refused", "imported"]
    reasons = [file.reason or "" for file in first.files]
    assert all(told in reason for told, reason in zip(("malformed", "odd", "out of"), reasons, strict=False))
    assert again.files == []


def test_a_database_that_breaks_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mark that cannot be read is the whole database's."""
    path = tmp_path / "checkpoints.sqlite"
    with sqlite_saver(path) as saver:
        agent(saver, *ADDING).invoke(asked("1 + 2?"), thread("t-1"))
    stop, troubles = threading.Event(), list[str]()

    def broken(_self: SqliteCheckpoints) -> Any:
        raise sqlite3.DatabaseError("database disk image is malformed")

    def trouble(reason: str) -> None:
        troubles.append(reason)
        stop.set()

    monkeypatch.setattr(SqliteCheckpoints, "marks", broken)
    Bridge(store=MemoryStore(), url=str(path), on_trouble=trouble).follow(stop, poll_s=0.01)
    assert len(troubles) == 1
    with pytest.raises(ImportRefused, match="malformed"):
        Bridge(store=MemoryStore(), url=str(path)).once()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("/nowhere/a.sqlite", "cannot be read"),
        ("mysql://localhost/agents", "keeps nothing at mysql://"),
        ("postgresql://ada:secret@127.0.0.1:1/agents", "postgresql://ada@127.0.0.1:1/agents cannot be opened"),
    ],
)
def test_what_cannot_be_opened_is_named_without_its_password(url: str, reason: str) -> None:
    """And once means once."""
    with pytest.raises(ImportRefused, match=reason) as caught:
        Bridge(store=MemoryStore(), url=url).once()
    assert "secret" not in str(caught.value)
    assert "secret" not in shown(url)


def test_a_postgresql_database_without_the_tables_is_refused() -> None:
    """With what to do."""
    try:
        url = fresh_postgresql_url()
    except Missing as missing:
        pytest.skip(str(missing))
    with pytest.raises(ImportRefused, match="none of a LangGraph saver's tables"):
        Bridge(store=MemoryStore(), url=url).once()


def test_the_other_database_is_only_read(database: Database) -> None:
    """Also by mistake."""
    url, opened = database
    with opened() as saver:
        agent(saver, *ADDING).invoke(asked("1 + 2?"), thread("t-1"))
        with bridge._opened(url) as held:
            connection: Any = held.connection  # type: ignore[attr-defined]
            if isinstance(connection, psycopg.Connection):
                with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), connection.transaction():
                    connection.execute("DELETE FROM checkpoints")
            else:
                with pytest.raises(Exception, match="readonly database"):
                    connection.execute("DELETE FROM checkpoints")

"""The SQLite store keeps the promises, and those of its file."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from django.db import IntegrityError, connection, transaction

from journal.domain.stream import ANY_VERSION, NO_STREAM
from journal.errors import WrongExpectedVersion
from journal.store import every_project, get_store
from tests.builders import identity, raw
from tests.journal.store.contract import NewStore, StoreContract, versions


@pytest.mark.django_db
class TestSqliteStore(StoreContract):
    """On a file."""

    @pytest.fixture
    def new_store(self) -> NewStore:
        """The projects share one database."""
        return get_store


_COLUMNS = "project, stream_id, version, event_id, type, schema_version, data, metadata, occurred_us, recorded_us"
_OTHERWISE = "project, stream_id, version, 'other', type, 1, '', '', 0, 0"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE journal_event SET data = '{}'",
        "UPDATE journal_event SET position = position + 100",
        "DELETE FROM journal_event",
        "INSERT OR REPLACE INTO journal_event SELECT * FROM journal_event",
        f"INSERT OR REPLACE INTO journal_event ({_COLUMNS}) SELECT {_OTHERWISE} FROM journal_event",
    ],
)
def test_the_database_itself_refuses_to_change_an_event(statement: str) -> None:
    """Whoever has the connection still cannot rewrite history by accident."""
    if connection.vendor != "sqlite":
        pytest.skip("the suite runs on another database; test_servers.py asks the same of that")
    get_store().append("run-7", [raw(data=b'{"a": 1}')], expected_version=NO_STREAM)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert [event.data for event in get_store().read_stream("run-7")] == [b'{"a": 1}']


@pytest.mark.django_db(transaction=True)
def test_an_append_inside_another_transaction_is_an_error_and_not_a_stall() -> None:
    """An append is durable when it returns, so it cannot be part of something that is not."""
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        get_store().append("run-7", [raw()], expected_version=NO_STREAM)


@pytest.mark.django_db
def test_the_store_over_all_projects_reads_and_does_not_write() -> None:
    """Projections follow every project in one order; writing needs a project."""
    get_store("ours").append("run-1", [raw()], expected_version=NO_STREAM)
    get_store("theirs").append("run-1", [raw()], expected_version=NO_STREAM)
    assert [event.project for event in every_project().read_all()] == ["ours", "theirs"]
    with pytest.raises(TypeError, match="only reads"):
        every_project().append("run-1", [raw()], expected_version=ANY_VERSION)


@pytest.mark.django_db(transaction=True)
def test_of_writers_that_expect_the_same_version_one_wins() -> None:
    """Eight writers decide on the same version, twenty times: one success each, and the others learn the version."""
    barrier = Barrier(8)

    def race(expected: int) -> int:
        try:
            barrier.wait()
            get_store().append("run-7", [raw()], expected_version=expected)
        except WrongExpectedVersion as late:
            return late.actual
        finally:
            connection.close()
        return 0

    with ThreadPoolExecutor(8) as pool:
        for expected in range(20):
            assert sorted(pool.map(race, [expected] * 8)) == [0, *[expected + 1] * 7]
    assert versions(get_store(), "run-7") == list(range(1, 21))


@pytest.mark.django_db(transaction=True)
def test_the_same_append_from_many_at_once_is_one_event() -> None:
    """A retry that overtakes its first try changes nothing."""

    def append(_: int) -> bool:
        try:
            return get_store().append("run-7", [raw(id=identity("one"))], expected_version=NO_STREAM).is_new
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(append, range(24))) == 1
    assert versions(get_store(), "run-7") == [1]


_WRITER = """
import sys, django
django.setup()
from journal.domain.event import EventData
from journal.store import get_store
store, acknowledged = get_store(), open(sys.argv[1], "w")
while True:
    done = store.append("run-7", [EventData(type="t.x", data=b"{}")] * 3, expected_version="any")
    acknowledged.write(f"{done.version}\\n"); acknowledged.flush()
"""


@pytest.mark.slow
def test_what_was_acknowledged_survives_kill_9_and_batches_are_whole(tmp_path: Path) -> None:
    """A writer of batches of three, killed at odd moments: no acknowledged batch is lost, none is half there."""
    rounds = 40 if os.environ.get("FULL") else 6
    environment = {**os.environ, "NAGARE_DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "nagare_web.settings"}
    subprocess.run([sys.executable, "manage.py", "migrate", "-v", "0"], env=environment, check=True)
    acknowledged = tmp_path / "acknowledged"
    for at in range(rounds):
        acknowledged.write_text("")
        writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(acknowledged)], env=environment)
        deadline = time.monotonic() + 60
        while acknowledged.read_text().count("\n") <= at % 4 and time.monotonic() < deadline:
            time.sleep(0.003)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        told = [int(line) for line in acknowledged.read_text().split("\n")[:-1]]
        with sqlite3.connect(tmp_path / "nagare.sqlite3") as database:
            count, newest = database.execute("SELECT COUNT(*), MAX(version) FROM journal_event").fetchone()
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert told, "the writer never got to append"
        assert newest >= told[-1]
        assert (count, count % 3) == (newest, 0)

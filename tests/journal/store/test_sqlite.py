"""The SQLite store keeps the promises, and those of its file."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction

from journal.domain.stream import ANY_VERSION, NO_STREAM
from journal.store import every_project, get_store
from tests.builders import raw
from tests.journal.store.contract import NewStore, StoreContract


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

"""SQL Server's statements parse as T-SQL. There is no server here; `NAGARE_TEST_MSSQL_URL` runs the suite on one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Self

import pytest
import sqlglot
from sqlglot import exp

from journal.domain.stream import NO_STREAM
from journal.store import mssql, redacting
from journal.store.mssql import SqlServerStore
from journal.store.sql import Batch
from tests.builders import raw


class Recorder(SqlServerStore):
    """Keeps every statement instead of running it."""

    def __init__(self) -> None:
        super().__init__("default")
        self.statements: list[str] = []

    def execute(self, sql: str, values: Any = ()) -> None:
        """Keep it, and check that it has as many marks as values."""
        assert sql.count("%s") == len(values)
        assert len(values) <= 2_100
        self.statements.append(sql.replace("%s", "@p"))

    def _fetch(self, sql: str, values: Any) -> Any:
        self.execute(sql, values)
        return [(0,) * (sql.partition(" FROM ")[0].count(",") + 1)]

    def _read(self, where: str, values: Any) -> Any:
        self.execute(f"SELECT 1 FROM journal_event e JOIN journal_stream s ON s.id = e.stream_id {where}", values)
        return []

    @property
    def _connection(self) -> Any:
        return self

    def cursor(self) -> Any:
        """Be one's own cursor."""
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def _transaction(self, batch: Batch) -> Any:
        """Be one's own transaction."""
        del batch
        return self

    row: Any = None
    rowcount = 1

    def fetchone(self) -> Any:
        """Return the stream's row, or the id of a new one."""
        row, self.row = self.row, (7,)
        return row


@contextmanager
def nothing_redacted() -> Iterator[None]:
    """Let events be as they are: a project's rules stand in a database, and the names of tests are made without one."""
    before = redacting._replace, redacting._alike
    redacting.use(redacting._as_they_are, redacting._are_equal)
    yield
    redacting.use(*before)


@nothing_redacted()
def statements() -> list[str]:
    """Return everything the store and its migrations say to the server."""
    store = Recorder()
    store.append("run-1", [raw() for _ in range(450)], expected_version=NO_STREAM)
    store.row = (7, 450)
    store.append("run-1", [raw(id="01992f0c-0000-7000-8000-000000000001")], expected_version=450)
    list(store.read_stream("run-1", after=1, until=9))
    list(store.read_all(limit=5))
    list(store.read_category("run"))
    store.head()
    store.horizon()
    store.stream_version("run-1")
    store.versions_of("run-1")
    servers = import_module("journal.migrations.0003_servers")
    append_only = import_module("journal.migrations.0002_append_only")
    withdrawn = import_module("journal.migrations.0110_withdrawn")  # a trigger's body, which the parser would not read
    within = [withdrawn.MICROSOFT_WRONG, withdrawn.MICROSOFT_WRITE]
    triggers = append_only.TRIGGERS["microsoft"].values()
    return [*store.statements, *servers.STATEMENTS["microsoft"], *triggers, *within]


@pytest.mark.parametrize("statement", sorted(set(statements())), ids=lambda sql: re.sub(r"\W+", " ", sql)[:50])
def test_a_statement_parses(statement: str) -> None:
    """As the dialect it is meant for, and not as something the parser gave up on."""
    (parsed,) = sqlglot.parse(statement, dialect="tsql", error_level=sqlglot.ErrorLevel.RAISE)
    if not statement.startswith("CREATE TRIGGER"):  # the parser keeps a trigger's body as text
        assert not isinstance(parsed, exp.Command)


def test_appends_stay_below_the_servers_number_of_parameters() -> None:
    """450 events are three statements."""
    inserts = [sql for sql in statements() if sql.startswith("INSERT INTO journal_event")]
    assert [sql.count("@p") // 10 for sql in inserts] == [200, 200, 50, 1]
    assert mssql._PARAMETERS < 2_100

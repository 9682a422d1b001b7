"""The search indexes keep the promises, each on its own database."""

from __future__ import annotations

import pytest

from explorer.search import SearchIndex, get_index
from explorer.search.plain import PlainIndex
from tests.databases import SEARCHES
from tests.explorer.search.contract import IndexContract


@SEARCHES
class TestIndexOfTheTestRun(IndexContract):
    """SQLite's, or that of the database that the suite runs on."""

    @pytest.fixture
    def using(self) -> str:
        """The test run's own database."""
        return "default"

    @pytest.fixture
    def index(self, using: str) -> SearchIndex:
        """Its index."""
        return get_index(using=using)

    @pytest.mark.django_db(transaction=True)  # PostgreSQL sweeps outside of a transaction
    def test_what_is_forgotten_is_nowhere(self, index: SearchIndex, project: str) -> None:
        """As everywhere."""
        super().test_what_is_forgotten_is_nowhere(index, project)


@pytest.mark.parametrize(
    "server",
    [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in ("postgresql", "mariadb", "mssql")],
    indirect=True,
)
class TestServerIndex(IndexContract):
    """On PostgreSQL, MariaDB, and SQL Server where there is one."""

    @pytest.fixture
    def using(self, server: str) -> str:
        """The server's database."""
        return server

    @pytest.fixture
    def index(self, using: str) -> SearchIndex:
        """Its index."""
        return get_index(using=using)


@pytest.mark.django_db
class TestPlainIndex(IndexContract):
    """Without a full-text index: here on SQLite, which it takes for a database that we know nothing of."""

    @pytest.fixture
    def using(self) -> str:
        """The test run's own database."""
        return "default"

    @pytest.fixture
    def index(self, using: str) -> SearchIndex:
        """What reads the texts."""
        from django.db import connections  # noqa: PLC0415 - needs the settings that pytest-django puts in place

        if connections[using].vendor != "sqlite":
            pytest.skip("written for SQL Server, tried on SQLite")
        return PlainIndex(using)

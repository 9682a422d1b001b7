"""The stores on database servers keep the promises."""

from __future__ import annotations

from itertools import count

import pytest

from journal.store import get_store
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

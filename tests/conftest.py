"""What all tests share."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import pytest
from django.db import connection
from django.db.backends.sqlite3.operations import DatabaseOperations
from hypothesis import HealthCheck, settings

# Machines differ and are shared: a slow example is no failure. FULL=1 is for the long proofs.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default")


@pytest.fixture(scope="session", autouse=True)
def _flush_past_the_triggers() -> Any:
    """Let Django empty the tables after a test that commits: the journal's triggers refuse that, as they should."""
    append_only = import_module("journal.migrations.0002_append_only")
    flush = DatabaseOperations.execute_sql_flush

    def flush_without(self: DatabaseOperations, sql_list: Sequence[str]) -> None:
        with connection.schema_editor() as editor:
            append_only._drop(None, editor)
        flush(self, sql_list)
        with connection.schema_editor() as editor:
            append_only._add(None, editor)

    patch = pytest.MonkeyPatch()
    patch.setattr(DatabaseOperations, "execute_sql_flush", flush_without)
    yield
    patch.undo()

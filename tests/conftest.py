"""What all tests share."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import pytest
from django.db.backends.base.operations import BaseDatabaseOperations
from hypothesis import HealthCheck, settings

from tests.databases import server

__all__ = ["server"]

# Machines differ and are shared: a slow example is no failure. FULL=1 is for the long proofs.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default")


@pytest.fixture(scope="session", autouse=True)
def _flush_past_the_triggers() -> Any:
    """Let Django empty the tables after a test that commits: the journal's triggers refuse that, as they should."""
    append_only = import_module("journal.migrations.0002_append_only")
    flush = BaseDatabaseOperations.execute_sql_flush

    def flush_without(self: BaseDatabaseOperations, sql_list: Sequence[str]) -> None:
        with self.connection.schema_editor() as editor:
            append_only._drop(None, editor)
        flush(self, sql_list)
        with self.connection.schema_editor() as editor:
            append_only._add(None, editor)

    patch = pytest.MonkeyPatch()
    patch.setattr(BaseDatabaseOperations, "execute_sql_flush", flush_without)
    yield
    patch.undo()

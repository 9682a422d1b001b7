"""The only code that reads or writes the journal's tables of events."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from django.db import connections

from journal.store.protocol import Appended, Capabilities, EventStore, Held, Horizon
from journal.store.sql import SqlStore

__all__ = ["Appended", "Capabilities", "EventStore", "Held", "Horizon", "every_project", "get_store"]

# Loaded on first use: a driver need not be installed for a database that is not used.
_STORES: Final = {
    "sqlite": ("journal.store.sqlite", "SqliteStore"),
    "postgresql": ("journal.store.postgres", "PostgresStore"),
    "mysql": ("journal.store.mysql", "MySqlStore"),
    "microsoft": ("journal.store.mssql", "SqlServerStore"),
}


def get_store(project: str = "default", *, using: str = "default") -> EventStore:
    """Return the configured journal, bound to one project."""
    return _kind(using)(project, using=using)


def every_project(*, using: str = "default") -> EventStore:
    """Return the journal over all projects, for reading only: what projections follow."""
    return _kind(using)(None, using=using)


def _kind(using: str) -> type[SqlStore]:
    module, name = _STORES[connections[using].vendor]
    kind: type[SqlStore] = getattr(import_module(module), name)
    return kind

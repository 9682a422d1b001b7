"""The only code that reads or writes the journal's tables of events."""

from __future__ import annotations

from journal.store.protocol import Appended, Capabilities, EventStore
from journal.store.sqlite import SqliteStore

__all__ = ["Appended", "Capabilities", "EventStore", "every_project", "get_store"]


def get_store(project: str = "default") -> EventStore:
    """Return the configured journal, bound to one project."""
    return SqliteStore(project)


def every_project() -> EventStore:
    """Return the journal over all projects, for reading only: what projections follow."""
    return SqliteStore(None)

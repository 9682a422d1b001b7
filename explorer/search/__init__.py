"""Full-text search in what agents said, called and were answered: one interface, a module for each database.

An index is a read model. `explorer.search.projection` fills it behind the journal, it can be rebuilt at any time, and
nothing of it is needed for an append. What is found and what is not: docs/explanation/search.md.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Final, Protocol

from django.db import connections

from explorer.search.passages import Passage
from explorer.search.words import Needle, needle

__all__ = [
    "Document",
    "EventHit",
    "EventHits",
    "Hits",
    "InRun",
    "Needle",
    "Passage",
    "RunHit",
    "SearchIndex",
    "get_index",
    "needle",
]

IN_RUN: Final = 100_000
"""Events with the words of a needle that are looked at in one run."""

ACROSS: Final = 20_000
"""Events with the words of a needle that are looked at in a project, the newest."""

EVENTS: Final = 400
"""Events that a search for events gives for one needle, the newest."""

RUNS: Final = 1_000
"""Runs that a search across runs finds, the newest."""

# Loaded on first use, as stores are.
_INDEXES: Final = {
    "sqlite": ("explorer.search.sqlite", "SqliteIndex"),
    "postgresql": ("explorer.search.postgres", "PostgresIndex"),
    "mysql": ("explorer.search.mysql", "MySqlIndex"),
}
_WITHOUT: Final = ("explorer.search.plain", "PlainIndex")


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """What of one event can be found. Only those that are `listed` are found across runs."""

    project: str
    stream: str
    version: int
    event_id: str
    text: str
    is_cut: bool
    is_listed: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class InRun:
    """The events of a run that hold a needle, by rising version. `is_all` is False where later ones may."""

    versions: tuple[int, ...] = ()
    is_all: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class RunHit:
    """A run in which something was found, and its first event that has it."""

    stream: str
    version: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Hits:
    """The runs in which a needle was found. `is_all` is False where there may be older ones that were not looked at."""

    runs: tuple[RunHit, ...]
    is_all: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class EventHit:
    """An event that holds a needle, with its text. `is_cut` says that not all of what the event says is in it."""

    stream: str
    version: int
    event_id: str
    text: str
    is_cut: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class EventHits:
    """The newest events that hold a needle. `is_all` is False where there may be older ones."""

    hits: tuple[EventHit, ...] = ()
    is_all: bool = True


class SearchIndex(Protocol):
    """Finds a needle in the texts of the live generation, within one project.

    What it finds holds the needle, without regard to case. It misses no text in which the needle begins where a word or
    a part of one begins; a last word of one letter must be whole.
    """

    def add(self, documents: Sequence[Document], *, generation: int) -> None:
        """Make events findable, inside the caller's transaction. Those that are there already stay as they are."""

    def forget(self, project: str, event_ids: Collection[str]) -> int:
        """Delete what is indexed of some events, in every generation, and return how many rows that were."""

    def sweep(self) -> None:
        """Make the database drop at once what it keeps of deleted rows, where it can. Not inside a transaction."""

    def in_run(self, project: str, stream: str, sought: Needle) -> InRun:
        """Return the events of a run that hold a needle: one query, which looks at `IN_RUN` events at most."""

    def runs(self, project: str, sought: Sequence[Needle]) -> list[Hits]:
        """Return for each of some needles the runs that hold it, newest first: one query, bounded as `Hits` says."""

    def events(self, project: str, sought: Sequence[Needle]) -> list[EventHits]:
        """Return for each of some needles the events of all runs that hold it, newest first: one query.

        At most `EVENTS` for a needle, out of `ACROSS` events with its words.
        """

    def passages(
        self, project: str, places: Collection[tuple[str, int]], sought: Needle
    ) -> Mapping[tuple[str, int], Passage]:
        """Return the first hit in each of the events at (stream, version) that holds a needle: one query."""

    def passages_between(
        self, project: str, stream: str, sought: Needle, *, after: int, until: int
    ) -> Mapping[int, Passage]:
        """Return the first hit in each event of a part of a run, by version: one query."""


def get_index(*, using: str = "default") -> SearchIndex:
    """Return the search index of a database."""
    module, name = _INDEXES.get(connections[using].vendor, _WITHOUT)
    index: SearchIndex = getattr(import_module(module), name)(using)
    return index

"""Which runs a query asks for. The query language belongs to an app above the journal, which installs itself here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from journal.errors import Refused


class Clause(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a query as it was written, and what is left of the query without it."""

    text: str
    rest: str


class Selector(Protocol):
    """Reads queries for runs."""

    def problems(self, query: str) -> Sequence[str]:
        """Return what is wrong with a query, in words; nothing where it can be asked."""

    def clauses(self, query: str) -> Sequence[Clause]:
        """Return the parts of a query; a run has to match all of them."""

    def streams(self, project: str, query: str, *, now: datetime) -> Iterable[str]:
        """Return the streams of the runs that match, each once."""


class QueryRefused(Refused):
    """A query that cannot be asked."""


_installed: list[Selector] = []


def install(selector: Selector) -> None:
    """Make `selector` what reads queries; it takes the place of the one before."""
    _installed[:] = [selector]


def selector(query: str) -> Selector:
    """Return what reads queries, after it found `query` in order.

    Raises:
        QueryRefused: something is wrong with it, or no installed app reads queries.
    """
    if not _installed:
        raise QueryRefused(f"no installed app reads queries, so {query!r} cannot be asked; leave the query out")
    found = _installed[0].problems(query)
    if found:
        raise QueryRefused(f"the query cannot be asked: {' '.join(found)}")
    return _installed[0]

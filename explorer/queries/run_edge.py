"""The newest end of a run: what a page that is open takes in as the run grows, and what says how it stands.

An answer is three queries whatever the run's length, and five with the drawing of the whole. It is told from the
versions that the page has, never from what a nudge said, so that whoever was away for long asks once for all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from explorer.layout import Minimap
from explorer.models import RunSummary
from explorer.queries import run as debugger
from explorer.queries import run_find, run_lines, run_steps
from explorer.queries.notes import Noted, on_page
from explorer.queries.run_address import Address
from explorer.queries.run_find import Found
from explorer.queries.run_lines import Window
from explorer.verdicts import graded_key

MOST: Final = 200
"""Versions in one answer: as many as the rows that a page holds may stand for. What is beyond is asked for after."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Edge:
    """A run as it is now. `window` and the drawing are there where they were asked for."""

    run: RunSummary
    parent: RunSummary | None
    children: tuple[RunSummary, ...]
    window: Window | None = None
    minimap: Minimap | None = None
    find: Found | None = None
    noted: Noted | None = None

    @property
    def graded(self) -> str:
        """Return what changes with the verdicts that rows show."""
        return graded_key(self.run.verdicts)


def edge_of(project: str, address: Address, *, rows: str, with_map: bool) -> Edge | None:
    """Return how a run stands, and with `rows` "from" the rows from the address's event on, with "newest" the last."""
    run = run_steps.run_of(project, address.stream)
    if run is None:
        return None
    parent, children = run_lines.relatives_of(run)
    version = max(1, min(address.asked or 1, run.events))
    return Edge(
        run=run,
        parent=parent,
        children=children,
        window=_window(run, address, rows, version),
        minimap=debugger.minimap(run, version) if with_map else None,
        find=run_find.find(run, address, version) if with_map else None,
        noted=on_page(run, version) if with_map else None,
    )


def _window(run: RunSummary, address: Address, rows: str, version: int) -> Window | None:
    if rows == "newest":
        after, until = run_lines.around(run.events, run.events)
    elif rows == "from":
        after, until = version - 1, min(run.events, version - 1 + MOST)
    else:
        return None
    return run_lines.window_of(run, address, after=after, until=until, cursor=None)

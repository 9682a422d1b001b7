"""What the page of received spans shows: traces of which there is no run, and why."""

from __future__ import annotations

from dataclasses import dataclass

from explorer.figures import counted
from journal.ingest import span_untold
from journal.ingest.span_untold import LISTED, Tally, Untold


@dataclass(frozen=True, kw_only=True, slots=True)
class SpansPage:
    """The project's traces without a run. `failed` could not be told, `empty` hold nothing to tell."""

    tally: Tally
    failed: tuple[Untold, ...]
    empty: tuple[Untold, ...]
    may_act: bool

    @property
    def headline(self) -> str:
        """The answer in a line."""
        if self.tally.failed:
            return f"{counted(self.tally.failed, 'trace')} could not be told as a run"
        return "Every trace that came could be told"

    @property
    def left_out(self) -> int:
        """How many are not listed."""
        return self.tally.failed + self.tally.empty - len(self.failed) - len(self.empty)

    @property
    def most(self) -> int:
        """How many are listed."""
        return LISTED


def spans_page(project: str, *, may_act: bool) -> SpansPage:
    """Return the page: four queries."""
    rows = span_untold.untold(project)
    return SpansPage(
        tally=span_untold.tally(project),
        failed=tuple(row for row in rows if row.problem),
        empty=tuple(row for row in rows if not row.problem),
        may_act=may_act,
    )


def words_of(tally: Tally) -> str:
    """Say how the project's received spans stand, for the ops page."""
    if not (tally.failed or tally.waiting or tally.empty):
        return "No trace waits to be told as a run."
    said = [f"{counted(tally.waiting, 'trace')} {'waits' if tally.waiting == 1 else 'wait'} to be told as runs."]
    if tally.failed:
        said.append(f"{counted(tally.failed, 'trace')} could not be told.")
    if tally.empty:
        said.append(f"{counted(tally.empty, 'trace')} held no span of a model, a tool or an agent.")
    return " ".join(said)

"""Whether a run is as it was sealed, as the debugger's header and foot say it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from explorer.queries.run_steps import run_of
from journal.domain.text import amount
from journal.runtime import run_check

if TYPE_CHECKING:
    from explorer.models import RunSummary
    from journal.runtime.run_check import RunChecked

_ANSWERS: Final = {
    "intact": "This run is as it was sealed.",
    "altered": "This run is not as it was sealed.",
    "unsealed": "Not all of this run is sealed yet.",
    "unchecked": "This run was not checked.",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Intact:
    """A run, and what a check of it against the log found just now."""

    run: RunSummary
    found: RunChecked

    @property
    def answer(self) -> str:
        """The finding as a sentence."""
        return _ANSWERS[self.found.state]

    @property
    def sealed(self) -> str:
        """How much of the run stands under a signed checkpoint."""
        return f"{self.found.events - self.found.unsealed:,} of {amount(self.found.events, 'event')}"


def intact(project: str, stream: str) -> Intact | None:
    """Check a run now. None where there is none; costs as much as reading the run."""
    run = run_of(project, stream)
    found = run_check.check_run(project, run.stream, told=run.events) if run is not None else None
    return None if run is None or found is None else Intact(run=run, found=found)

"""What the inspector's tabs show of one event: only the one that is open is made, from what the journal gave for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from explorer import timelines
from explorer.models import EventLine, RunSummary
from explorer.queries import run_context, run_explain
from explorer.queries.run_address import Address
from explorer.queries.run_context import ContextPanel, context_panel
from explorer.queries.run_diff import DiffPanel, diff_panel
from explorer.queries.run_explain import Explain, explain_panel
from explorer.queries.run_payload import PayloadPanel, payload_panel
from explorer.queries.run_state import StatePanel, state_panel


@dataclass(frozen=True, kw_only=True, slots=True)
class Panels:
    """What the open tab shows; the others are None. The causes stand in every tab and are not among these."""

    explain: Explain | None = None
    state: StatePanel | None = None
    diff: DiffPanel | None = None
    payload: PayloadPanel | None = None
    context: ContextPanel | None = None
    has_no_context: bool = False


def moment_for(project: str, address: Address, version: int) -> timelines.Moment | None:
    """Read the run at a version with as much around it as the open tab needs, in one query; None where it is not."""
    back, ahead = _reach(address.tab)
    return timelines.moment(project, address.stream, version, back=back, ahead=ahead)


def _reach(tab: str) -> tuple[int, int]:
    match tab:
        case "explain" | "events":
            return run_explain.BACK, 0
        case "context":
            return run_context.BACK, run_context.AHEAD
        case _:
            return 0, 0


def panels(  # noqa: PLR0913 - the event, and what was read around it
    run: RunSummary,
    line: EventLine,
    address: Address,
    moment: timelines.Moment,
    *,
    lines: Sequence[EventLine],
    response: int | None,
) -> Panels:
    """Return what the open tab shows. `response` is the version of the answer that a decision stands in."""
    match address.tab:
        case "explain" | "events":
            return Panels(explain=explain_panel(line, moment, lines, response))
        case "state":
            return Panels(state=state_panel(run, address, moment.after()))
        case "diff":
            return Panels(diff=diff_panel(run, address, line.version, moment, moment.after()))
        case "payload":
            return Panels(payload=payload_panel(moment.event, address))
        case "context":
            shown = context_panel(run, address, moment)
            return Panels(context=shown, has_no_context=shown is None)
        case _:
            return Panels()

"""The run debugger: one event of a run, everything around it, and how to move on.

A cursor move asks for `Inspector` alone; a page adds the window of the list and the minimap. Both cost the same for a
run of 200 events and of 100,000.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from explorer import timelines
from explorer.layout import Minimap, minimap
from explorer.models import EventLine, RunSummary
from explorer.queries import run_causes, run_lines, run_steps
from explorer.queries.run_address import TABS, Address
from explorer.queries.run_causes import Causes
from explorer.queries.run_explain import BACK, Explain, explain_panel
from explorer.queries.run_lines import Window
from explorer.queries.run_panels import (
    DiffPanel,
    PayloadPanel,
    StatePanel,
    after,
    diff_panel,
    payload_panel,
    state_panel,
)
from explorer.queries.run_steps import Cursor, Step
from journal.domain.agent_run import CATEGORY
from journal.domain.run_state import CODE_VERSION

_AHEAD: Final = 8
"""Events after the cursor that the explanation may need: a decision's result and what came of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tab:
    """A tab of the inspector; `count` is said where it costs nothing more."""

    name: str
    href: str
    is_on: bool
    count: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """A way of stepping through the run, with how many events it has."""

    name: str
    words: str
    count: int
    href: str
    is_on: bool
    is_outside: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Jump:
    """A place to go from here: `name` is what the keyboard calls it, `version` None where there is none that way."""

    name: str
    words: str
    version: int | None
    href: str
    stream: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspector:
    """Everything that changes with the cursor, the list and the minimap's line apart."""

    run: RunSummary
    line: EventLine
    address: Address
    since_us: int | None
    tabs: tuple[Tab, ...]
    segments: tuple[Segment, ...]
    back: tuple[Jump, ...]
    on: tuple[Jump, ...]
    walks: tuple[Jump, ...]
    causes: Causes
    explain: Explain | None
    state: StatePanel | None
    diff: DiffPanel | None
    payload: PayloadPanel | None

    @property
    def version(self) -> int:
        """Return the event's number."""
        return self.line.version

    @property
    def permalink(self) -> str:
        """Return the event's permanent address."""
        return self.address.event(self.line.version)

    @property
    def ancestors(self) -> str:
        """Return this run's ancestors of the event, for the rail beside the list."""
        return ",".join(map(str, self.causes.before))


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """The whole debugger."""

    inspector: Inspector
    window: Window
    minimap: Minimap
    parent: RunSummary | None
    children: tuple[RunSummary, ...]
    banner: str

    @property
    def run(self) -> RunSummary:
        """Return the run."""
        return self.inspector.run

    @property
    def reducer(self) -> int:
        """Return the version of the code that folds agent runs: another may give another state."""
        return CODE_VERSION

    @property
    def address(self) -> Address:
        """Return what the page was asked for."""
        return self.inspector.address


def find(project: str, address: Address) -> tuple[Cursor, str] | None:
    """Return the event that an address means and, where it is not the one that was asked for, a sentence saying so.

    None where the project has no such run.
    """
    run = run_steps.run_of(project, address.stream)
    if run is None:
        return None
    asked = 1 if address.asked is None else address.asked
    nearest = max(1, min(asked, run.events))
    cursor = run_steps.cursor_at(run, nearest, tool=address.tool, text=address.q)
    return (cursor, _clamped(asked, nearest) if asked != nearest else "") if cursor else None


def _clamped(asked: int, nearest: int) -> str:
    if asked < 1:
        return f"You asked for {asked}. Events begin at 1, so here is 1."
    return f"You asked for {asked}. The run ends at {nearest}, so here is {nearest}."


def inspector(cursor: Cursor, address: Address) -> Inspector | None:
    """Return what the inspector shows of the cursor's event; None where the journal does not hold it."""
    run, line = cursor.run, cursor.line
    moment = timelines.moment(run.project, run.stream, line.version, back=BACK if _explains(address) else 0)
    if moment is None:
        return None
    links = run_causes.links_of(run.project, line.event_id)
    near = {line.pair, *range(line.version + 1, line.version + _AHEAD)} - {None}
    lines = run_lines.lines_of(run, versions=[version for version in near if version], ids=links.ids)
    causes = run_causes.causes_of(run, line, links, lines)
    step = _step(cursor, causes, address.scrub)
    return Inspector(
        run=run,
        line=line,
        address=address,
        causes=causes,
        since_us=line.occurred_us - run.started_us if line.time_known and run.time_known else None,
        tabs=_tabs(address, line.version, causes),
        segments=_segments(cursor, causes, address),
        back=(_jump(address, "first", "First", step.first), _jump(address, "previous", "Previous", step.before)),
        on=(_jump(address, "next", "Next", step.after), _jump(address, "last", "Last", step.last)),
        walks=_walks(cursor, causes, address),
        explain=explain_panel(line, moment, lines, _response(causes, line)) if _explains(address) else None,
        state=state_panel(after(moment)) if address.tab == "state" else None,
        diff=diff_panel(run, address, line, moment) if address.tab == "diff" else None,
        payload=payload_panel(moment.event, address) if address.tab == "payload" else None,
    )


def page(cursor: Cursor, address: Address, banner: str) -> Page | None:
    """Return the whole debugger; None where the journal does not hold the event."""
    shown = inspector(cursor, address)
    if shown is None:
        return None
    run, version = cursor.run, cursor.line.version
    parent, children = run_lines.relatives_of(run)
    return Page(
        inspector=shown,
        banner=banner,
        parent=parent,
        children=children,
        window=window(cursor, shown),
        minimap=minimap(run_lines.marks_of(run), events=run.events, cursor=version, first_failure=run.first_error),
    )


def window(cursor: Cursor, shown: Inspector) -> Window:
    """Return the part of the list that has the cursor in its middle, its rail drawn."""
    version = cursor.line.version
    after, until = run_lines.around(cursor.line.folded_into or version, cursor.run.events)
    return run_lines.window_of(
        cursor.run,
        shown.address,
        after=after,
        until=until,
        cursor=version,
        ancestors=shown.causes.before,
    )


def _explains(address: Address) -> bool:
    return address.tab in ("explain", "events")


def _response(causes: Causes, line: EventLine) -> int | None:
    """Return the version of the response that a decision stands in, from its links."""
    answered = [row.line for row in causes.rows if not row.is_effect and row.line.kind == "model_responded"]
    own = [other.version for other in answered if other.run_id == line.run_id and other.version < line.version]
    return max(own, default=None)


def _tabs(address: Address, version: int, causes: Causes) -> tuple[Tab, ...]:
    counts = {"causes": causes.chain.ancestors}
    return tuple(
        Tab(name=name, href=address.with_tab(name, version), is_on=address.tab == name, count=counts.get(name))
        for name in TABS
    )


def _step(cursor: Cursor, causes: Causes, scrub: str) -> Step:
    own = cursor.run.pk
    match scrub.partition(":")[0]:
        case "decisions":
            return cursor.decisions
        case "errors":
            return cursor.errors
        case "tool":
            return cursor.tool
        case "found":
            return cursor.found
        case "causes":
            cause, effect = causes.next_cause, causes.next_effect
            return Step(
                before=cause.version if cause and cause.run_id == own else None,
                after=effect.version if effect and effect.run_id == own else None,
                first=min(causes.before, default=None),
            )
        case _:
            return cursor.rows


def _segments(cursor: Cursor, causes: Causes, address: Address) -> tuple[Segment, ...]:
    ways = [("all", "all", cursor.run.events)]
    if cursor.run.category == CATEGORY:
        ways.append(("decisions", "tool calls", cursor.decisions.count))
        if cursor.tool_name:
            ways.append((f"tool:{cursor.tool_name}", cursor.tool_name, cursor.tool.count))
        ways.append(("errors", "errors", cursor.errors.count))
    ways.append(("causes", "causes", causes.chain.ancestors))
    if address.q:
        ways.append(("found", "found", cursor.found.count))
    return tuple(
        Segment(
            name=name,
            words=words,
            count=count,
            href=address.with_scrub(name, cursor.line.version),
            is_on=name == address.scrub,
            is_outside=name.startswith("tool:"),
        )
        for name, words, count in ways
    )


def _walks(cursor: Cursor, causes: Causes, address: Address) -> tuple[Jump, ...]:
    ways = [
        ("row-before", "previous event", cursor.rows.before),
        ("row-after", "next event", cursor.rows.after),
        ("decision-before", "previous tool call", cursor.decisions.before),
        ("decision-after", "next tool call", cursor.decisions.after),
        ("error-before", "previous error", cursor.errors.before),
        ("error-after", "next error", cursor.errors.after),
    ]
    if cursor.tool_name:
        ways += [
            ("tool-before", "previous of this tool", cursor.tool.before),
            ("tool-after", "next of this tool", cursor.tool.after),
        ]
    jumps = [_jump(address, name, words, version) for name, words, version in ways]
    return (
        _walk(address, cursor.run, "cause", causes.next_cause),
        _walk(address, cursor.run, "effect", causes.next_effect),
        *jumps,
    )


def _walk(address: Address, run: RunSummary, name: str, line: EventLine | None) -> Jump:
    """A cause or effect in another run leads there: a sub-agent's first message, or its parent's hand-off."""
    if line is not None and line.run_id != run.pk:
        return Jump(
            name=name,
            words=name,
            version=line.version,
            stream=line.run.stream,
            href=address.elsewhere(line.run.stream, line.version),
        )
    return _jump(address, name, name, line.version if line else None)


def _jump(address: Address, name: str, words: str, version: int | None) -> Jump:
    return Jump(name=name, words=words, version=version, href=address.at(version) if version else "")

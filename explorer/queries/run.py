"""The run debugger: one event of a run, everything around it, and how to move on.

A cursor move asks for `Inspector` alone, which is two queries: what the journal holds, and what stands around. A page
adds the window of the list and the minimap. Both cost the same for a run of 200 events and of 100,000.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from explorer import timelines
from explorer.drawings import minimap_of
from explorer.layout import Minimap
from explorer.models import EventLine, RunSummary
from explorer.queries import run_causes, run_find, run_lines, run_steps
from explorer.queries.run_address import TABS, Address
from explorer.queries.run_causes import Causes
from explorer.queries.run_find import Found
from explorer.queries.run_lines import Window
from explorer.queries.run_moment import occurred_by
from explorer.queries.run_panels import Panels, moment_for, panels
from explorer.queries.run_steps import Cursor, Step
from explorer.redactions import redacted_words
from explorer.search import Passage
from explorer.verdicts import graded_key, verdicts_of
from journal.domain.agent_run import CATEGORY
from journal.domain.aggregate import has_state
from journal.domain.run_state import CODE_VERSION

FOLLOWED_FOR: Final = timedelta(hours=1)
"""How long after its last event a run that ended may grow still, by verdicts for example."""

_LARGEST: Final = 2**62
"""Above any version there may be, and below what a column holds."""


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

    cursor: Cursor
    address: Address
    since_us: int | None
    tabs: tuple[Tab, ...]
    segments: tuple[Segment, ...]
    back: tuple[Jump, ...]
    on: tuple[Jump, ...]
    walks: tuple[Jump, ...]
    causes: Causes
    panels: Panels
    found_here: tuple[Passage, ...]
    redacted: str
    """What stands for secrets in the event, in words; empty where nothing does."""

    @property
    def run(self) -> RunSummary:
        """Return the run."""
        return self.cursor.run

    @property
    def line(self) -> EventLine:
        """Return the event."""
        return self.cursor.line

    @property
    def version(self) -> int:
        """Return the event's number."""
        return self.line.version

    @property
    def row(self) -> int:
        """Return the version of the list's row in which the event stands."""
        return run_lines.row_of(self.line, self.address)

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
    """The whole debugger. `is_followed` says that more of the run may come, and that the page listens for it."""

    inspector: Inspector
    window: Window
    minimap: Minimap
    parent: RunSummary | None
    children: tuple[RunSummary, ...]
    banner: str
    find: Found | None
    is_followed: bool = False

    @property
    def run(self) -> RunSummary:
        """Return the run."""
        return self.inspector.run

    @property
    def graded(self) -> str:
        """Return what changes with the verdicts that rows show."""
        return graded_key(self.run.verdicts)

    @property
    def folded_by(self) -> str:
        """Say what makes the state: other code may give another one."""
        if self.run.category == CATEGORY:
            return f"state by reducer agent_run v{CODE_VERSION}"
        if has_state(self.run.category):
            return f"state by the aggregate {self.run.category}"
        return "state of a stream without a reducer: the newest data of each type"

    @property
    def address(self) -> Address:
        """Return what the page was asked for."""
        return self.inspector.address


def find(project: str, address: Address) -> tuple[Inspector, str] | None:
    """Return what the inspector shows at an address and, where that is not what was asked for, a sentence saying so.

    Two queries: the journal's events, then everything around the cursor. A version that the run does not have costs
    one more and leads to the nearest; a time costs three more. None where the project has no such run.
    """
    if address.moment is not None and address.asked is None:
        return _by_time(project, address, address.moment)
    asked = 1 if address.asked is None else address.asked
    shown = _inspector(project, address, asked) if 0 < asked < _LARGEST else None
    if shown is not None:
        return shown, ""
    run = run_steps.run_of(project, address.stream)
    nearest = max(1, min(asked, run.events)) if run is not None else asked
    shown = _inspector(project, address, nearest) if nearest != asked else None
    return (shown, _clamped(asked, nearest)) if shown is not None else None


def _by_time(project: str, address: Address, moment: datetime) -> tuple[Inspector, str] | None:
    """Return the run at the last event that had occurred by then, and a sentence that says which that is."""
    run = run_steps.run_of(project, address.stream)
    if run is None:
        return None
    found = occurred_by(run, moment)
    shown = _inspector(project, address, max(1, found.version))
    return (shown, found.words) if shown is not None else None


def _clamped(asked: int, nearest: int) -> str:
    if asked < 1:
        return f"You asked for {asked}. Events begin at 1, so here is 1."
    return f"You asked for {asked}. The run ends at {nearest}, so here is {nearest}."


def _inspector(project: str, address: Address, version: int) -> Inspector | None:
    moment = moment_for(project, address, version)
    if moment is None:
        return None
    cursor = run_steps.cursor_at(
        project,
        address.stream,
        version,
        event_id=moment.event.id,
        tool=address.tool,
        is_raw=address.rows == "raw",
        below=run_causes.below(address),
    )
    if cursor is None:
        return None
    if timelines.is_stale(project, address.stream, cursor.run.pk):
        return _inspector(project, address, version)
    run, line, lines = cursor.run, cursor.line, list(cursor.lines)
    causes = run_causes.causes_of(cursor, address)
    step = _step(cursor, causes, address.scrub)
    return Inspector(
        cursor=cursor,
        address=address,
        causes=causes,
        since_us=line.occurred_us - run.started_us if line.time_known and run.time_known else None,
        tabs=_tabs(address, line.version, causes),
        segments=_segments(cursor, causes, address),
        back=(_jump(address, "first", "First", step.first), _jump(address, "previous", "Previous", step.before)),
        on=(_jump(address, "next", "Next", step.after), _jump(address, "last", "Last", step.last)),
        walks=_walks(cursor, causes, address),
        panels=panels(run, line, address, moment, lines=lines, response=_response(causes, line)),
        found_here=run_find.in_event(moment.event, address),
        redacted=redacted_words(moment.event.meta.redacted),
    )


def page(shown: Inspector, banner: str, now: datetime) -> Page:
    """Return the whole debugger around an inspector."""
    run = shown.run
    parent, children = run_lines.relatives_of(run)
    return Page(
        inspector=shown,
        banner=banner,
        parent=parent,
        children=children,
        window=window(shown, with_passages=True),
        find=run_find.find(run, shown.address, shown.version),
        minimap=minimap(run, shown.version),
        is_followed=run.status == "running" or run.newest_us >= (now - FOLLOWED_FOR).timestamp() * 1_000_000,
    )


def minimap(run: RunSummary, cursor: int) -> Minimap:
    """Flag the failures of rules; in a run that no rule failed, the first failure of a tool."""
    rules = [verdict.version for verdict in verdicts_of(run.verdicts).fails]
    tools = [run.first_error] if run.first_error else []
    return minimap_of(
        run,
        cursor=cursor,
        failures=rules or tools,
        words="first failure" if rules else "first tool failure",
    )


def window(shown: Inspector, *, with_passages: bool = False) -> Window:
    """Return the part of the list that has the cursor in its middle, its rail drawn.

    `with_passages`, rows show where they hold what is looked for; a script asks for that by itself.
    """
    after, until = run_lines.around(shown.row, shown.run.events)
    return run_lines.window_of(
        shown.run,
        shown.address,
        after=after,
        until=until,
        cursor=shown.version,
        ancestors=shown.causes.before,
        hits=run_find.in_rows(shown.run, shown.address, after=after, until=until) if with_passages else {},
    )


def edge(project: str, address: Address, side: str) -> tuple[RunSummary, Window] | None:
    """Return the rows that come in at an end of the list: from the address's event on, or those up to it.

    The cursor of the page stays where it is; it is the script's to mark.
    """
    run = run_steps.run_of(project, address.stream)
    if run is None:
        return None
    version = max(1, min(address.asked or 1, run.events))
    after = max(0, version - run_lines.CHUNK) if side == "before" else version - 1
    until = version if side == "before" else version - 1 + run_lines.CHUNK
    return run, run_lines.window_of(run, address, after=after, until=until, cursor=None)


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

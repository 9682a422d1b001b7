"""The event a page is about, and where each way of stepping leads from it: two queries, both by index.

The neighbours are scalar subqueries of one statement, written as SQL: through the ORM its twenty subqueries took longer
to put together than everything else on the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from explorer.models import EventLine, RunSummary

_WAYS: Final = {
    "rows": "folded_into IS NULL",
    "decisions": "kind = 'reasoned'",
    "errors": "kind IN ('tool_failed', 'aborted')",
    "tool": "kind = 'reasoned' AND tool = COALESCE(NULLIF(%(tool)s, ''), here.tool)",
    "found": "summary LIKE %(text)s ESCAPE '!'",
}
_ALWAYS: Final = ("rows", "decisions", "errors", "tool")


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """Where a way of stepping leads from the cursor: versions, None where there is no more that way."""

    before: int | None = None
    after: int | None = None
    count: int = 0
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Cursor:
    """The event the page is about, its run, and the steps that lead away from it."""

    line: EventLine
    run: RunSummary
    rows: Step
    decisions: Step
    errors: Step
    tool: Step
    tool_name: str
    found: Step


def run_of(project: str, stream: str) -> RunSummary | None:
    """Return a run of the project."""
    return RunSummary.objects.filter(project=project, stream=stream).first()


def cursor_at(run: RunSummary, version: int, *, tool: str = "", text: str = "") -> Cursor | None:
    """Return the event at `version` with where each way of stepping leads; None where the run has no such event.

    `tool` and `text` are what the reader steps through; without `tool` it is the event's own.
    """
    values = {"run": run.pk, "version": version, "tool": tool, "text": f"%{_literal(text)}%"}
    line = next(iter(EventLine.objects.raw(_WITH_TEXT if text else _WITHOUT, values)), None)
    if line is None:
        return None
    line.run = run
    tool_name = tool or line.tool
    return Cursor(
        line=line,
        run=run,
        rows=_step(line, "rows"),
        decisions=_step(line, "decisions"),
        errors=_step(line, "errors"),
        tool=_step(line, "tool") if tool_name else Step(),
        tool_name=tool_name,
        found=_step(line, "found"),
    )


def _statement(ways: tuple[str, ...]) -> str:
    columns = ", ".join(column for name in ways for column in _columns(name, _WAYS[name]))
    return (
        f"SELECT here.*, {columns} FROM explorer_eventline here"  # noqa: S608 - constants of this module
        " WHERE here.run_id = %(run)s AND here.version = %(version)s"
    )


def _columns(name: str, which: str) -> tuple[str, ...]:
    """Name the subqueries of one way: `errors_before`, `errors_after`, and so on."""
    lines = f"FROM explorer_eventline WHERE run_id = here.run_id AND {which}"
    up, down = "ORDER BY version LIMIT 1", "ORDER BY version DESC LIMIT 1"
    edges = (
        f"(SELECT version {lines} AND version < here.version {down}) AS {name}_before",
        f"(SELECT version {lines} AND version > here.version {up}) AS {name}_after",
        f"(SELECT version {lines} {up}) AS {name}_first",
        f"(SELECT version {lines} {down}) AS {name}_last",
    )
    # How many rows there are nobody asks: the run's events are counted already.
    return edges if name == "rows" else (*edges, f"(SELECT COUNT(*) {lines}) AS {name}_count")


_WITHOUT: Final = _statement(_ALWAYS)
_WITH_TEXT: Final = _statement((*_ALWAYS, "found"))


def _step(line: EventLine, name: str) -> Step:
    def value(part: str) -> Any:
        return getattr(line, f"{name}_{part}", None)

    return Step(
        before=value("before"),
        after=value("after"),
        count=value("count") or 0,
        first=value("first"),
        last=value("last"),
    )


def _literal(text: str) -> str:
    """Return text that LIKE takes as it stands."""
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")

"""The query language as the journal's re-grades use it, and runs as rules may look them up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from explorer.listed import LISTED
from explorer.models import RunSummary
from explorer.queries.runs import matching
from explorer.query_language import parse, parts
from journal.runtime import lookups, selecting
from journal.runtime.selecting import Clause

_LOOKED_UP: Final = (
    "stream", "title", "status", "agent", "model", "source", "parent_run", "subject", "outcome", "events", "decisions",
    "tool_calls", "tool_errors", "first_error", "input_tokens", "output_tokens", "cost_usd", "duration_ms",
)  # fmt: skip


class RunSelector:
    """Reads queries as the list of runs does."""

    def problems(self, query: str) -> Sequence[str]:
        """Return what could not be understood, each with the place."""
        found = parse(query).problems
        return [f"{problem.message} ({problem.word!r} at {problem.start + 1})" for problem in found]

    def clauses(self, query: str) -> Sequence[Clause]:
        """Return the terms as they were typed."""
        return [Clause(text=part.text, rest=part.rest) for part in parts(parse(query))]

    def streams(self, project: str, query: str, *, now: datetime) -> Iterable[str]:
        """Return the streams of the runs in the list under this query."""
        found: Iterable[str] = matching(project, parse(query), now).order_by().values_list("stream", flat=True)
        return found


def install() -> None:
    """Offer both to the journal."""
    selecting.install(RunSelector())
    lookups.looks_into("runs")(looked_up)


def looked_up(project: str, key: str) -> dict[str, Any] | None:
    """Return what the list says of a run, by its stream."""
    found = RunSummary.objects.filter(LISTED, project=project, stream=key)
    row: dict[str, Any] | None = found.values(*_LOOKED_UP).first()
    return row

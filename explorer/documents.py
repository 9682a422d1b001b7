"""What commands print with `--json` and the API answers of the explorer's read models."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from explorer.cause_graph import lane_of
from explorer.models import EventLine, RunSummary
from explorer.query_language import Query, parse
from journal.domain.event import instant
from journal.domain.stream import category
from journal.runtime.selecting import QueryRefused

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIELDS: Final = (
    "stream", "title", "status", "agent", "model", "source", "source_id", "parent_run", "tools", "events", "decisions",
    "tool_calls", "tool_errors", "input_tokens", "output_tokens", "cost_usd", "duration_ms",
)  # fmt: skip


class QueryMeansNothing(QueryRefused):
    """A query with words that mean nothing; `problems` say which, each with what would be right."""

    def __init__(self, query: Query) -> None:
        self.query = query.text
        self.problems = [problem.message for problem in query.problems]
        super().__init__("; ".join(self.problems))


class Outcome(msgspec.Struct, kw_only=True):
    """How the source judged a run: a word of ours, and its own labels."""

    status: str
    raw: Any


class Run(msgspec.Struct, kw_only=True):
    """A run as lists show it. Null is "not recorded"."""

    stream: str
    title: str
    status: str
    agent: str
    model: str
    source: str
    source_id: str
    parent_run: str | None
    tools: list[str]
    events: int
    decisions: int
    tool_calls: int
    tool_errors: int
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    duration_ms: int | None
    outcome: Outcome
    user: str | None
    started_at: str | None


class GraphNode(msgspec.Struct, kw_only=True):
    """An event as a graph of causes shows it. `folded_into` is the version of the event that stands for it there."""

    id: str
    stream: str
    version: int
    position: int
    kind: str
    lane: str
    title: str
    summary: str
    tool: str
    is_error: bool
    folded_into: int | None


def asked(text: str) -> Query:
    """Return what a query means.

    Raises:
        QueryMeansNothing: it has words that mean nothing.
    """
    query = parse(text)
    if query.problems:
        raise QueryMeansNothing(query)
    return query


def run_document(row: RunSummary) -> dict[str, Any]:
    """Return a run as lists show it."""
    started = _EPOCH + timedelta(microseconds=row.started_us)
    return {
        **{name: getattr(row, name) for name in _FIELDS},
        "parent_run": row.parent_run or None,
        "outcome": {"status": row.outcome, "raw": row.outcome_raw},
        "user": row.subject or None,
        "started_at": instant(started) if row.time_known else None,
    }


def node_of(line: EventLine) -> GraphNode:
    """Return an event as a node of a graph; its run is read with it."""
    stream = line.run.stream
    return GraphNode(
        id=line.event_id,
        stream=stream,
        version=line.version,
        position=line.position,
        kind=line.kind,
        lane=lane_of(line.kind, category(stream)),
        title=line.title,
        summary=line.summary,
        tool=line.tool,
        is_error=line.is_error,
        folded_into=line.folded_into,
    )

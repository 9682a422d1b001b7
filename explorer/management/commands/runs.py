"""`nagare runs`: the run list without a browser."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import CommandParser

from explorer.models import RunSummary
from explorer.queries.runs import matching
from explorer.query_language import Query, parse
from journal.access.projects import ensure_project
from journal.domain.event import instant
from journal.errors import JournalError
from journal.management.base import Command as Base
from journal.management.base import add_project_argument

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIELDS = (
    "stream", "title", "status", "agent", "model", "source", "source_id", "parent_run", "tools", "events", "decisions",
    "tool_calls", "tool_errors", "input_tokens", "output_tokens", "cost_usd", "duration_ms",
)  # fmt: skip


class QueryRefused(JournalError):
    """A query with a word that means nothing."""

    def __init__(self, query: Query) -> None:
        self.query = query.text
        self.problems = [problem.message for problem in query.problems]
        super().__init__("; ".join(self.problems))


class Command(Base):
    """List runs."""

    help = "List the runs of a project, newest first; --query takes what the query box of the run list takes."
    example = "nagare runs --query 'agent:coder errors:>0 last:7d' --limit 20"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        add_project_argument(parser)
        parser.add_argument("--query", default="", metavar="Q", help="such as: agent:coder tool:edit_file errors:>0")
        parser.add_argument("--limit", type=int, default=50, metavar="N", help="default: %(default)s")

    def run(self, **options: Any) -> None:
        """Ask and print."""
        query = parse(options["query"])
        if query.problems:
            raise QueryRefused(query)
        found = matching(ensure_project(options["project"]).slug, query, datetime.now(UTC))[: max(options["limit"], 0)]
        if options["json"]:
            self.print_json({"runs": [_as_json(row) for row in found]})
            return
        for row in found:
            failures = f"{row.tool_errors} failures" if row.tool_errors else ""
            self.say(f"{row.stream}  {row.status:<8}  {row.events:>6} events  {failures:>12}  {row.title[:80]}")


def _as_json(row: RunSummary) -> dict[str, Any]:
    started = _EPOCH + timedelta(microseconds=row.started_us)
    return {
        **{name: getattr(row, name) for name in _FIELDS},
        "parent_run": row.parent_run or None,
        "outcome": {"status": row.outcome, "raw": row.outcome_raw},
        "user": row.subject or None,
        "started_at": instant(started) if row.time_known else None,
    }

"""`nagare runs`: the run list without a browser."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandParser

from explorer.documents import asked, run_document
from explorer.queries.runs import matching
from journal.access.projects import ensure_project
from journal.management.base import Command as Base
from journal.management.base import add_project_argument


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
        query = asked(options["query"])
        found = matching(ensure_project(options["project"]).slug, query, datetime.now(UTC))[: max(options["limit"], 0)]
        if options["json"]:
            self.print_json({"runs": [run_document(row) for row in found]})
            return
        for row in found:
            failures = f"{row.tool_errors} failures" if row.tool_errors else ""
            self.say(f"{row.stream}  {row.status:<8}  {row.events:>6} events  {failures:>12}  {row.title[:80]}")

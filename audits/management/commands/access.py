"""`nagare access`: who looked at what, took it along, changed who may, or was refused."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from audits import access_queries as queries
from journal.access import record_access
from journal.access.projects import ensure_project
from journal.domain.access_log import AccessKind
from journal.domain.event import instant
from journal.management.base import Command as Base
from journal.management.base import add_project_argument, wrong_usage


class Command(Base):
    """Read the access log."""

    help = (
        "List who read payloads, took data along, made reports, changed who may, signed in or was refused, the newest"
        " first. Reading the log is recorded in it."
    )
    example = "nagare access --since 2026-11-01 --user ada --json"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        parser.add_argument("--since", metavar="T", default="", help="only then or later, ISO 8601, UTC")
        parser.add_argument("--until", metavar="T", default="", help="only then or earlier; a day alone is all of it")
        parser.add_argument("--user", metavar="NAME", default="", help="only what this account did")
        parser.add_argument("--kind", choices=list(AccessKind), default="", help="only what is of this kind")
        parser.add_argument("--object", metavar="NAME", default="", help="only what was done to this, such as a run")
        parser.add_argument("--outcome", choices=queries.OUTCOMES, default="", help="only what ended so")
        parser.add_argument(
            "--limit", type=int, default=100, metavar="N", help="at most so many (default: %(default)s)"
        )
        add_project_argument(parser)

    def run(self, **options: Any) -> None:
        """Ask and print."""
        try:
            asked = queries.filter_of(options)
        except ValueError as error:
            raise wrong_usage(str(error)) from error
        project = ensure_project(options["project"]).slug
        queries.settle()
        found = queries.entries(project, asked, limit=max(options["limit"], 1))
        record_access(project, AccessKind.READ, "access log")
        if options["json"]:
            self.print_json({"items": [entry.to_json() for entry in found]})
            return
        for entry in found:
            events = f", {entry.events}" if entry.events else ""
            refused = "" if entry.outcome == "done" else f" [{entry.outcome}]"
            where = f", from {entry.origin}" if entry.origin else ""
            self.say(f"{instant(entry.at)[:19]}Z  {entry.says}{events}{where}{refused}")
        if not found:
            self.say("no record matches")

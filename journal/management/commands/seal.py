"""`nagare seal`: sign what waits, or open another log where one cannot go on."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from journal.access.projects import ensure_project
from journal.errors import Refused
from journal.management.base import Command as Base
from journal.management.base import wrong_usage
from journal.runtime import log_rows, sealer


class Command(Base):
    """Seal."""

    help = (
        "Give every event its place in its project's log and sign the new head; what `nagare serve` does all the time."
        " A log that does not fit what was signed of it stops: look first (nagare verify), then begin another one with"
        " --reopen."
    )
    example = "nagare seal"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        parser.add_argument("--reopen", metavar="PROJECT", help="end this project's log and begin another one")
        parser.add_argument("--reason", metavar="TEXT", help="with --reopen: why, for whoever reads the log later")

    def run(self, **options: Any) -> None:
        """Reopen where asked to, then seal."""
        if bool(options["reopen"]) != bool(options["reason"]):
            raise wrong_usage("--reopen and --reason go together")
        if options["reopen"]:
            self._reopen(options["reopen"], options["reason"])
        if not sealer.catch_up():
            raise Refused("another process seals; `nagare status` names it")
        logs = log_rows.all_newest()
        if options["json"]:
            shown = [{"project": log.project, "origin": log.origin, "size": log.size} for log in logs]
            self.print_json({"logs": shown})
            return
        for log in logs:
            self.say(f"{log.project}: {log.broken or f'{log.size:,} events sealed in {log.origin}'}")

    def _reopen(self, slug: str, reason: str) -> None:
        project = ensure_project(slug).slug
        log = log_rows.newest(project)
        newest = log_rows.head(log) if log is not None else None
        if log is None or newest is None:
            raise Refused(f"project {project!r} has no log yet that could end")
        sealer.reopen(log, note=newest.note, reason=reason)

"""`nagare hold`: what is held can be neither purged nor erased."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from journal.access.projects import ensure_project
from journal.domain.retention import Hold
from journal.management.base import Command as Base
from journal.management.base import add_project_argument, operator, wrong_usage
from journal.runtime import retention


class Command(Base):
    """Add, release and list holds."""

    help = (
        "A hold on a stream, or on all runs that name a subject, wins over every purge and erasure until it is"
        " released. Both are journalled, with the reason and who did it."
    )
    example = 'nagare hold add --stream agent_run-7 --reason "incident 12, serious"'

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        parser.add_argument("action", choices=("add", "release", "list"), help="list: those that bind")
        parser.add_argument("--stream", default="", metavar="S", help="the stream that is held")
        parser.add_argument("--subject", default="", metavar="ID", help="the subject whose runs are held")
        parser.add_argument("--id", default="", metavar="HOLD", help="with release: the hold's own id")
        parser.add_argument("--kind", choices=("legal", "incident"), default="legal", help="default: %(default)s")
        parser.add_argument("--reason", default="", metavar="TEXT", help="why; kept for good")
        add_project_argument(parser)

    def run(self, **options: Any) -> None:
        """Do what was asked."""
        project, where = ensure_project(options["project"]).slug, (options["stream"], options["subject"])
        if options["action"] == "list":
            self._show(retention.active_holds(project), options, what="")
            return
        if not any((*where, options["id"])):
            raise wrong_usage("name --stream or --subject")
        if options["action"] == "add":
            added = retention.add_hold(
                project,
                stream=where[0],
                subject=where[1],
                kind=options["kind"],
                reason=options["reason"],
                by=operator(),
            )
            self._show([added], options, what="added    ")
            return
        released = retention.release_hold(
            project, hold_id=options["id"], stream=where[0], subject=where[1], reason=options["reason"], by=operator()
        )
        self._show(released, options, what="released ")

    def _show(self, holds: list[Hold], options: dict[str, Any], *, what: str) -> None:
        if options["json"]:
            self.print_json({"holds": holds})
            return
        for hold in holds:
            on = hold.stream or f"subject {hold.subject}"
            self.say(f"{what}{hold.id}  {hold.kind} hold on {on}: {hold.reason} ({hold.by}, {hold.added_at})")
        if not holds:
            self.say("nothing is held")

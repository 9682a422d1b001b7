"""`nagare webhook`: where alerts and events are sent."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from journal.access.projects import ensure_project
from journal.domain.alerts import KINDS
from journal.management.base import Command as Base
from journal.management.base import add_project_argument
from journal.models import Webhook
from journal.runtime import webhooks


class Command(Base):
    """Add, list and remove webhooks."""

    help = (
        "Send a project's alerts, or events of some types, to an http or https address, or its alerts to a mailto"
        " address. The secret that signs them is printed once."
    )
    example = (
        "nagare webhook add https://ops.example.com/nagare --on run_aborted\n"
        "  nagare webhook add mailto:ops@example.com --project checkout-agents"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        parser.add_argument("what", choices=["add", "list", "remove"])
        parser.add_argument("address", nargs="?", metavar="URL|ID", help="where to send; for remove, the webhook's id")
        parser.add_argument(
            "--on",
            action="append",
            default=[],
            metavar="X",
            help=f"an alert kind ({', '.join(KINDS)}) or an event type; may be repeated (default: every alert)",
        )
        add_project_argument(parser)

    def run(self, **options: Any) -> None:
        """Do what was asked."""
        project = ensure_project(options["project"]).slug
        if options["what"] == "list":
            self._list(project, as_json=options["json"])
            return
        if not options["address"]:
            needs = "an address to send to" if options["what"] == "add" else "the webhook's id"
            raise CommandError(f"webhook {options['what']} needs {needs}", returncode=2)
        if options["what"] == "add":
            self._add(project, options)
        else:
            webhooks.remove(options["address"], project=project)
            document = {"id": options["address"], "removed": True}
            self._say(document, f"webhook {options['address']} is removed", as_json=options["json"])

    def _add(self, project: str, options: dict[str, Any]) -> None:
        made = webhooks.add(project=project, url=options["address"], on=options["on"])
        document = webhooks.shown(made)
        says = f"webhook {made.id} sends {', '.join(made.on)} to {made.url}"
        if not webhooks.is_mail(made):
            document["secret"] = made.secret
            says += f"\nsecret, shown once: {made.secret}"
        self._say(document, says, as_json=options["json"])

    def _list(self, project: str, *, as_json: bool) -> None:
        found = [webhooks.shown(one) for one in Webhook.objects.filter(project_id=project).order_by("id")]
        lines = (f"{one['id']}  {one['url']}  on {', '.join(one['on'])}" for one in found)
        self._say({"webhooks": found}, "\n".join(lines), as_json=as_json)

    def _say(self, document: dict[str, Any], text: str, *, as_json: bool) -> None:
        if as_json:
            self.print_json(document)
        elif text:
            self.stdout.write(text)

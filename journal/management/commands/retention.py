"""`nagare retention`: how long a project keeps payloads."""

from __future__ import annotations

from typing import Any

import msgspec
from django.core.management.base import CommandParser

from journal.access.projects import ensure_project
from journal.management.base import Command as Base
from journal.management.base import add_project_argument, operator, wrong_usage
from journal.runtime import retention

_NONE = "none"


class Command(Base):
    """Show and set the policy."""

    help = (
        "Payloads are kept for FLOOR days at least: no purge goes below that. Past CEILING days a scheduled purge takes"
        " them; `none` keeps them until somebody purges. Each change is journalled and numbered."
    )
    example = "nagare retention --floor 184 --ceiling 730"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        parser.add_argument("--floor", type=int, metavar="DAYS", help="keep for so long at least")
        parser.add_argument("--ceiling", metavar="DAYS", help="purge after so long, or `none`")
        parser.add_argument("--reason", default="", metavar="TEXT", help="why; kept for good")
        add_project_argument(parser)

    def run(self, **options: Any) -> None:
        """Set what was given, and show the policy."""
        project = ensure_project(options["project"]).slug
        policy = retention.policy_of(project)
        if options["floor"] is not None or options["ceiling"] is not None:
            policy = retention.set_policy(
                project,
                floor_days=policy.floor_days if options["floor"] is None else options["floor"],
                ceiling_days=policy.ceiling_days if options["ceiling"] is None else _days(options["ceiling"]),
                reason=options["reason"],
                by=operator(),
            )
        if options["json"]:
            self.print_json({"project": project, "name": policy.name, **msgspec.to_builtins(policy)})
        else:
            self.say(f"{policy.name}: {policy.words}")


def _days(text: str) -> int | None:
    if text == _NONE:
        return None
    if not text.isdecimal():
        raise wrong_usage(f"--ceiling {text!r} is no number of days and not `none`")
    return int(text)

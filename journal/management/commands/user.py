"""`nagare user`: people without a browser."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandParser

from journal.access import Role, add_user
from journal.management.base import Command as Base
from journal.management.base import add_project_argument


class Command(Base):
    """Add a user to a project."""

    help = (
        "Add a user, or give one that exists a role in a project. The password is read from standard input where that"
        " is not a terminal; otherwise one is made and printed once."
    )
    example = "nagare user add m.kato --role engineer --project checkout-agents"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        parser.add_argument("what", choices=["add"])
        parser.add_argument("name", metavar="NAME")
        parser.add_argument("--role", choices=[role.value for role in Role], default=Role.VIEWER.value)
        add_project_argument(parser)

    def run(self, **options: Any) -> None:
        """Add and print."""
        given = "" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
        user, generated = add_user(
            options["name"], role=Role(options["role"]), project=options["project"], password=given or None
        )
        if options["json"]:
            self.print_json(
                {
                    "user": user.get_username(),
                    "role": options["role"],
                    "project": options["project"],
                    "password": generated,
                }
            )
            return
        self.say(f"{user.get_username()} is {options['role']} in {options['project']}")
        if generated:
            self.say(f"password, shown once: {generated}")

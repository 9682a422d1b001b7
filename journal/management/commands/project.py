"""`nagare project`: projects without a browser."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from journal.access.projects import add_project
from journal.management.base import Command as Base
from journal.management.base import wrong_usage
from journal.models import Project


class Command(Base):
    """Add and list projects."""

    help = "Add a project, or list those there are."
    example = "nagare project add checkout-agents"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        parser.add_argument("what", choices=["add", "list"])
        parser.add_argument("slug", nargs="?", metavar="SLUG", help="lower-case letters, digits and dashes")
        parser.add_argument("--name", default="", help="what people call it")

    def run(self, **options: Any) -> None:
        """Add or list."""
        if options["what"] == "list":
            found = [{"slug": project.slug, "name": project.name} for project in Project.objects.order_by("slug")]
            if options["json"]:
                self.print_json({"projects": found})
            else:
                self.say("\n".join(f"{project['slug']}  {project['name']}" for project in found))
            return
        if not options["slug"]:
            raise wrong_usage("`nagare project add` needs the SLUG of the new project")
        project = add_project(options["slug"], name=options["name"])
        if options["json"]:
            self.print_json({"slug": project.slug, "name": project.name})
        else:
            self.say(f"project {project.slug} made; `nagare user add NAME --project {project.slug}` lets people in")

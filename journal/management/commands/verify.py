"""`nagare verify`: the journal against its signed log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from journal.access.projects import ensure_project
from journal.errors import Refused
from journal.management.base import Command as Base
from journal.models import Project
from journal.runtime import log_check, log_rows, sealer
from journal.runtime.log_check import Checked

BAD, UNCHECKED = 1, 2


class Command(Base):
    """Verify."""

    help = (
        "Read every sealed event again, hash it, and compare with what was signed. A line a check; exit code 0 where"
        " all is good, 1 where something is wrong, 2 where something could not be checked. What is not sealed yet is"
        " sealed first."
    )
    example = "nagare verify --project default --previous last-year.checkpoint"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        parser.add_argument("--project", metavar="P", help="only this project (default: all)")
        parser.add_argument(
            "--previous", metavar="FILE", type=Path, help="a checkpoint kept earlier: the log has to go on from it"
        )

    def run(self, **options: Any) -> None:
        """Check and say."""
        previous = _read(options["previous"])
        slugs = [ensure_project(options["project"]).slug] if options["project"] else _projects()
        sealer.catch_up()
        found = [log_check.check_project(slug, previous=previous) for slug in slugs]
        if options["json"]:
            self.print_json({"good": _verdict(found), "projects": found})
        else:
            for one in found:
                self._say(one)
        verdict = _verdict(found)
        if verdict is not True:
            words = "something is wrong" if verdict is False else "not everything could be checked"
            raise CommandError(f"verify: {words}", returncode=BAD if verdict is False else UNCHECKED)

    def _say(self, found: Checked) -> None:
        self.say(f"{found.project}: {found.origin or 'no log yet'}")
        for check in found.checks:
            mark = {True: "good", False: "BAD", None: "?"}[check.is_good]
            self.say(f"  {mark:<5} {check.name}: {check.words}")
        if found.unsealed:
            self.say(f"  ?     {found.unsealed:,} events are not sealed yet")


def _verdict(found: list[Checked]) -> bool | None:
    answers = [one.is_good for one in found]
    return False if False in answers else None if None in answers or not answers else True


def _projects() -> list[str]:
    """Every project that there is or that a log says there was."""
    known = set(Project.objects.values_list("slug", flat=True)) | {log.project for log in log_rows.all_newest()}
    return sorted(known)


def _read(path: Path | None) -> str | None:
    try:
        return None if path is None else path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{path} cannot be read: {error}") from error

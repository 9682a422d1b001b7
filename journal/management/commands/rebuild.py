"""`nagare rebuild`: read models from the journal, again."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from journal.errors import JournalError
from journal.management.base import Command as Base
from journal.runtime.projection import named, rebuild, registered


class NoSuchProjection(JournalError):
    """A projection nobody registered."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"no projection {name!r}; there is {', '.join(known.name for known in registered())}")


class Command(Base):
    """Rebuild a projection."""

    help = "Empty a projection's read model and fill it again from the journal."
    example = "nagare rebuild explorer --wait"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        parser.add_argument("projection", metavar="PROJECTION")
        parser.add_argument("--wait", action="store_true", help="return when it is done (it always is, so far)")

    def run(self, **options: Any) -> None:
        """Rebuild and say how far it came."""
        try:
            projection = named(options["projection"])
        except KeyError as error:
            raise NoSuchProjection(options["projection"]) from error
        done = rebuild(projection)
        if options["json"]:
            self.print_json({"name": done.name, "position": done.position, "head": done.head, "events": done.handled})
        else:
            self.say(f"{done.name}: {done.handled:,} events handled, at position {done.position:,} of {done.head:,}")

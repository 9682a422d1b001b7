"""`nagare diff`: what changed in a run's state between two events."""

from __future__ import annotations

from typing import Any

import msgspec
from django.core.management.base import CommandParser

from journal.domain.aggregate import Repository
from journal.domain.diff import Change
from journal.exports.documents import diff_document
from journal.management.base import Command as Base
from journal.management.base import add_stream_argument, store_of


class Command(Base):
    """Compare two versions of a state."""

    help = "Say what changed in the state between two events, and which event changed it."
    example = "nagare diff agent_run-0192f0c1 --from 22 --to 23 --json"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        add_stream_argument(parser)
        parser.add_argument("--from", type=int, required=True, metavar="V", dest="before", help="the earlier event")
        parser.add_argument("--to", type=int, required=True, metavar="W", dest="after", help="the later event")

    def run(self, **options: Any) -> None:
        """Load both, compare, print."""
        repository = Repository(store_of(options["project"]))
        before = repository.load_at_version(options["stream"], options["before"])
        after = repository.load_at_version(options["stream"], options["after"])
        document = diff_document(options["stream"], before, after)
        if options["json"]:
            self.print_json(document)
            return
        changes = document["changes"]
        for change in changes:
            self.say(_in_words(change))
        if not changes:
            self.say(f"nothing differs between {options['before']} and {options['after']}")


def _in_words(change: Change) -> str:
    by = f"{change.version:>7}" if change.version is not None else " " * 7
    if change.before is msgspec.UNSET:
        return f"{by}  + {change.path} = {change.after!r}"
    if change.after is msgspec.UNSET:
        return f"{by}  - {change.path} was {change.before!r}"
    return f"{by}  ~ {change.path}: {change.before!r} -> {change.after!r}"

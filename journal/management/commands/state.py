"""`nagare state`: what a run knew at a version."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from journal.domain.aggregate import Repository
from journal.management.base import Command as Base
from journal.management.base import add_stream_argument, store_of


class Command(Base):
    """Print a state."""

    help = "Print the state of a run after an event (default: after the newest)."
    example = "nagare state agent_run-0192f0c1 --version 22 --json"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        add_stream_argument(parser)
        parser.add_argument("--version", type=int, metavar="N", dest="at", help="the event's number; 0 is before all")

    def run(self, **options: Any) -> None:
        """Load and print."""
        repository = Repository(store_of(options["project"]))
        at = options["at"]
        stream = options["stream"]
        state = repository.load(stream) if at is None else repository.load_at_version(stream, at)
        blame = state.blame()
        if options["json"]:
            self.print_json({**state.to_json(), "blame": blame})
            return
        document = state.to_json()
        self.say(f"{document['stream']} after event {document['version']}")
        for pointer, value in _leaves(document, ""):
            self.say(f"{blame.get(pointer) or '':>7}  {pointer} = {value!r}")


def _leaves(value: Any, pointer: str) -> list[tuple[str, Any]]:
    """Return every leaf with its JSON Pointer."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if inner is None or not value:
        return [(pointer, value)] if pointer not in ("/stream", "/version") else []
    found = []
    for name, item in inner:
        token = str(name).replace("~", "~0").replace("/", "~1")
        found += _leaves(item, f"{pointer}/{token}")
    return found

"""`nagare state`: what a run knew at a version, or at a moment of time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.management.base import CommandParser

from journal.domain.aggregate import Repository
from journal.domain.event import instant
from journal.domain.moment import Occurred, occurred_by
from journal.domain.text import amount
from journal.exports.documents import state_document
from journal.management.base import Command as Base
from journal.management.base import add_stream_argument, moment, store_of, wrong_usage


class Command(Base):
    """Print a state."""

    help = "Print the state of a run after an event, or at a moment of time (default: after the newest event)."
    example = "nagare state agent_run-0192f0c1 --version 22 --json"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        add_stream_argument(parser)
        place = parser.add_mutually_exclusive_group()
        place.add_argument(
            "--version", type=int, metavar="N", dest="version", help="the event's number; 0 is before all"
        )
        place.add_argument(
            "--at", metavar="TIME", dest="moment", help="the last event that had occurred by then: 2026-11-22T18:55:03Z"
        )

    def run(self, **options: Any) -> None:
        """Load and print."""
        store, stream = store_of(options["project"]), options["stream"]
        found = None
        if options["moment"] is not None:
            found = occurred_by(store.read_stream(stream), _moment(options["moment"]))
        version = found.version if found else options["version"]
        repository = Repository(store)
        state = repository.load(stream) if version is None else repository.load_at_version(stream, version)
        if options["json"]:
            at = {"at": _told(found, options["moment"])} if found else {}
            self.print_json({**state_document(state), **at})
            return
        blame = state.blame()
        document = state.to_json()
        self.say(f"{document['stream']} after event {document['version']}")
        for line in _notes(found, options["moment"]) if found else ():
            self.say(line)
        for pointer, value in _leaves(document, ""):
            self.say(f"{blame.get(pointer) or '':>7}  {pointer} = {value!r}")


def _moment(text: str) -> datetime:
    """Read a time.

    Raises:
        CommandError: it is none.
    """
    try:
        return moment(text)
    except ValueError:
        raise wrong_usage(f"--at {text!r} is no time; write it as 2026-11-22T18:55:03Z") from None


def _told(found: Occurred, asked: str) -> dict[str, Any]:
    return {
        "asked": asked,
        "version": found.version,
        "events_before_with_a_later_time": found.ahead,
        "events_before_without_a_time": found.untimed,
    }


def _notes(found: Occurred, asked: str) -> list[str]:
    """Return in words how a time led to the version."""
    if found.begins is None:
        return ["the source recorded no times, so no event can be found by one: this is the state before the first"]
    if not found.version:
        return [f"nothing had occurred by {asked}: the run begins at {instant(found.begins)}"]
    notes = [f"the last that had occurred by {asked}"]
    if found.ahead:
        notes.append(f"clocks ran backwards: {amount(found.ahead, 'event')} before it tell a later time")
    if found.untimed:
        notes.append(f"of {amount(found.untimed, 'event')} before it no time is recorded")
    return notes


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

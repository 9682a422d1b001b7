"""`nagare explain`: a run in prose, an event a line."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from journal.domain import codec
from journal.domain.catalog import both
from journal.domain.event import RecordedEvent
from journal.domain.explain import explain
from journal.errors import StreamNotFound
from journal.exports.documents import explained_all
from journal.management.base import Command as Base
from journal.management.base import add_stream_argument, store_of


class Command(Base):
    """Explain a run."""

    help = "Say in plain words what happened in a run, an event a line."
    example = "nagare explain agent_run-0192f0c1 --after 20 --until 24"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        add_stream_argument(parser)
        parser.add_argument("--after", type=int, default=0, metavar="V", help="begin behind this event")
        parser.add_argument("--until", type=int, metavar="V", help="end with this event")
        parser.add_argument(
            "--raw",
            action="store_true",
            help="with each event's data as stored, and as read where upcasters changed it",
        )

    def run(self, **options: Any) -> None:
        """Read, explain, print."""
        store = store_of(options["project"])
        stream = options["stream"]
        if not store.stream_version(stream):
            raise StreamNotFound(stream=stream, project=store.project)
        events = store.read_stream(stream, after=options["after"], until=options["until"])
        if options["json"]:
            told = list(explained_all(events, raw=options["raw"]))
            self.print_json({"stream": stream, "events": told})
            return
        for event in events:
            explanation = explain(event)
            self.say(f"{event.version:>7}  {_in_one_line(explanation.summary)}")
            if explanation.detail and event.type == "agent_run.reasoned":
                because = _in_one_line(explanation.detail)
                self.say(f"         Because: “{because}” (the model's own stated reason, not verified)")
            if options["raw"]:
                self._say_data(event)

    def _say_data(self, event: RecordedEvent) -> None:
        shown = both(event)
        self.say(f"         stored, schema {shown.schema}: {codec.text(shown.raw)}")
        if shown.is_changed:
            self.say(f"         read, schema {shown.newest}: {codec.text(shown.upcast)}")
        elif shown.reason:
            self.say(f"         not read: {_in_one_line(shown.reason)}")


def _in_one_line(text: str) -> str:
    """Fold white space, so that nothing an event holds looks like the line of another."""
    return " ".join(text.split())

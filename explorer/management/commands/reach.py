"""`nagare reach`: what rests on an event, without a browser."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from explorer.models import PROJECTION, SEARCH
from explorer.queries import blast as blasts
from journal.errors import EventNotFound
from journal.management.base import Command as Base
from journal.management.base import add_project_argument, store_of, wrong_usage
from journal.runtime.projection import catch_up, named


class Command(Base):
    """Follow causes and values down from an event."""

    help = (
        "Count and list everything that rests on an event, or on any of several, over all runs: by causes, and by the"
        " values it brought in that stand again in later events. Says what was searched, and what was not."
    )
    example = "nagare reach 01992f0c-7a1e-7c3a-b1aa-0d5b6f2f9a11 --value 'northbank v2' --answers"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        parser.add_argument("event", metavar="EVENT_ID", nargs="+", help=f"one or more, {blasts.MOST_ORIGINS} at most")
        parser.add_argument(
            "--value",
            action="append",
            metavar="V",
            help=f"follow this value, up to {blasts.CHOSEN} times; without, those that are new with the event",
        )
        parser.add_argument("--causes-only", action="store_true", help="follow no value")
        parser.add_argument("--answers", action="store_true", help="list answers to users alone")
        add_project_argument(parser)

    def run(self, **options: Any) -> None:
        """Ask and print."""
        if options["causes_only"] and options["value"]:
            raise wrong_usage("--causes-only follows no value; leave one out")
        store = store_of(options["project"])
        if len(options["event"]) > blasts.MOST_ORIGINS:
            raise wrong_usage(f"at most {blasts.MOST_ORIGINS} events can be asked about together")
        starts = [store.event(event_id) for event_id in options["event"]]
        for name in ("causes", PROJECTION, SEARCH):
            catch_up(named(name))
        values = [] if options["causes_only"] else options["value"]
        found = blasts.blast_of(store.project, [(start.stream, start.version) for start in starts], values=values)
        if found is None:
            raise EventNotFound(event_id=starts[0].id, project=store.project)
        if options["json"]:
            self.print_json(blasts.as_json(found))
            return
        for how, events, runs, answers in found.by_how():
            self.say(f"{how:<9} {events:>6} events  {runs:>5} runs  {answers:>5} answers")
        for one in found.answers if options["answers"] else found.suspects:
            self.say(f"{one.stream} {one.version}  {one.summary}  ({one.words})")
        for said in (*found.searched, *found.unsearched):
            self.say(said)

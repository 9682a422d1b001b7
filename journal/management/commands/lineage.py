"""`nagare lineage`: the causes of an event up to the roots, or its effects down."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from journal.domain.event import RecordedEvent
from journal.domain.explain import explain
from journal.domain.lineage import CausalLink, Walk
from journal.management.base import Command as Base
from journal.management.base import add_project_argument, store_of
from journal.runtime.projection import catch_up, named
from journal.store import lineage


class Command(Base):
    """Walk causes."""

    help = "Walk from an event up to the user's input, or down to everything it led to, over all streams."
    example = "nagare lineage 01992f0c-7a1e-7c3a-b1aa-0d5b6f2f9a11 --down --json"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        parser.add_argument("event", metavar="EVENT_ID")
        parser.add_argument("--down", action="store_true", help="effects instead of causes")
        add_project_argument(parser)

    def run(self, **options: Any) -> None:
        """Walk and print, nearest first."""
        store = store_of(options["project"])
        start = store.event(options["event"])
        catch_up(named("causes"))
        direction: Any = "down" if options["down"] else "up"
        walk = lineage.walk(store.project, start.id, direction=direction)
        events = [store.event(event_id) for event_id in walk.depths]
        if options["json"]:
            self.print_json(_as_json(start, walk, events, direction))
            return
        for event in events:
            self.stdout.write(
                f"{'  ' * min(walk.depths[event.id], 20)}{event.stream} {event.version}  {explain(event).summary}"
                f"{_how(event, walk, direction)}"
            )
        for cause in walk.missing:
            self.stdout.write(f"missing: {cause} is named as a cause, and the journal does not hold it")
        if walk.cut:
            self.stdout.write(f"cut: more than {lineage.MOST:,} events are in reach")


def _as_json(start: RecordedEvent, walk: Walk, events: list[RecordedEvent], direction: str) -> dict[str, Any]:
    return {
        "event": start.id,
        "direction": direction,
        "events": [
            {
                "id": event.id,
                "stream": event.stream,
                "version": event.version,
                "position": event.position,
                "type": event.type,
                "depth": walk.depths[event.id],
                "summary": explain(event).summary,
            }
            for event in events
        ],
        "links": walk.links,
        "missing": walk.missing,
        "cut": walk.cut,
    }


def _how(event: RecordedEvent, walk: Walk, direction: str) -> str:
    """Say by which link an event was reached."""
    link = next((link for link in walk.links if _near(link, direction) == event.id), None)
    return f"  ({link.kind}, {link.certainty})" if link else ""


def _near(link: CausalLink, direction: str) -> str:
    return link.cause if direction == "up" else link.effect

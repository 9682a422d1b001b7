"""`nagare lineage`: the causes of an event up to the roots, or its effects down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.core.management.base import CommandParser

from journal.domain.event import RecordedEvent
from journal.domain.explain import explain
from journal.domain.lineage import CausalLink, Walk, cycles
from journal.exports.documents import is_loose, lineage_document, walked
from journal.management.base import Command as Base
from journal.management.base import add_project_argument, store_of
from journal.runtime.projection import catch_up, named
from journal.store import lineage


class Command(Base):
    """Walk causes, and say where they break off."""

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
        events = walked(store, walk)
        if options["json"]:
            self.print_json(lineage_document(start.id, walk, events, direction))
            return
        for event in events:
            self.stdout.write(
                f"{'  ' * min(walk.depths[event.id], 20)}{event.stream} {event.version}  {explain(event).summary}"
                f"{_how(event, walk, direction)}"
            )
        for line in _breaks(walk, events, direction):
            self.stdout.write(line)


def _breaks(walk: Walk, events: Sequence[RecordedEvent], direction: str) -> Iterator[str]:
    """Say where the chain is not whole, and why."""
    for event in events if direction == "up" else ():
        if is_loose(event, walk):
            yield f"breaks off: {event.stream} {event.version} records no causation id"
    for cause in walk.missing:
        yield f"missing: {cause} is named as a cause, and the journal does not hold it"
    by_id = {event.id: event for event in events}
    for way in cycles(walk.links):
        names = [f"{by_id[name].stream} {by_id[name].version}" for name in (*way, way[0])]
        yield f"circle: {' -> '.join(names)}"
    if walk.cut:
        yield f"cut: more than {lineage.MOST:,} events are in reach"


def _how(event: RecordedEvent, walk: Walk, direction: str) -> str:
    """Say by which links an event was reached: kind and certainty of each."""
    near = [link for link in walk.links if _near(link, direction) == event.id and _is_a_step(link, walk, direction)]
    said = dict.fromkeys(f"{link.kind}, {link.certainty}" for link in near)
    return f"  ({'; '.join(said)})" if said else ""


def _is_a_step(link: CausalLink, walk: Walk, direction: str) -> bool:
    """Whether a link leads one step farther: others only close a shorter way that was told already."""
    here, there = (link.effect, link.cause) if direction == "up" else (link.cause, link.effect)
    return walk.depths[there] == walk.depths[here] + 1


def _near(link: CausalLink, direction: str) -> str:
    return link.cause if direction == "up" else link.effect

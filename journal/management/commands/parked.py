"""`nagare parked`: events that a reader of the journal could not handle, and what a person does about them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from django.core.management.base import CommandParser

from journal.domain.event import instant
from journal.errors import JournalError
from journal.management.base import Command as Base
from journal.management.base import wrong_usage
from journal.models import ParkedEvent
from journal.runtime import parked

_STATES: Final = ("waiting", "dead", "skipped")


class NoSuchParkedEvent(JournalError):
    """No event is set aside under this number."""


class Command(Base):
    """List events that are set aside, let one be tried again, or give one up."""

    help = (
        "List the events that a subscription has set aside, with the reason; let one be tried again at once, with all"
        " its attempts; or give one up for that subscription, which then does without it."
    )
    example = "nagare parked --state dead\n  nagare parked requeue 12\n  nagare parked skip 12"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        parser.add_argument("what", nargs="?", choices=["list", "requeue", "skip"], default="list")
        parser.add_argument("id", nargs="?", type=int, metavar="ID", help="the number that the list begins with")
        parser.add_argument("--state", choices=_STATES, help="only those in this state")
        parser.add_argument("--subscription", metavar="S", help="only those of this subscription")

    def run(self, **options: Any) -> None:
        """List, or do what was asked to one."""
        if options["what"] == "list":
            self._list(options)
            return
        if options["id"] is None:
            raise wrong_usage("which one? `nagare parked` lists them")
        self._do(options["what"], options["id"], is_json=options["json"])

    def _list(self, options: dict[str, Any]) -> None:
        rows = ParkedEvent.objects.order_by("subscription", "position")
        for name in ("state", "subscription"):
            if options[name]:
                rows = rows.filter(**{name: options[name]})
        found = [_as_json(row) for row in rows]
        if options["json"]:
            self.print_json({"parked": found})
            return
        for one in found:
            self.say(
                f"{one['id']}  {one['state']:7}  {one['subscription']}  position {one['position']:,}"
                f"  {one['attempts']} attempts  {one['reason']}"
            )

    def _do(self, what: str, number: int, *, is_json: bool) -> None:
        is_done = parked.skip(number) if what == "skip" else parked.requeue(number, now=datetime.now(UTC))
        if not is_done:
            raise NoSuchParkedEvent(f"no event is set aside as {number}; `nagare parked` lists them")
        row = ParkedEvent.objects.get(id=number)
        if is_json:
            self.print_json(_as_json(row))
            return
        told = "does without it" if what == "skip" else "tries it again"
        self.say(f"{row.subscription} {told}: event {row.event_id} at position {row.position:,}")


def _as_json(row: ParkedEvent) -> dict[str, Any]:
    return {
        "id": row.id,
        "state": row.state,
        "subscription": row.subscription,
        "project": row.project,
        "event_id": row.event_id,
        "position": row.position,
        "attempts": row.attempts,
        "reason": row.reason,
        "parked_at": instant(row.parked_at),
        "next_try_at": instant(row.next_try_at) if row.state == "waiting" else None,
    }

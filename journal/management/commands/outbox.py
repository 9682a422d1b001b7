"""`nagare outbox`: dispatches, and those that a person has to look at."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from django.core.management.base import CommandError, CommandParser

from journal.domain.event import instant
from journal.management.base import Command as Base
from journal.models import Dispatch
from journal.runtime import outbox

_STORED: Final = {"pending": "pending", "dead": "dead", "done": "delivered"}
_SHOWN: Final = {stored: shown for shown, stored in _STORED.items()}


class Command(Base):
    """List dispatches, or queue a dead one again."""

    help = "List dispatches, newest first, or queue a dead one again: it keeps its id and gets a new set of attempts."
    example = "nagare outbox --state dead\n  nagare outbox requeue 6f1f7c1e-0d0e-5f5e-9a55-6d5a3c1f0b11"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        parser.add_argument("what", nargs="?", choices=["list", "requeue"], default="list")
        parser.add_argument("id", nargs="?", metavar="ID", help="the dispatch to queue again")
        parser.add_argument("--state", choices=list(_STORED), help="only those in this state")
        parser.add_argument("--project", metavar="P", help="only those of this project")
        parser.add_argument(
            "--limit", type=int, default=100, metavar="N", help="at most so many (default: %(default)s)"
        )

    def run(self, **options: Any) -> None:
        """List, or queue again."""
        if options["what"] == "requeue":
            self._requeue(options)
        else:
            self._list(options)

    def _list(self, options: dict[str, Any]) -> None:
        rows = Dispatch.objects.order_by("-created_us", "id")
        if options["state"]:
            rows = rows.filter(state=_STORED[options["state"]])
        if options["project"]:
            rows = rows.filter(project=options["project"])
        found = [_as_json(row) for row in rows[: max(options["limit"], 0)]]
        if options["json"]:
            self.print_json({"dispatches": found})
            return
        for one in found:
            error = f"  {one['last_error'].splitlines()[0]}" if one["last_error"] else ""
            self.stdout.write(
                f"{one['id']}  {one['state']:7}  {one['attempts']} attempts  {one['effect']} → {one['target']}{error}"
            )

    def _requeue(self, options: dict[str, Any]) -> None:
        if not options["id"]:
            raise CommandError("which one? `nagare outbox --state dead` lists them", returncode=2)
        row = outbox.requeue(options["id"], now=datetime.now(UTC))
        if options["json"]:
            self.print_json(_as_json(row))
        else:
            self.stdout.write(f"dispatch {row.id} is queued again: {row.effect} → {row.target}")


def _as_json(row: Dispatch) -> dict[str, Any]:
    return {
        "id": row.id,
        "state": _SHOWN[row.state],
        "attempts": row.attempts,
        "effect": row.effect,
        "target": row.target,
        "project": row.project,
        "event_id": row.event_id,
        "payload": msgspec.json.decode(row.payload),
        "last_error": row.last_error,
        "next_try_at": _time(row.next_try_us) if row.state == "pending" else None,
        "created_at": _time(row.created_us),
        "ended_at": _time(row.ended_us) if row.ended_us is not None else None,
    }


def _time(microseconds: int) -> str:
    return instant(datetime.fromtimestamp(microseconds / 1_000_000, UTC))

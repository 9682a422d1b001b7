"""`nagare purge`: the payloads of runs that ended long enough ago go, by the project's policy."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from django.core.management.base import CommandParser

from journal.access.projects import ensure_project
from journal.domain.event import instant
from journal.domain.text import amount
from journal.management.base import Command as Base
from journal.management.base import add_project_argument, moment, operator, wrong_usage
from journal.runtime import purging, retention
from journal.runtime.purging import Preview, Purged
from journal.store import compacting

_SHOWN = 20


class Command(Base):
    """Purge."""

    help = (
        "Remove the payloads of whole runs whose last event occurred before T, of which everything is sealed and"
        " nothing is held. The project's floor is enforced, and a refusal is journalled. Digests, leaves and proofs"
        " stay: `nagare verify` says what is gone and by which policy."
    )
    example = "nagare purge --before 2026-01-01 --dry-run"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        parser.add_argument("--before", type=moment, metavar="T", help="runs that ended before (ISO 8601)")
        parser.add_argument("--dry-run", action="store_true", help="only say what would go")
        parser.add_argument(
            "--compact", action="store_true", help="without --before: only let the database give up freed pages again"
        )
        add_project_argument(parser)

    def run(self, **options: Any) -> None:
        """Purge, or say what would go."""
        project, before = ensure_project(options["project"]).slug, options["before"]
        if before is None:
            self._compact(options)
            return
        now = datetime.now(UTC)
        if options["dry_run"]:
            purging.check(retention.policy_of(project), before, now=now)
            self._preview(purging.preview(project, before=before), options)
            return
        self._done(purging.purge(project, before=before, by=operator(), now=now), options)

    def _compact(self, options: dict[str, Any]) -> None:
        if not options["compact"]:
            raise wrong_usage("name a time with --before, or --compact")
        compacted = compacting.compact()
        if options["json"]:
            self.print_json({"database": compacted})
        else:
            self.say(f"database: {compacted.words}")

    def _preview(self, found: Preview, options: dict[str, Any]) -> None:
        if options["json"]:
            runs = [{"stream": run.stream, "events": run.version} for run in found.runs]
            fields = {"before": instant(found.before), "policy": msgspec.to_builtins(found.policy), "dry_run": True}
            self.print_json({**fields, "runs": runs, "events": found.events, "held": found.held})
            return
        self.say(f"{found.policy.name}: {found.policy.words}")
        self.say(f"would purge {amount(found.events, 'payload')} of {amount(len(found.runs), 'run')}")
        for run in found.runs[:_SHOWN]:
            self.say(f"  {run.stream}  {amount(run.version, 'event')}")
        if len(found.runs) > _SHOWN:
            self.say(f"  and {amount(len(found.runs) - _SHOWN, 'run')} more")
        self._held(found.held)

    def _done(self, done: Purged, options: dict[str, Any]) -> None:
        if options["json"]:
            fields = {"before": instant(done.before), "policy": msgspec.to_builtins(done.policy), "dry_run": False}
            counts = {"runs": done.runs, "events": done.events, "orders": done.orders, "held": done.held}
            self.print_json({**fields, **counts, "copies": done.copies, "database": done.compacted})
            return
        self.say(f"purged {amount(done.events, 'payload')} of {amount(done.runs, 'run')} by {done.policy.name}")
        for order in done.orders:
            self.say(f"  order {order}")
        self._held(done.held)
        self.say(f"database: {done.compacted.words}")

    def _held(self, held: dict[str, list[str]]) -> None:
        for stream, words in held.items():
            self.say(f"  kept: {stream}, by {', '.join(words)}")

"""`nagare erase`: what the journal holds of a person goes, and a certificate says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from django.core.management.base import CommandParser

from journal.access.projects import ensure_project
from journal.domain.text import amount
from journal.management.base import Command as Base
from journal.management.base import add_project_argument, operator
from journal.runtime import certificates, erasing


class Command(Base):
    """Erase."""

    help = (
        "Remove the payloads of all events that name a subject, and of those of its runs that name nobody; then every"
        " copy: read models, search index, snapshots, spans, notes, what-ifs, audit files. A hold forbids it, and the"
        " refusal is journalled. The log and reports handed out before verify as they did. Backups are yours to delete."
    )
    example = 'nagare erase --subject user-42 --ground "Art. 17 GDPR, request of 3 November"'

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        parser.add_argument("--subject", required=True, metavar="ID", help="as events name it in metadata.subjects")
        parser.add_argument(
            "--ground", required=True, metavar="TEXT", help="why; kept for good, without the subject's id"
        )
        parser.add_argument("--dry-run", action="store_true", help="only say what would go and what forbids it")
        parser.add_argument("--certificate", type=Path, metavar="FILE", help="write the certificate, as text, here")
        add_project_argument(parser)

    def run(self, **options: Any) -> None:
        """Erase, or say what would go."""
        project = ensure_project(options["project"]).slug
        if options["dry_run"]:
            self._preview(erasing.plan(project, options["subject"]), options)
            return
        done = erasing.erase(project, subject=options["subject"], ground=options["ground"], by=operator())
        made = [certificates.certificate(project, outcome.order) for outcome in done.outcomes]
        text = "\n".join(one.text for one in made)
        if options["certificate"]:
            options["certificate"].write_text(text)
        database = done.outcomes[-1].compacted
        if options["json"]:
            told = [{**msgspec.to_builtins(one), "text": one.text} for one in made]
            self.print_json(
                {
                    "project": project,
                    "subject": done.subject,
                    "events": done.events,
                    "orders": [outcome.order for outcome in done.outcomes],
                    "copies": {name: count for one in done.outcomes for name, count in one.copies.items()},
                    "database": database,
                    "certificate": told[0],
                    "certificates": told,
                }
            )
            return
        self.say(text)
        self.say(f"database: {database.words}")

    def _preview(self, found: erasing.Plan, options: dict[str, Any]) -> None:
        if options["json"]:
            self.print_json(
                {
                    "dry_run": True,
                    "events": found.events,
                    "streams": [{"stream": span.stream, "versions": span.versions} for span in found.spans],
                    "holds": [hold.id for hold in found.holds],
                }
            )
            return
        self.say(f"would erase {amount(found.events, 'payload')} in {amount(found.streams, 'stream')}")
        for span in found.spans:
            self.say(f"  {span.stream}  {amount(span.count, 'event')}")
        for hold in found.holds:
            self.say(f"  forbidden by {hold.words}")

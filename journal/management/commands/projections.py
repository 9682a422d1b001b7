"""`nagare projections`: read models and how far they are."""

from __future__ import annotations

from typing import Any

from journal.exports.documents import projection_document
from journal.management.base import Command as Base
from journal.runtime.projection import progress, registered


class Command(Base):
    """List projections."""

    help = "List the projections with their checkpoint, the journal's head and the events between."
    example = "nagare projections --json"

    def run(self, **options: Any) -> None:
        """List."""
        found = [progress(projection) for projection in registered()]
        if options["json"]:
            self.print_json({"projections": [projection_document(one) for one in found]})
            return
        for one in found:
            self.say(f"{one.name}  at {one.position:,} of {one.head:,}, {one.head - one.position:,} behind")

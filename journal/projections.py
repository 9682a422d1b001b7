"""The journal's own projections."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from journal.domain.event import RecordedEvent
from journal.domain.lineage import links_of
from journal.models import CauseRow
from journal.runtime import read_model
from journal.runtime.bulk import insert
from journal.runtime.projection import projects

_ID_LENGTH = 36


@projects
class Causes:
    """Fills `journal_cause`: a row for each link that an event names, so that causes can be walked both ways."""

    name = "causes"
    code_version = 2

    def handle(self, events: Sequence[RecordedEvent], *, generation: int) -> None:
        """Add the links of these events; one that is there stays.

        What is longer than an id is none of the journal's, and is cut to the column.
        """
        rows = [
            CauseRow(
                generation=generation,
                project=event.project,
                cause=link.cause[:_ID_LENGTH],
                effect=link.effect,
                kind=link.kind,
                certainty=link.certainty,
            )
            for event in events
            for link in links_of(event)
        ]
        insert(CauseRow, rows, ignore_conflicts=True)

    def discard(self, *, below: int, keep: Collection[int]) -> None:
        """Delete the links of old generations."""
        read_model.discard([CauseRow], below=below, keep=keep)

    def digest(self, *, generation: int) -> str:
        """Return a digest of all links."""
        columns = ("project", "effect", "cause", "kind", "certainty")
        rows = CauseRow.objects.filter(generation=generation).order_by(*columns)
        return read_model.digest([rows.values_list(*columns).iterator()])

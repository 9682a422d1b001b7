"""The index that audits are found by: subjects and correlation ids, and the streams that name them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from audits import access_rows  # noqa: F401 - it registers itself
from audits.models import LONGEST, PROJECTION, Mention
from journal.domain.event import RecordedEvent
from journal.runtime import log_inventory, read_model
from journal.runtime.bulk import insert
from journal.runtime.projection import projects

SUBJECT: Final = "subject"
CORRELATION: Final = "correlation"


@projects
class Subjects:
    """Fills `audits_mention`: a row for each id a stream names, with the first event that names it."""

    name = PROJECTION
    code_version = 1

    def handle(self, events: Sequence[RecordedEvent], *, generation: int) -> None:
        """Add what these events name; a stream that names it already keeps the first event."""
        rows = [
            Mention(
                generation=generation,
                project=event.project,
                kind=kind,
                value=value[:LONGEST],
                stream=event.stream,
                event_id=event.id,
                position=event.position,
            )
            for event in events
            for kind, value in mentions(event)
        ]
        insert(Mention, rows, ignore_conflicts=True)

    def discard(self, *, below: int, keep: Collection[int]) -> None:
        """Delete the rows of old generations."""
        read_model.discard([Mention], below=below, keep=keep)

    def digest(self, *, generation: int) -> str:
        """Return a digest of all rows."""
        columns = ("project", "kind", "value", "stream", "event_id", "position")
        rows = Mention.every.filter(generation=generation).order_by(*columns)
        return read_model.digest([rows.values_list(*columns).iterator()])


log_inventory.holds_copies(
    log_inventory.Copy(
        name=PROJECTION,
        holds="subjects and correlation ids, and the runs that name them",
        where="database",
        made_anew=True,
        count=lambda project: Mention.every.filter(project=project).count(),
    )
)


def mentions(event: RecordedEvent) -> Iterator[tuple[str, str]]:
    """Yield what an event names, by kind."""
    for subject in dict.fromkeys(event.meta.subjects):
        if subject:
            yield SUBJECT, subject
    if event.meta.correlation_id:
        yield CORRELATION, event.meta.correlation_id

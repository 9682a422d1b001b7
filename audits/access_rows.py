"""How the review page's table is filled: a row for each record of the access log."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from audits.models import ACCESS, LONGEST, AccessEntry
from journal.domain import access_log
from journal.domain.catalog import catalog
from journal.domain.event import RecordedEvent
from journal.runtime import read_model
from journal.runtime.bulk import insert
from journal.runtime.projection import projects
from journal.store.sql import microseconds

_COLUMNS: Final = ("project", "position", "event_id", "kind", "what", "object", "who", "outcome", "times")
_OBJECT: Final = 300
_DETAIL: Final = 400


@projects
class AccessRows:
    """Fills `audits_access`."""

    name = ACCESS
    code_version = 1

    def handle(self, events: Sequence[RecordedEvent], *, generation: int) -> None:
        """Add a row for each of these events that is a record of access."""
        insert(AccessEntry, list(_rows(events, generation)), ignore_conflicts=True)

    def discard(self, *, below: int, keep: Collection[int]) -> None:
        """Delete the rows of old generations."""
        read_model.discard([AccessEntry], below=below, keep=keep)

    def digest(self, *, generation: int) -> str:
        """Return a digest of all rows."""
        rows = AccessEntry.every.filter(generation=generation).order_by("position")
        return read_model.digest([rows.values_list(*_COLUMNS).iterator()])


def _rows(events: Sequence[RecordedEvent], generation: int) -> Iterator[AccessEntry]:
    for event in events:
        if not access_log.is_access(event.stream):
            continue
        said = catalog.decode(event)
        if not isinstance(said, access_log.Access):
            continue
        yield AccessEntry(
            generation=generation,
            project=event.project,
            position=event.position,
            stream=event.stream,
            version=event.version,
            event_id=event.id,
            occurred_us=microseconds(event.occurred_at),
            kind=access_log.KINDS[type(said)].value,
            what=said.what[:LONGEST],
            object=said.object[:_OBJECT],
            who=said.by[:LONGEST],
            via=said.via[:LONGEST],
            detail=said.detail[:_DETAIL],
            origin=said.origin[:60],
            outcome=said.outcome,
            times=max(said.count, 1),
            since=said.since[:32],
            first_version=said.first_version,
            last_version=said.last_version,
            correlation=(event.meta.correlation_id or "")[:LONGEST],
        )

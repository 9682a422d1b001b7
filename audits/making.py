"""Making an audit: gather, write, and say in the journal that it was made."""

from __future__ import annotations

import hashlib
from typing import Final

from audits.bundle import Evidence, archive, gather
from audits.events import AuditMade, stream_of
from audits.selection import Query
from journal.domain import codec
from journal.domain.catalog import catalog
from journal.domain.event import EventData, Metadata
from journal.domain.stream import ANY_VERSION
from journal.store import get_store

_MADE: Final = catalog.name_of(AuditMade)


def gathered(query: Query, *, previous: str | None = None) -> Evidence:
    """Return the evidence for a query.

    Where no earlier checkpoint is given, it is that of the project's last audit: who was handed that one can see that
    nothing it rests on was changed since.
    """
    return gather(query, previous=last_checkpoint(query.project) if previous is None else previous)


def bundle(evidence: Evidence) -> bytes:
    """Return the evidence as a bundle."""
    return archive(evidence.files)


def record(evidence: Evidence, *, file: str, content: bytes, by: str, purpose: str = "") -> str:
    """Journal that an audit was handed over. Returns the event's id."""
    query = evidence.selection.query
    made = AuditMade(
        query=query.to_json(),
        events=len(evidence.selection.events),
        checkpoint=evidence.note,
        file=file,
        sha256=hashlib.sha256(content).hexdigest(),
        by=by,
        purpose=purpose,
    )
    event = EventData(type=_MADE, data=codec.encode(made), metadata=codec.encode(Metadata(actor=f"user:{by}")))
    appended = get_store(query.project).append(stream_of(query.project), [event], expected_version=ANY_VERSION)
    return appended.ids[0]


def last_checkpoint(project: str) -> str:
    """Return the signed head that the project's last audit rests on; empty where there was none."""
    store = get_store(project)
    version = store.stream_version(stream_of(project))
    for event in store.read_stream(stream_of(project), after=max(version - 1, 0)):
        return str(event.payload.get("checkpoint", ""))
    return ""

"""How the search index is filled: behind the journal, each event by itself.

A projection of its own: it takes longer than the lists, and nobody who waits for a run to appear waits for it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from explorer.listed import is_listed
from explorer.models import SEARCH, SearchText
from explorer.search import Document, get_index
from explorer.search.text import content_of
from journal.domain.event import RecordedEvent
from journal.domain.withdrawn import is_withdrawn
from journal.runtime import read_model
from journal.runtime.projection import projects

_COLUMNS = ("project", "stream", "version", "event_id", "is_cut", "text")


@projects
class Search:
    """Fills `SearchText`."""

    name = SEARCH
    code_version = 1

    def handle(self, events: Sequence[RecordedEvent], *, generation: int) -> None:
        """Index what the events say; one that says nothing has no row."""
        documents = [_document(event) for event in events if not is_withdrawn(event.data)]
        documents = [document for document in documents if document.text]
        get_index().add(documents, generation=generation)

    def discard(self, *, below: int, keep: Collection[int]) -> None:
        """Delete old generations."""
        read_model.discard([SearchText], below=below, keep=keep)

    def digest(self, *, generation: int) -> str:
        """Return a digest of the texts; words are made of them."""
        texts = SearchText.every.filter(generation=generation).order_by("project", "stream", "version")
        return read_model.digest((texts.values_list(*_COLUMNS).iterator(),))


def _document(event: RecordedEvent) -> Document:
    content = content_of(event.payload)
    return Document(
        project=event.project,
        stream=event.stream,
        version=event.version,
        event_id=event.id,
        text=content.text,
        is_cut=content.is_cut,
        is_listed=is_listed(event.stream),
    )

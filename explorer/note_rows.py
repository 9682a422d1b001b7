"""How the table of notes is filled: each stream of notes that has grown is folded again, since they are short."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

from explorer.models import NOTES, NoteRow
from journal.domain import agent_run, notes
from journal.domain.catalog import catalog
from journal.domain.event import RecordedEvent
from journal.domain.notes import Note, NotesState
from journal.domain.stream import category
from journal.domain.text import clip
from journal.runtime import read_model
from journal.runtime.bulk import insert
from journal.runtime.projection import projects
from journal.store import get_store

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ANNOTATED = "agent_run.annotated"


@projects
class Notes:
    """Fills `NoteRow`: from the streams of notes, and from what a run's source itself recorded as a note."""

    name = NOTES
    code_version = 1

    def handle(self, events: Sequence[RecordedEvent], *, generation: int) -> None:
        """Put the rows of each stream that has grown in place of those it had."""
        grown = dict.fromkeys((event.project, event.stream) for event in events if _is_beside(event.stream))
        for project, stream in grown:
            self._fold(project, stream, generation)
        own = [event for event in events if event.type == _ANNOTATED and category(event.stream) == agent_run.CATEGORY]
        insert(NoteRow, [_own(event, generation) for event in own], ignore_conflicts=True)

    def discard(self, *, below: int, keep: Collection[int]) -> None:
        """Delete old generations."""
        read_model.discard([NoteRow], below=below, keep=keep)

    def digest(self, *, generation: int) -> str:
        """Return a digest of the rows."""
        rows = NoteRow.every.filter(generation=generation).order_by("project", "run", "is_own", "number")
        names = [field.attname for field in NoteRow._meta.concrete_fields if field.attname not in ("id", "generation")]
        return read_model.digest((rows.values_list(*names).iterator(),))

    def _fold(self, project: str, stream: str, generation: int) -> None:
        """Take the whole stream: an event that comes late, behind its successors, then needs no care of its own."""
        state = NotesState(stream)
        for event in get_store(project).read_stream(stream):
            state.apply(event)
        if not state.run:
            return
        NoteRow.every.filter(generation=generation, project=project, run=state.run[:245], is_own=False).delete()
        insert(NoteRow, [_row(project, state.run, note, generation) for note in state.notes])


def _is_beside(stream: str) -> bool:
    return category(stream) == notes.CATEGORY


def _row(project: str, run: str, note: Note, generation: int) -> NoteRow:
    return NoteRow(
        generation=generation,
        project=project,
        run=run[:245],
        is_own=False,
        number=note.number,
        version=note.version,
        event_id=note.event_id,
        by=clip(note.by, 200),
        text=note.text,
        label=clip(note.label, 60),
        rule=clip(note.rule, 120),
        verdict=note.verdict[:16],
        at_version=note.at_version,
        created_us=_microseconds(note.created_at),
        changed_us=_microseconds(note.changed_at),
        changes=note.changes,
        is_retracted=note.is_retracted,
        retracted_by=clip(note.retracted_by, 200),
    )


def _own(event: RecordedEvent, generation: int) -> NoteRow:
    said = catalog.decode(event)
    known = said if isinstance(said, agent_run.Annotated) else agent_run.Annotated(text="")
    at = (event.occurred_at - _EPOCH) // _MICROSECOND
    return NoteRow(
        generation=generation,
        project=event.project,
        run=event.stream,
        is_own=True,
        number=event.version,
        version=event.version,
        event_id=event.id,
        by=clip(known.by or "", 200),
        text=known.text or "",
        label=clip(known.label or "", 60),
        rule="",
        verdict="",
        at_version=known.at_version or event.version,
        created_us=at,
        changed_us=at,
        retracted_by="",
    )


def _microseconds(told: str) -> int:
    return (datetime.fromisoformat(told) - _EPOCH) // _MICROSECOND

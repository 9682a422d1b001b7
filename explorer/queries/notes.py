"""Notes and grades on a run as pages and the API show them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Count

from explorer import figures, layout
from explorer.models import NoteRow, RunSummary
from explorer.queries.run_steps import run_of

MOST: Final = 500
"""Notes of one run that are listed."""

MARKED: Final = 200
"""Events that are marked as having a note."""

VERDICTS: Final = {
    "input wrong": "The input was wrong",
    "model wrong": "The model was wrong",
    "not decided": "Not decided",
}
"""Labels by which a person judges an answer that was walked to its input."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunNotes:
    """The notes of a run, oldest first; those taken back come last. `is_all` is False beyond `MOST`."""

    run: RunSummary
    notes: tuple[NoteRow, ...]
    is_all: bool

    @property
    def standing(self) -> tuple[NoteRow, ...]:
        """Return those that stand."""
        return tuple(note for note in self.notes if not note.is_retracted)

    @property
    def retracted(self) -> tuple[NoteRow, ...]:
        """Return those that were taken back."""
        return tuple(note for note in self.notes if note.is_retracted)


def of_run(project: str, stream: str) -> RunNotes | None:
    """Return the notes and grades of a run, None where there is no such run. Two queries."""
    run = run_of(project, stream)
    if run is None:
        return None
    rows = NoteRow.objects.filter(project=project, run=run.stream).order_by("is_retracted", "created_us", "id")
    found = list(rows[: MOST + 1])
    return RunNotes(run=run, notes=tuple(found[:MOST]), is_all=len(found) <= MOST)


def at_event(project: str, stream: str, version: int) -> tuple[NoteRow, ...]:
    """Return what stands about one event: one query."""
    rows = NoteRow.objects.filter(project=project, run=stream, at_version=version, is_retracted=False)
    return tuple(rows.order_by("created_us", "id")[:MOST])


def one(project: str, stream: str, number: int) -> NoteRow | None:
    """Return one note or grade that people wrote, by its number."""
    found: NoteRow | None = NoteRow.objects.filter(project=project, run=stream, is_own=False, number=number).first()
    return found


def marked(project: str, stream: str) -> dict[int, int]:
    """Return how many notes and grades stand about each event of a run: one query."""
    rows = NoteRow.objects.filter(project=project, run=stream, at_version__gt=0, is_retracted=False)
    return dict(rows.values_list("at_version").annotate(count=Count("id")).order_by("at_version")[:MARKED])


@dataclass(frozen=True, kw_only=True, slots=True)
class Noted:
    """What a run's page shows of its notes: which events have some, and those of the event at the cursor.

    `path` marks them on the minimap.
    """

    versions: tuple[int, ...]
    here: tuple[NoteRow, ...]
    path: str

    @property
    def listed(self) -> str:
        """Return the versions for a script."""
        return ",".join(map(str, self.versions))


def on_page(run: RunSummary, version: int) -> Noted:
    """Return what the page of a run shows: one query, and one more where the event at the cursor has notes."""
    counts = marked(run.project, run.stream)
    places = (layout.percent(at, run.events) / 100 * layout.WIDTH for at in counts if at <= run.events)
    return Noted(
        versions=tuple(counts),
        here=at_event(run.project, run.stream, version) if version in counts else (),
        path="".join(f"M{place:.1f} 8h0" for place in places),
    )


def about(note: NoteRow) -> str:
    """Say what a note is, in a word or two."""
    if note.rule:
        return f"grade: {note.rule} {note.verdict}"
    return VERDICTS.get(note.label, note.label)


def changed(note: NoteRow) -> str:
    """Say how often a note was changed, empty where it never was."""
    return f"changed {figures.counted(note.changes, 'time')}" if note.changes else ""


def as_json(note: NoteRow) -> dict[str, Any]:
    """Return a note or grade as plain values: what the API gives."""
    return {
        "number": note.number,
        "kind": "grade" if note.rule else "note",
        "run": note.run,
        "recorded_in_run": note.is_own,
        "event_id": note.event_id,
        "by": note.by,
        "text": note.text,
        "label": note.label,
        "rule": note.rule or None,
        "verdict": note.verdict or None,
        "at_version": note.at_version or None,
        "created_at": figures.iso(note.created_us),
        "changed_at": figures.iso(note.changed_us),
        "changes": note.changes,
        "retracted": note.is_retracted,
        "retracted_by": note.retracted_by or None,
    }

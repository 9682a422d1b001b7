"""Notes and grades that people write on runs: put into the run's own stream of notes, and read back at once.

Who may write is the caller's to check: `Permission.ANNOTATE`. Texts are other people's; nothing of them is obeyed.
"""

from __future__ import annotations

from typing import Final

from explorer.models import NOTES, RunSummary
from journal.domain.event import Metadata
from journal.domain.notes import CATEGORY, Annotate, Change, Grade, NotesState, Retract, stream_for
from journal.domain.stream import category
from journal.errors import CommandRejected, Refused
from journal.runtime.projection import catch_up, named
from journal.runtime.repository import repository
from journal.store import get_store

LONGEST_TEXT: Final = 8_000
LONGEST_LABEL: Final = 60
LONGEST_RULE: Final = 120
_PATIENCE_S: Final = 3.0
"""How long whoever wrote waits to see it: the lists follow the journal, and are rarely behind."""


class NoteRefused(Refused):
    """A note or grade that cannot be written as it was asked for."""


def annotate(  # noqa: PLR0913 - what a note consists of
    project: str, run: str, *, by: str, text: str, at_version: int | None = None, label: str = ""
) -> int:
    """Write a note on a run, or on one event of it, and return its number.

    Raises:
        NoteRefused: there is no such run or event, it says nothing, or it is too long.
    """
    _check(project, run, at_version)
    command = Annotate(
        run=run,
        by=by,
        text=_text(text),
        at_version=at_version,
        label=_line(label, LONGEST_LABEL, "label") or None,
    )
    return _execute(project, run, command, by)


def grade(  # noqa: PLR0913 - what a grade consists of
    project: str, run: str, *, by: str, rule: str, verdict: str, at_version: int | None = None, message: str = ""
) -> int:
    """Say whether a rule holds in a run up to an event, or in all of it, and return the grade's number.

    `verdict` is `holds` or `fails`. It is what a person says: the rule itself is asked by nobody here.

    Raises:
        NoteRefused: as `annotate` does, or the verdict is neither.
    """
    _check(project, run, at_version)
    command = Grade(
        run=run,
        by=by,
        rule=_line(rule, LONGEST_RULE, "rule's name"),
        verdict=verdict,
        at_version=at_version,
        message=_text(message) or None,
    )
    return _execute(project, run, command, by)


def change(  # noqa: PLR0913 - what may be changed
    project: str,
    run: str,
    number: int,
    *,
    by: str,
    text: str | None = None,
    label: str | None = None,
    verdict: str | None = None,
) -> None:
    """Put something else in the place of a note or grade; what stood there stays in its stream.

    Raises:
        NoteRefused: there is none, it was taken back, it is somebody else's, or it would say nothing.
    """
    command = Change(
        note=number,
        by=by,
        text=None if text is None else _text(text),
        label=None if label is None else _line(label, LONGEST_LABEL, "label"),
        verdict=verdict,
    )
    _execute(project, run, command, by)


def retract(  # noqa: PLR0913 - whose it is, and who asks
    project: str, run: str, number: int, *, by: str, reason: str = "", is_admin: bool = False
) -> None:
    """Take a note or grade back; that it was said stays in the stream.

    Raises:
        NoteRefused: there is none, it was taken back already, or it is somebody else's and `by` is no admin.
    """
    command = Retract(note=number, by=by, reason=_line(reason, LONGEST_TEXT, "reason") or None, is_admin=is_admin)
    _execute(project, run, command, by)


def _execute(project: str, run: str, command: object, by: str) -> int:
    """Return the version of the stream behind it: of a new note the number, since its event is the last."""
    try:
        done = repository(project).execute(stream_for(run), command, metadata=Metadata(actor=f"user:{by}"))
    except CommandRejected as rejected:
        raise NoteRefused(_sentence(rejected.reason)) from rejected
    catch_up(named(NOTES), patience_s=_PATIENCE_S)
    return done.version


def state_of(project: str, run: str) -> NotesState:
    """Return the notes of a run from the journal itself, each change told: one read of their stream."""
    state = NotesState(stream_for(run))
    for event in get_store(project).read_stream(state.stream):
        state.apply(event)
    return state


def _check(project: str, run: str, at_version: int | None) -> None:
    found = RunSummary.objects.filter(project=project, stream=run).values_list("events", flat=True).first()
    if found is None or category(run) == CATEGORY:
        raise NoteRefused("There is no such run.")
    if at_version is not None and not 0 < at_version <= found:
        raise NoteRefused(f"The run has the events 1 to {found:,}; there is no event {at_version:,}.")


def _text(text: str) -> str:
    """Return a text that the journal keeps byte for byte: no NUL, no half of a character."""
    plain = text.replace("\x00", "").encode(errors="ignore").decode().replace("\r\n", "\n").strip()
    if len(plain) > LONGEST_TEXT:
        raise NoteRefused(f"The text has {len(plain):,} characters; {LONGEST_TEXT:,} are the most.")
    return plain


def _line(text: str, longest: int, what: str) -> str:
    plain = " ".join(_text(text).split())
    if len(plain) > longest:
        raise NoteRefused(f"The {what} has {len(plain):,} characters; {longest:,} are the most.")
    return plain


def _sentence(reason: str) -> str:
    return f"{reason[:1].upper()}{reason[1:]}."

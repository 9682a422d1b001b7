"""What people say of a run: notes and grades in a stream beside it, `notes-<run>`, so that the run is never edited.

A note is `agent_run.annotated` and a grade `agent_run.graded`, as in a run. Its number is its version in this stream,
and stays when it is changed: `notes.replaced` says that the event behind it stands in its place. What was taken back
was said nevertheless, and is shown as that.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, ClassVar, Final

import msgspec

from journal.domain.agent_run import Annotated, Graded
from journal.domain.aggregate import aggregate, blame_of
from journal.domain.catalog import catalog
from journal.domain.decider import decides
from journal.domain.event import RecordedEvent, instant
from journal.domain.kept_state import KeptState
from journal.errors import CommandRejected

CATEGORY: Final = "notes"
_LONGEST_IDENT: Final = 180
_KEPT_OF_LONG: Final = 150
VERDICTS: Final = ("holds", "fails")


class _Data(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Camel-case keys on the wire."""


@catalog.event("notes.opened")
class Opened(_Data, frozen=True, kw_only=True):
    """The stream's first event: which run it is about."""

    run: str = ""


@catalog.event("notes.replaced")
class Replaced(_Data, frozen=True, kw_only=True):
    """The next event stands in the place of a note or grade, which is named by its number."""

    note: int = 0
    by: str | None = None


@catalog.event("notes.retracted")
class Retracted(_Data, frozen=True, kw_only=True):
    """A note or grade was taken back."""

    note: int = 0
    by: str | None = None
    reason: str | None = None


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """One note or grade as it stands. A note has an empty `rule` and `verdict`; `at_version` is 0 for the whole run."""

    number: int
    version: int
    event_id: str
    by: str
    text: str
    label: str
    rule: str
    verdict: str
    at_version: int
    created_at: str
    changed_at: str
    changes: int = 0
    retracted_by: str = ""
    is_retracted: bool = False

    @property
    def is_grade(self) -> bool:
        """Whether it says what a rule should say."""
        return bool(self.rule)


# --- What is asked for ------------------------------------------------------------------------------------------------


class Annotate(msgspec.Struct, frozen=True, kw_only=True):
    """Say something of a run, or of one event of it."""

    run: str
    by: str
    text: str
    at_version: int | None = None
    label: str | None = None


class Grade(msgspec.Struct, frozen=True, kw_only=True):
    """Say whether a rule holds in a run up to a version, or in the whole of it."""

    run: str
    by: str
    rule: str
    verdict: str
    at_version: int | None = None
    message: str | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Say it otherwise. Only its author may; a field that is None stays as it is."""

    note: int
    by: str
    text: str | None = None
    label: str | None = None
    verdict: str | None = None


class Retract(msgspec.Struct, frozen=True, kw_only=True):
    """Take it back: its author may, and admins."""

    note: int
    by: str
    reason: str | None = None
    is_admin: bool = False


def stream_for(run: str) -> str:
    """Return the stream of a run's notes. Of a name too long for another one's ident, the end becomes a digest."""
    if len(run) <= _LONGEST_IDENT:
        return f"{CATEGORY}-{run}"
    return f"{CATEGORY}-{run[:_KEPT_OF_LONG]}~{blake2b(run.encode(), digest_size=8).hexdigest()}"


# --- What came of it --------------------------------------------------------------------------------------------------


class NotesState(KeptState):
    """The notes and grades of one run as they stand, retracted ones among them."""

    folded_by: ClassVar[tuple[str, ...]] = (__name__, "journal.domain.kept_state")

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.run = ""
        self._notes: dict[int, Note] = {}
        self._replaces = 0

    @property
    def notes(self) -> tuple[Note, ...]:
        """Return them by number."""
        return tuple(self._notes.values())

    def note(self, number: int) -> Note | None:
        """Return one by its number."""
        return self._notes.get(number)

    def apply(self, event: RecordedEvent) -> None:
        """Take the next event in. What stands behind no replacement is a note of its own."""
        self.version = event.version
        replaces, self._replaces = self._replaces, 0
        match catalog.decode(event):
            case Opened(run=run):
                self.run = run
            case Replaced(note=number):
                self._replaces = number
            case Retracted(note=number, by=by) if number in self._notes:
                known = self._notes[number]
                self._notes[number] = msgspec.structs.replace(known, is_retracted=True, retracted_by=by or "")
            case Annotated() | Graded() as said:
                before = self._notes.get(replaces)
                number = event.version if before is None else before.number
                self._notes[number] = _note(event, said, number, before)

    def to_json(self) -> dict[str, Any]:
        """Return the state."""
        notes = [msgspec.to_builtins(note) for note in self.notes]
        return {"stream": self.stream, "version": self.version, "run": self.run, "notes": notes}

    def blame(self) -> dict[str, int]:
        """Return the version that set each leaf: each note's own."""
        own = {f"/notes/{at}": note.version for at, note in enumerate(self.notes)}
        return blame_of(self.to_json(), {"/run": 1, **own} if self.version else {})

    def removed_at(self, pointer: str, gone: Any) -> int | None:
        """Return None: nothing is ever removed."""
        del pointer, gone
        return None

    def _kept(self) -> dict[str, Any]:
        notes = [msgspec.to_builtins(note) for note in self.notes]
        return {"run": self.run, "notes": notes, "replaces": self._replaces}

    def _take_up(self, kept: dict[str, Any]) -> None:
        self.run, self._replaces = kept["run"], kept["replaces"]
        self._notes = {note.number: note for note in msgspec.convert(kept["notes"], list[Note])}


def _note(event: RecordedEvent, said: Annotated | Graded, number: int, before: Note | None) -> Note:
    at = instant(event.occurred_at)
    text, label, rule, verdict = _said(said)
    return Note(
        number=number,
        version=event.version,
        event_id=event.id,
        by=said.by or "",
        text=text or "",
        label=label or "",
        rule=rule or "",
        verdict=verdict or "",
        at_version=said.at_version or 0,
        created_at=before.created_at if before else at,
        changed_at=at,
        changes=before.changes + 1 if before else 0,
    )


def _said(said: Annotated | Graded) -> tuple[str | None, str | None, str | None, str | None]:
    if isinstance(said, Graded):
        return said.message, None, said.rule, said.verdict
    return said.text, said.label, None, None


@decides(CATEGORY)
def decide(state: NotesState, command: object) -> Iterator[msgspec.Struct]:
    """Decide what people ask for. What is said must say something, and of others nobody changes the words."""
    match command:
        case Annotate() as said:
            if not (said.text or said.label):
                raise CommandRejected("a note needs a text or a label")
            yield from _opening(state, said.run)
            yield Annotated(by=said.by, text=said.text, at_version=said.at_version, label=said.label)
        case Grade() as said:
            _check_grade(said.rule, said.verdict)
            yield from _opening(state, said.run)
            yield Graded(
                rule=said.rule, by=said.by, verdict=said.verdict, message=said.message, at_version=said.at_version
            )
        case Change() as said:
            yield from _changed(_standing(state, said.note, by=said.by), said)
        case Retract() as said:
            _standing(state, said.note, by=None if said.is_admin else said.by)
            yield Retracted(note=said.note, by=said.by, reason=said.reason)
        case _:
            raise CommandRejected("it is no command of notes")


def _opening(state: NotesState, run: str) -> Iterator[msgspec.Struct]:
    if not state.version:
        yield Opened(run=run)


def _changed(known: Note, said: Change) -> Iterator[msgspec.Struct]:
    """Yield nothing where it would stay as it is."""
    text = known.text if said.text is None else said.text
    label = known.label if said.label is None else said.label
    verdict = known.verdict if said.verdict is None else said.verdict
    if (text, label, verdict) == (known.text, known.label, known.verdict):
        return
    at = known.at_version or None
    replacement: msgspec.Struct
    if known.is_grade:
        _check_grade(known.rule, verdict)
        replacement = Graded(rule=known.rule, by=said.by, verdict=verdict, message=text or None, at_version=at)
    elif text or label:
        replacement = Annotated(by=said.by, text=text, at_version=at, label=label or None)
    else:
        raise CommandRejected("a note needs a text or a label; take it back instead")
    yield Replaced(note=known.number, by=said.by)
    yield replacement


def _standing(state: NotesState, number: int, *, by: str | None) -> Note:
    known = state.note(number)
    if known is None:
        raise CommandRejected(f"there is no note {number}")
    if known.is_retracted:
        raise CommandRejected(f"note {number} was taken back already")
    if by is not None and known.by != by:
        raise CommandRejected(f"note {number} is {known.by}'s, who alone may change it")
    return known


def _check_grade(rule: str, verdict: str) -> None:
    if not rule:
        raise CommandRejected("a grade needs a rule")
    if verdict not in VERDICTS:
        raise CommandRejected(f"a rule holds or fails, which {verdict!r} is not")


aggregate(CATEGORY)(NotesState)

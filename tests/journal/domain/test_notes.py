"""Notes beside a run: what people may say, change and take back, and what the stream says of it afterwards."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from journal.domain import notes
from journal.domain.decider import decided
from journal.domain.notes import Annotate, Change, Grade, NotesState, Retract, stream_for
from journal.domain.stream import checked
from journal.errors import CommandRejected
from tests.builders import recorded

RUN = "agent_run-7"
STREAM = "notes-agent_run-7"


def note(text: str = "wrong rate", **fields: object) -> Annotate:
    """Return what ada says of event 14."""
    return Annotate(**{"run": RUN, "by": "ada", "text": text, "at_version": 14, **fields})  # type: ignore[arg-type]


def grade(verdict: str = "fails", **fields: object) -> Grade:
    """Return ada's grade."""
    given = {"run": RUN, "by": "ada", "rule": "rates-plausible", "verdict": verdict, "at_version": 14}
    return Grade(**{**given, **fields})  # type: ignore[arg-type]


def state_after(*commands: object) -> NotesState:
    """Return the state that commands lead to, one after the other."""
    events: list[msgspec.Struct] = []
    for command in commands:
        events += decided(folded(events), STREAM, command)
    return folded(events)


def folded(events: Sequence[msgspec.Struct]) -> NotesState:
    """Return the state after events."""
    state = NotesState(STREAM)
    for event in recorded(events, stream=STREAM):
        state.apply(event)
    return state


def test_the_first_note_opens_the_stream_and_says_which_run_it_is_about() -> None:
    """The second one does not."""
    state = state_after(note(), note("again"))
    assert (state.run, state.version) == (RUN, 3)
    assert [(one.number, one.text, one.at_version) for one in state.notes] == [(2, "wrong rate", 14), (3, "again", 14)]


def test_a_change_keeps_the_number_and_what_was_not_changed() -> None:
    """The event that replaces it is another; the note is the same."""
    state = state_after(note(label="input wrong"), Change(note=2, by="ada", text="the feed was wrong"))
    (one,) = state.notes
    assert (one.number, one.version, one.text, one.label, one.changes) == (2, 4, "the feed was wrong", "input wrong", 1)
    assert one.created_at < one.changed_at


def test_a_change_that_changes_nothing_stores_nothing() -> None:
    """A form that is sent twice is one change."""
    assert state_after(note(), Change(note=2, by="ada", text="wrong rate")).version == 2


def test_what_was_taken_back_is_known_as_that() -> None:
    """It is not gone, and it cannot be changed or taken back again."""
    state = state_after(grade(), Retract(note=2, by="ada", reason="I misread it"))
    (one,) = state.notes
    assert (one.is_retracted, one.retracted_by, one.is_grade) == (True, "ada", True)
    for command in (Change(note=2, by="ada", verdict="holds"), Retract(note=2, by="ada")):
        with pytest.raises(CommandRejected, match="taken back already"):
            decided(state, STREAM, command)


def test_nobody_changes_the_words_of_others() -> None:
    """Not even an admin; taking back is what they may do."""
    state = state_after(note())
    for command in (Change(note=2, by="bob", text="fine"), Retract(note=2, by="bob")):
        with pytest.raises(CommandRejected, match="ada's"):
            decided(state, STREAM, command)
    assert len(decided(state, STREAM, Retract(note=2, by="bob", is_admin=True))) == 1


@pytest.mark.parametrize(
    "command",
    [
        note(""),
        grade("perhaps"),
        grade(rule=""),
        Change(note=9, by="ada", text="x"),
        Retract(note=9, by="ada"),
        "what?",
    ],
)
def test_what_says_nothing_or_is_about_nothing_is_refused(command: object) -> None:
    """With a reason."""
    with pytest.raises(CommandRejected) as refused:
        decided(NotesState(STREAM), STREAM, command)
    assert refused.value.reason


def test_emptying_a_note_is_refused() -> None:
    """Taking it back is another thing."""
    with pytest.raises(CommandRejected, match="take it back instead"):
        decided(state_after(note()), STREAM, Change(note=2, by="ada", text=""))


_commands = st.lists(
    st.one_of(
        st.builds(note, st.sampled_from(("a", "b"))),
        st.builds(grade, st.sampled_from(notes.VERDICTS)),
        st.builds(Change, note=st.integers(1, 6), by=st.just("ada"), text=st.sampled_from(("a", "c"))),
        st.builds(Retract, note=st.integers(1, 6), by=st.just("ada")),
    ),
    max_size=8,
)


@given(_commands, st.integers(0, 16))
def test_a_snapshot_anywhere_leads_to_the_same_state(commands: list[object], cut: int) -> None:
    """Folding all, and folding the rest into what was kept, are the same; every leaf knows the event that set it."""
    events: list[msgspec.Struct] = []
    for command in commands:
        try:
            events += decided(folded(events), STREAM, command)
        except CommandRejected:
            continue
    whole = folded(events)
    half = folded(events[:cut])
    resumed = NotesState.thaw(half.freeze())
    for event in recorded(events, stream=STREAM)[cut:]:
        resumed.apply(event)
    assert resumed.to_json() == whole.to_json()
    assert all(0 < version <= whole.version for version in whole.blame().values())


@pytest.mark.parametrize("run", [RUN, f"agent_run-{'x' * 170}", f"agent_run-{'x' * 180}", f"agent_run-{'x' * 179}y"])
def test_every_run_has_a_stream_of_notes_of_its_own(run: str) -> None:
    """Long names as well, which differ in their last letter only."""
    assert checked(stream_for(run)) != checked(stream_for(f"{run[:-1]}z"))

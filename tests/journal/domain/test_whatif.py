"""The other history: what it holds, what the state becomes, where it first differs, what rules say of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journal.domain import agent_run as run
from journal.domain import aggregate, codec
from journal.domain.catalog import catalog
from journal.domain.event import EventData, RecordedEvent
from journal.domain.invariant import Context, Fails, Holds, Invariant, Verdict, find
from journal.domain.run_state import RunState
from journal.domain.whatif import WhatIf, what_if
from journal.domain.whatif_edits import Edit, EditsRefused, plain_edits, read_edits
from tests.builders import STREAM, failed, raw, reasoned, recorded, responded, returned, started


def _data(struct: msgspec.Struct) -> EventData:
    return EventData(type=catalog.name_of(type(struct)), data=codec.encode(struct))


def insert(after: int, struct: msgspec.Struct) -> Edit:
    """Return an event put in behind a version."""
    return Edit(op="insert", version=after, event=_data(struct))


def replace(version: int, struct: msgspec.Struct) -> Edit:
    """Return an event exchanged for another."""
    return Edit(op="replace", version=version, event=_data(struct))


def drop(version: int) -> Edit:
    """Return an event left out."""
    return Edit(op="drop", version=version)


def story() -> list[RecordedEvent]:
    """A file is edited at 5 that was never read; a note refers to the edit."""
    return recorded(
        [
            started(),
            run.MessageReceived(role="user", content="Fix it."),
            responded(),
            reasoned("read_file", "c1", path="money.py"),
            returned("imported by billing.py:88", "read_file", "c1"),
            reasoned("edit_file", "c2", path="billing.py", old_string="a", new_string="b"),
            returned({"replacements": 1}, "edit_file", "c2"),
            run.Annotated(by="ada", text="here", at_version=6),
            run.Answered(response="Done."),
        ]
    )


READ_FIRST = (insert(5, reasoned("read_file", "x1", path="billing.py")), insert(5, returned("text", "read_file", "x1")))


def asked(edits: Sequence[Edit], *rules: str, **more: Any) -> WhatIf:
    """Return a what-if of the story under registered rules."""
    return what_if(STREAM, story(), edits, rules=[found for name in rules if (found := find(name))], **more)


# --- What comes of it -------------------------------------------------------------------------------------------------


def test_a_reading_put_in_makes_the_rule_hold() -> None:
    """The verdict is another, and the sentence says so before all else."""
    found = asked(READ_FIRST, "edit-after-reading", "no-failure-loop")
    assert [(verdicts.rule, verdicts.is_changed) for verdicts in found.verdicts] == [
        ("edit-after-reading", True),
        ("no-failure-loop", False),
    ]
    assert found.words() == "edit-after-reading holds; as recorded it fails at 6"
    assert found.divergence is not None
    assert (found.divergence.label, found.divergence.after, found.divergence.version) == ("5a", 5, 6)


def test_the_other_history_counts_without_holes_and_is_told_in_recorded_numbers() -> None:
    """Its own state ends at 11; compared, what came from a recorded event keeps that event's number."""
    found = asked(READ_FIRST)
    assert [place.label for place in found.places] == ["1", "2", "3", "4", "5", "5a", "5b", "6", "7", "8", "9"]
    assert found.other.version == 11
    assert [(change.path, found.label(change.version or 0)) for change in found.changes] == [
        ('/known/results/read_file {"path":"billing.py"}', "5b"),
        ("/totals/tool_calls", "6"),
        ("/context/4", "5a"),
        ("/context/5", "5b"),
    ]


def test_numbers_in_data_move_along() -> None:
    """A note on 6 is a note on 8 once two events stand before it; one on an event left out refers to nothing."""
    note = next(place for place in asked(READ_FIRST).places if place.event.type == "agent_run.annotated")
    assert note.event.payload["atVersion"] == 8
    left = next(place for place in asked([drop(6)]).places if place.event.type == "agent_run.annotated")
    assert left.event.payload["atVersion"] is None


def test_a_compaction_drops_the_events_it_dropped() -> None:
    """Though they are counted otherwise: the same texts leave the context."""
    events = recorded([started(), responded("one"), responded("two"), run.ContextCompacted(dropped_versions=(3,))])
    found = what_if(STREAM, events, [insert(1, run.MessageReceived(content="hello"))])
    assert isinstance(found.other, RunState)
    assert [item.preview for item in found.other.context][-3:] == ["hello", "one", ""]


def test_a_result_exchanged_changes_what_is_known_at_its_version() -> None:
    """And what the event did not say stays: its time, its causes."""
    events = story()
    found = what_if(STREAM, events, [replace(5, failed("no such file", "read_file", "c1"))], at=5)
    changed = {change.path: change.version for change in found.changes}
    assert changed["/totals/tool_errors"] == 5
    assert found.places[4].event.occurred_at == events[4].occurred_at
    assert found.divergence is not None
    assert (found.divergence.label, found.divergence.how) == ("5", "replaced")


def test_an_event_left_out_is_missing_from_the_other_history() -> None:
    """It is told which, and the divergence has no version there."""
    found = asked([drop(6)])
    assert [gone.label for gone in found.dropped] == ["6"]
    assert found.divergence is not None
    assert (found.divergence.label, found.divergence.version, found.divergence.how) == ("6", 0, "dropped")
    assert found.other.version == 8


def test_an_edit_that_changes_no_state_has_no_divergence() -> None:
    """A note is no part of what the agent knew."""
    found = asked([insert(3, run.Annotated(text="hm"))], "edit-after-reading")
    assert found.divergence is None
    assert found.changes == ()
    assert found.words() == "Nothing changes: the state is the same, and every rule says what it said"


def test_a_rule_that_goes_wrong_is_no_failure() -> None:
    """It could not be evaluated, in both histories or in one."""

    class Odd(Invariant):
        name, title = "odd", "odd"
        uses_previous = False

        def evaluate(self, ctx: Context) -> Verdict:
            if ctx.event.type == "agent_run.tool_failed":
                raise KeyError("gone")
            return Fails("at 2") if ctx.version == 2 and ctx.state.version != 2 else Holds()

    found = what_if(STREAM, story(), [replace(5, failed("x", "read_file", "c1"))], rules=[Odd()])
    (verdicts,) = found.verdicts
    assert (verdicts.recorded.verdict, verdicts.other.verdict, verdicts.at) == ("holds", "raised", "5")


def test_a_state_before_the_edit_is_enough_without_rules() -> None:
    """Long runs are folded from a snapshot: the same comes of it."""
    events = story()
    whole = what_if(STREAM, events, [drop(6)])
    part = what_if(STREAM, events[5:], [drop(6)], before=aggregate.fold(STREAM, events[:5]), newest=len(events))
    assert part.other.to_json() == whole.other.to_json()
    assert part.divergence == whole.divergence
    assert part.changes == whole.changes


def test_a_stream_of_another_category_has_a_what_if() -> None:
    """A state without a reducer is the newest data of each type."""
    events = [msgspec.structs.replace(event, stream="order-1") for event in story()[:6]]
    found = what_if("order-1", events, [insert(4, run.MemoryWritten(key="a", value=1))])
    assert [change.path for change in found.changes] == ["/latest/agent_run.memory_written"]


# --- Against brute force ----------------------------------------------------------------------------------------------

_SAID = st.text("ab \u202eé漢", max_size=4)
_EVENTS = st.one_of(
    st.builds(responded, _SAID, input_tokens=st.integers(0, 9), cost_usd=st.none()),
    st.builds(reasoned, st.sampled_from(["grep", "edit_file"]), st.sampled_from(["c1", "c2", "c3"])),
    st.builds(returned, st.integers(0, 3), st.sampled_from(["grep", "edit_file"]), st.sampled_from(["c1", "c2", "c3"])),
    st.builds(failed, _SAID, st.sampled_from(["grep", "edit_file"]), st.sampled_from(["c1", "c2", "c3"])),
    st.builds(run.MessageReceived, role=st.sampled_from(["user", "system"]), content=_SAID),
    st.builds(run.MemoryWritten, key=st.sampled_from("ab"), value=st.integers(0, 2)),
    st.builds(run.Answered, response=_SAID),
    st.builds(run.Annotated, text=_SAID),
)


@st.composite
def _histories(draw: st.DrawFn) -> tuple[list[msgspec.Struct], list[Edit]]:
    structs: list[msgspec.Struct] = [started(), *draw(st.lists(_EVENTS, min_size=1, max_size=12))]
    places = draw(st.lists(st.integers(1, len(structs)), unique=True, max_size=4))
    edits = [drop(at) if draw(st.booleans()) else replace(at, draw(_EVENTS)) for at in places]
    edits += [insert(at, draw(_EVENTS)) for at in draw(st.lists(st.integers(0, len(structs)), max_size=4))]
    return structs, draw(st.permutations(edits))


def _by_hand(structs: Sequence[msgspec.Struct], edits: Sequence[Edit]) -> list[EventData]:
    """Make the edited list with nothing of the code under test."""
    changed = {edit.version: edit for edit in edits if edit.op != "insert"}
    rows = []
    for version in range(len(structs) + 1):
        if version and (edit := changed.get(version)) is not None:
            rows += [edit.event] if edit.event else []
        elif version:
            rows.append(_data(structs[version - 1]))
        rows += [edit.event for edit in edits if edit.op == "insert" and edit.version == version and edit.event]
    return rows


def _without_times(state: aggregate.State) -> dict[str, Any]:
    told = state.to_json()
    told["totals"].pop("duration_ms")
    return told


@settings(max_examples=30)
@given(_histories())
def test_a_what_if_equals_folding_the_edited_list(case: tuple[list[msgspec.Struct], list[Edit]]) -> None:
    """State for state, whatever is put in, exchanged and left out; and the verdicts are those of that list."""
    structs, edits = case
    rules = [rule for name in ("no-failure-loop", "edit-after-reading") if (rule := find(name))]
    found = what_if(STREAM, recorded(structs), edits, rules=rules)
    rows = _by_hand(structs, edits)
    like = recorded([run.Annotated()] * len(rows))
    edited = [
        msgspec.structs.replace(blank, type=row.type, data=row.data) for blank, row in zip(like, rows, strict=True)
    ]
    assert _without_times(found.other) == _without_times(aggregate.fold(STREAM, edited))
    alone = what_if(STREAM, edited, [], rules=rules) if edited else None
    if alone is not None:
        assert [pair.other for pair in found.verdicts] == [pair.recorded for pair in alone.verdicts]


@settings(max_examples=30)
@given(_histories())
def test_no_edit_changes_nothing(case: tuple[list[msgspec.Struct], list[Edit]]) -> None:
    """Neither the events, nor the state, nor a verdict; there is no divergence."""
    events = recorded(case[0])
    rules = [rule for name in ("no-failure-loop", "edit-after-reading") if (rule := find(name))]
    found = what_if(STREAM, events, [], rules=rules)
    assert [place.event for place in found.places] == events
    assert found.other.to_json() == found.recorded.to_json()
    assert (found.divergence, found.changes) == (None, ())
    assert not any(verdicts.is_changed for verdicts in found.verdicts)


@settings(max_examples=30)
@given(_histories(), st.data())
def test_an_event_left_out_and_put_in_again_is_the_same_run(
    case: tuple[list[msgspec.Struct], list[Edit]], data: st.DataObject
) -> None:
    """To the last value, but for the number that the event has."""
    events = recorded(case[0])
    at = data.draw(st.integers(1, len(events)))
    again = Edit(op="insert", version=at, event=EventData(type=events[at - 1].type, data=events[at - 1].data))
    found = what_if(STREAM, events, [drop(at), again])
    assert found.other.to_json() == found.recorded.to_json()


@settings(max_examples=30)
@given(_histories(), st.data())
def test_the_divergence_is_the_first_place_at_which_the_states_differ(
    case: tuple[list[msgspec.Struct], list[Edit]], data: st.DataObject
) -> None:
    """Before it both are the same; at it they are not."""
    structs, _ = case
    at = data.draw(st.integers(1, len(structs)))
    edit = data.draw(st.sampled_from([drop(at), replace(at, responded("other")), insert(at, responded("more"))]))
    events = recorded(structs)
    found = what_if(STREAM, events, [edit])
    states = [bool(what_if(STREAM, events, [edit], at=version).changes) for version in range(1, len(events) + 1)]
    if found.divergence is None:
        assert not any(states)
    else:
        assert states.index(True) + 1 == found.divergence.after


@settings(max_examples=30)
@given(_histories())
def test_edits_read_back_as_they_were(case: tuple[list[msgspec.Struct], list[Edit]]) -> None:
    """What is saved is what was asked."""
    assert list(read_edits(plain_edits(case[1]))) == case[1]


# --- What is refused --------------------------------------------------------------------------------------------------

TOOL = {"type": "agent_run.tool_returned", "data": {"toolName": "grep", "responseJson": "1"}}


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ("drop 3", "edits must be a list"),
        ([{"op": "drop", "version": 1}] * 51, "51 edits; 50 are the most"),
        ([{"op": "delete", "version": 1}], "Edit 1: op must be one of insert, replace, drop, not 'delete'"),
        ([{"op": "drop", "version": "1"}], "Edit 1: version must be the number of an event"),
        ([{"op": "drop", "version": True}], "Edit 1: version must be the number of an event"),
        ([{"op": "drop", "version": 1, "event": TOOL}], "Edit 1: drop takes an event out"),
        ([{"op": "insert", "version": 1, "at": 3}], "Edit 1: there is nothing called 'at' in an edit"),
        ([{"op": "insert", "version": 1}], "Edit 1: insert needs an event"),
        ([{"op": "insert", "version": 1, "event": {"data": {}}}], "Edit 1: the event needs a type"),
        (
            [{"op": "drop", "version": 1}, {"op": "insert", "version": 1, "event": {"type": "agent_run.reason"}}],
            "Edit 2: there is no event type 'agent_run.reason'; nearest: agent_run.reasoned",
        ),
        (
            [{"op": "insert", "version": 1, "event": {**TOOL, "data": {"toolName": 3}}}],
            "Edit 1: agent_run.tool_returned cannot be read: the data does not fit ToolReturned",
        ),
        (
            [{"op": "insert", "version": 1, "event": {**TOOL, "data": {"tool_name": "grep"}}}],
            "Edit 1: agent_run.tool_returned has no 'tool_name'; did you mean 'toolName'?",
        ),
        ([{"op": "insert", "version": 1, "event": {**TOOL, "schema": 9}}], "Edit 1: agent_run.tool_returned cannot be"),
        ([{"op": "insert", "version": 1, "event": {**TOOL, "data": {"x": "\0"}}}], "Edit 1: its data refused: NUL"),
        ([{"op": "insert", "version": 1, "event": {**TOOL, "data": {"x": "\ud800"}}}], "Edit 1: the event’s data can"),
        ([{"op": "insert", "version": 1, "event": {**TOOL, "occurred_at": "noon"}}], "Edit 1: occurred_at must be"),
        ([{"op": "insert", "version": 1, "event": {**TOOL, "data": {"x": "y" * 256_000}}}], "Edit 1: its data has 256"),
    ],
)
def test_a_request_that_is_none_says_which_edit_and_why(edits: Any, said: str) -> None:
    """Before any event is read."""
    with pytest.raises(EditsRefused) as refused:
        read_edits(edits)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ([drop(10)], "Edit 1: there is no event 10; the run has the events 1 to 9."),
        ([drop(0)], "Edit 1: there is no event 0"),
        ([insert(3, responded()), insert(10, responded())], "Edit 2: there is no event 10"),
        ([drop(3), replace(3, responded())], "Edit 2: event 3 is changed by edit 1 already."),
    ],
)
def test_a_version_that_cannot_be_changed_is_named(edits: list[Edit], said: str) -> None:
    """One that is not there, or is changed twice."""
    with pytest.raises(EditsRefused, match="Edit") as refused:
        asked(edits)
    assert said in str(refused.value)
    assert refused.value.problems[0]["edit"] in (1, 2)


def test_what_others_wrote_is_kept_as_it_is() -> None:
    """Text that looks like markup, orders text or is very long is data and nothing else."""
    hostile = "<script>alert(1)</script>\u202e" + "x" * 100_000
    (edit,) = read_edits(
        [{"op": "insert", "version": 2, "event": {"type": "agent_run.message_received", "data": {"content": hostile}}}]
    )
    found = asked([edit], at=2)
    assert isinstance(found.other, RunState)
    assert found.other.context[-1].size_bytes == len(hostile.encode())


def test_unknown_recorded_events_stay_in_both_histories() -> None:
    """They cannot be put in, but are not lost where they were recorded."""
    assert raw("test.noted").type == "test.noted"
    events = story()
    events[2] = msgspec.structs.replace(events[2], type="test.noted", data=b'{"a": 1}')
    found = what_if(STREAM, events, [drop(2)])
    assert found.places[1].event.type == "test.noted"
    assert found.places[1].event.data == b'{"a": 1}'

"""What a run knows after each event."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from journal.domain import agent_run as run
from journal.domain.aggregate import Timeline, fold
from journal.domain.event import RecordedEvent
from journal.domain.run_state import RunState
from tests.builders import STREAM, failed, reasoned, recorded, responded, returned, started


def state_after(*events: msgspec.Struct) -> RunState:
    """Fold the events."""
    state = fold(STREAM, recorded(events))
    assert isinstance(state, RunState)
    return state


def test_a_decision_is_a_response_a_call_a_reasoned_and_an_error_a_failure() -> None:
    """Totals count by the contract, and tokens and cost add up responses only."""
    state = state_after(
        started(), responded(), reasoned(), failed(), responded(), run.Answered(response="done", cost_usd=9.0)
    ).to_json()
    assert state["totals"] == {
        "decisions": 2,
        "tool_calls": 1,
        "tool_errors": 1,
        "input_tokens": 200,
        "output_tokens": 20,
        "cost_usd": 0.5,
        "duration_ms": 5000,
    }


def test_what_nobody_recorded_is_null() -> None:
    """A response without tokens and cost leaves these totals null, not zero."""
    totals = state_after(started(), run.ModelResponded(content="hm")).to_json()["totals"]
    assert (totals["input_tokens"], totals["output_tokens"], totals["cost_usd"]) == (None, None, None)


@pytest.mark.parametrize(
    ("last", "status"),
    [(responded(), "running"), (run.Answered(response="yes"), "answered"), (run.Aborted(reason="budget"), "aborted")],
)
def test_the_status_follows_the_last_word(last: msgspec.Struct, status: str) -> None:
    """A run is running until it is answered or aborted."""
    assert state_after(started(), last).to_json()["status"] == status


def test_a_run_that_goes_on_after_its_answer_runs_again() -> None:
    """A further word of the user re-opens the run; output of the environment, a grade or a note does not."""
    answered = [started(), run.Answered(response="yes")]
    output = run.MessageReceived(role="environment", content="ok")
    assert state_after(*answered, output).to_json()["status"] == "answered"
    assert state_after(*answered, run.MessageReceived(content="and now?")).to_json()["status"] == "running"
    assert state_after(*answered, run.Graded(rule="r", verdict="holds")).to_json()["status"] == "answered"


@pytest.mark.parametrize(("answers", "status"), [([run.Answered(response="yes")], "answered"), ([], "aborted")])
def test_a_run_whose_source_says_how_it_ended_has_ended(answers: list[msgspec.Struct], status: str) -> None:
    """Even where the last word was the user's: it counts as answered where there was an answer, else as aborted."""
    outcome = run.Graded(rule="outcome", by="tau-bench", verdict="failure")
    goodbye = run.MessageReceived(content="###STOP###")
    assert state_after(started(), *answers, goodbye, outcome).to_json()["status"] == status


def test_an_open_call_closes_with_its_result() -> None:
    """Between call and result the call is open, with the version that opened it."""
    events = [started(), reasoned(path="a.py"), returned("text")]
    assert [call["version"] for call in state_after(*events[:2]).to_json()["open_calls"]] == [2]
    assert state_after(*events).to_json()["open_calls"] == []


def test_known_keeps_the_latest_result_per_tool_and_arguments() -> None:
    """The same call again replaces what is known; other arguments stand beside it."""
    known = state_after(
        started(),
        reasoned(call_id="c1", path="a.py"),
        returned("one", call_id="c1"),
        reasoned(call_id="c2", path="a.py"),
        returned("two", call_id="c2"),
        reasoned(call_id="c3", path="b.py"),
        returned("three", call_id="c3"),
    ).to_json()["known"]["results"]
    assert {key: (entry["preview"], entry["version"]) for key, entry in known.items()} == {
        'read_file {"path":"a.py"}': ("two", 5),
        'read_file {"path":"b.py"}': ("three", 7),
    }


def test_failures_in_a_row_end_with_a_success() -> None:
    """`in_a_row` counts until the tool returns, `total` goes on."""
    events: list[msgspec.Struct] = [
        started(),
        reasoned(call_id="1"),
        failed(call_id="1"),
        reasoned(call_id="2"),
        failed(call_id="2"),
    ]
    assert state_after(*events).to_json()["failures"]["read_file"]["in_a_row"] == 2
    events += [reasoned(call_id="3"), returned(call_id="3")]
    after = state_after(*events).to_json()["failures"]["read_file"]
    assert (after["in_a_row"], after["total"]) == (0, 2)


def test_a_compaction_leaves_what_was_kept_and_the_summary() -> None:
    """The context is what the model would see next, in order."""
    state = state_after(
        started(),
        run.MessageReceived(content="fix it"),
        responded("first"),
        responded("second"),
        run.ContextCompacted(summary="so far", dropped_versions=(3,)),
    ).to_json()
    assert [(item["version"], item["preview"]) for item in state["context"]] == [
        (2, "fix it"),
        (4, "second"),
        (5, "so far"),
    ]


def test_blame_names_the_version_of_every_leaf_an_event_set() -> None:
    """Each leaf of the state but its own name and version is blamed, or no event said it."""
    state = state_after(started(), responded(), reasoned(path="a"), failed(), run.Answered(response="done"))
    blame = state.blame()
    assert (blame["/status"], blame["/agent"], blame["/totals/decisions"]) == (5, 1, 2)
    assert (blame["/failures/read_file/total"], blame["/failures/read_file/last_arguments"]) == (4, 3)
    said = {pointer for pointer, value in leaves(state.to_json()) if value not in (None, [], {}, 0)}
    assert said - {"/stream", "/version"} <= set(blame)


def leaves(value: Any, pointer: str = "") -> list[tuple[str, Any]]:
    """Return (JSON Pointer, value) of every leaf."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [
        leaf
        for name, item in inner
        for leaf in leaves(item, f"{pointer}/{str(name).replace('~', '~0').replace('/', '~1')}")
    ]
    return found or [(pointer, value)]


_events = st.lists(
    st.one_of(
        st.builds(run.MessageReceived, content=st.text(max_size=12)),
        st.builds(responded, st.text(max_size=12)),
        st.builds(reasoned, tool=st.sampled_from(["a", "b"]), call_id=st.sampled_from("123"), x=st.integers(0, 2)),
        st.builds(returned, st.text(max_size=8), tool=st.sampled_from(["a", "b"]), call_id=st.sampled_from("123")),
        st.builds(failed, st.text(max_size=8), tool=st.sampled_from(["a", "b"]), call_id=st.sampled_from("123")),
        st.builds(run.MemoryWritten, key=st.sampled_from("kl"), value=st.integers()),
        st.builds(run.ContextCompacted, summary=st.text(max_size=5), dropped_versions=st.just((2, 3))),
        st.builds(run.Answered, response=st.text(max_size=5)),
    ),
    max_size=40,
)


@given(_events, st.data())
def test_the_state_at_a_version_is_the_fold_of_the_prefix(events: list[msgspec.Struct], data: st.DataObject) -> None:
    """However one moves about on a timeline, the state equals the fold from the beginning, blame included."""
    log = recorded([started(), *events])
    timeline = Timeline(STREAM, keep=4, every=3)

    def read(after: int, until: int) -> list[RecordedEvent]:
        return log[after:until]

    for version in data.draw(st.lists(st.integers(0, len(log)), max_size=8)):
        seen, folded = timeline.at(version, read), fold(STREAM, log[:version])
        assert (seen.to_json(), seen.blame()) == (folded.to_json(), folded.blame())


@given(_events)
def test_no_leaf_is_blamed_on_an_event_that_came_later_or_changed_nothing(events: list[msgspec.Struct]) -> None:
    """A blamed version is where the leaf got the value it has: the state just before it had another one."""
    log = recorded([started(), *events])
    values = [dict(leaves(fold(STREAM, log[:version]).to_json())) for version in range(len(log) + 1)]
    for pointer, version in fold(STREAM, log).blame().items():
        if pointer.startswith(("/totals/", "/status", "/model", "/agent")):
            assert {values[at].get(pointer) for at in range(version, len(log) + 1)} == {values[-1][pointer]}
            assert values[version - 1].get(pointer) != values[version][pointer] or pointer.startswith("/totals/")


def test_an_unknown_event_changes_nothing_but_the_version() -> None:
    """A newer schema or a foreign type is folded over."""
    log = recorded([started(), responded()])
    foreign = msgspec.structs.replace(log[1], version=3, type="other.thing", data=b'{"a": 1}')
    newer = msgspec.structs.replace(log[1], version=3, schema=99)
    before = fold(STREAM, log).to_json()
    for event in (foreign, newer):
        after = fold(STREAM, [*log, event]).to_json()
        assert {**after, "version": 2, "totals": before["totals"]} == before


def test_the_state_knows_which_call_the_newest_event_answered() -> None:
    """By its id the newest call of that id, without one the oldest of its tool; an event that answers none has none."""
    events = recorded(
        [
            started(),
            reasoned(call_id="c1"),
            run.Reasoned(tool_name="bash"),
            reasoned(call_id="c2"),
            failed(call_id="c2"),
            run.ToolReturned(tool_name="bash"),
            returned(call_id="c1"),
            returned(call_id="c1"),
            responded(),
        ]
    )
    state, answered = RunState(STREAM), []
    for event in events:
        state.apply(event)
        answered.append(state.answered_call)
    assert answered == [None, None, None, None, 4, 3, 2, None, None]

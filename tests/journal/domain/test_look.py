"""Looking into a state without copying it finds what the whole state says."""

from __future__ import annotations

import pytest

from journal.domain import agent_run as run
from journal.domain.aggregate import PlainState, fold
from journal.domain.look import MISSING, Look, builtin
from tests.builders import STREAM, failed, reasoned, recorded, responded, returned, started

STORY = (
    started(tools=("read_file", "grep")),
    run.MessageReceived(content="Please"),
    responded("one", input_tokens=3),
    reasoned(path="a/b~c"),
    returned(),
    reasoned("grep", "c2", pattern="x"),
    failed(tool="grep", call_id="c2"),
    run.MemoryWritten(key="plan", value={"steps": [1, {"deep": True}], "none": []}),
    run.HandedOff(to_agent="b", child_run="agent_run-8"),
    run.Graded(rule="r", verdict="holds"),
    run.ContextCompacted(summary="short", dropped_versions=(2,)),
    reasoned("grep", "c3", pattern="y"),
)


@pytest.mark.parametrize("until", range(len(STORY) + 1))
def test_each_leaf_is_blamed_as_the_whole_state_blames_it(until: int) -> None:
    """Values and versions of all leaves are those of `to_json` and `blame`."""
    state = fold(STREAM, recorded(STORY)[:until])
    look, document, blame = Look(state), state.to_json(), state.blame()
    assert builtin(look.parts) == document
    found = {
        pointer: version
        for name, value in look.parts.items()
        for pointer, _, version in look.leaves(value, f"/{name}", look.version(value, f"/{name}", None))
        if version is not None and name not in ("stream", "version")
    }
    assert found == blame
    assert {pointer: look.at(pointer).version for pointer in blame} == blame


def test_an_object_is_as_new_as_the_newest_in_it() -> None:
    """What has no version of its own was set by the last event that set a part of it."""
    look = Look(fold(STREAM, recorded(STORY)))
    assert look.at("/totals").version == len(STORY)
    assert look.at("/known/memory/plan").version == 8
    assert look.at("/failures/grep").version == 7


@pytest.mark.parametrize("pointer", ["/nothing", "/status/deeper", "/context/99", "/context/x", "/context/-1", "/"])
def test_where_nothing_stands_nothing_is_found(pointer: str) -> None:
    """A pointer to nowhere gives a mark that is not null, which may be a value."""
    found = Look(fold(STREAM, recorded(STORY))).at(pointer)
    assert (found.value, found.version) == (MISSING, None)


def test_a_key_with_a_slash_is_found_by_its_escape() -> None:
    """A key of the state is one token of a pointer, whatever is in it."""
    look = Look(fold(STREAM, recorded(STORY)))
    assert look.at('/known/results/read_file {"path":"a~1b~0c"}/version').value == 5


def test_any_state_can_be_looked_at() -> None:
    """A state that is not shallow is looked at through its JSON."""
    state = PlainState("order-1")
    state.apply(recorded([started()], stream="order-1")[0])
    assert Look(state).at("/latest/agent_run.started/version").value == 1

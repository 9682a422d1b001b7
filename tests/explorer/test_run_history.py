"""The history of one value: every version at which it changed, a page at a time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from explorer import timelines
from explorer.history import SHOWN, STRETCH, History, history
from explorer.tree import kept
from journal.domain import agent_run as run
from journal.domain.aggregate import State, fold, initial
from journal.domain.event import RecordedEvent
from journal.domain.look import Look
from tests.builders import STREAM, reasoned, recorded, responded, returned, started
from tests.run_pages import fresh_timelines, put_coding_run

__all__ = ["fresh_timelines"]


def _states(events: list[RecordedEvent], first: int, last: int) -> Iterator[State]:
    state = fold(STREAM, events[:first])
    yield state
    for event in events[first:last]:
        state.apply(event)
        yield state


def _page(events: list[RecordedEvent], pointer: str, until: int) -> History:
    here = Look(fold(STREAM, events[:until]))
    return history(pointer, here, lambda first, last: _states(events, first, last), until=until)


def _all(events: list[RecordedEvent], pointer: str) -> list[int]:
    """Return the versions of every page, each beginning where the one before says."""
    found, until = [], len(events)
    while until:
        page = _page(events, pointer, until)
        found += [change.version for change in page.changes]
        assert page.earlier < until, "a page leads on"
        until = page.earlier
    return found


def _truth(events: list[RecordedEvent], pointer: str) -> list[int]:
    state, changed = initial(STREAM), []
    before = kept(Look(state).at(pointer).value)
    for event in events:
        state.apply(event)
        now = kept(Look(state).at(pointer).value)
        if now != before:
            changed.append(event.version)
        before = now
    return changed[::-1]


_EVENTS = st.sampled_from(
    [
        responded(),
        responded("", input_tokens=4),
        reasoned(path="a"),
        reasoned("grep", "c2", path="b"),
        returned(),
        returned(tool="grep", call_id="c2"),
        run.MemoryWritten(key="k", value=1),
        run.MemoryWritten(key="k", value=2),
        run.ContextCompacted(summary="s"),
    ]
)
_POINTERS = (
    "/totals/decisions",
    "/totals/input_tokens",
    "/open_calls/0",
    "/known/memory/k/value",
    "/context/1",
    "/status",
)


@given(story=st.lists(_EVENTS, max_size=70), pointer=st.sampled_from(_POINTERS))
def test_the_pages_together_are_the_whole_history(story: list[run.AgentRunEvent], pointer: str) -> None:
    """Page after page gives each version at which folding everything sees the value change, and no other."""
    events = recorded([started(), *story])
    assert _all(events, pointer) == _truth(events, pointer)


def test_a_long_history_comes_in_pages_that_fold_little() -> None:
    """No page shows more than its share, and none folds more than a stretch, however long ago the value changed."""
    events = recorded([started(), *[responded() for _ in range(60)], *[run.Annotated(text="n") for _ in range(2_000)]])
    folded: list[tuple[int, int]] = []

    def states(first: int, last: int) -> Iterator[State]:
        folded.append((first, last))
        return _states(events, first, last)

    here = Look(fold(STREAM, events))
    page = history("/totals/decisions", here, states, until=len(events))
    assert folded == [(0, 61)]
    assert [change.version for change in page.changes] == list(range(61, 61 - SHOWN, -1))
    assert page.earlier == 61 - SHOWN


def test_a_value_that_never_was_leads_back_a_stretch_at_a_time() -> None:
    """Where nothing tells when a value was last there, the page says how far it looked."""
    events = recorded([started(), *[responded("") for _ in range(3 * STRETCH)]])
    page = _page(events, "/known/memory/none/value", len(events))
    assert (page.changes, page.after, page.earlier) == ((), len(events) - STRETCH, len(events) - STRETCH)


def test_both_sides_of_a_change_are_told() -> None:
    """A change says what the value was and what it became."""
    events = recorded([started(), responded(), responded()])
    newest = _page(events, "/totals/decisions", 3).changes[0]
    assert (newest.version, newest.before, newest.after) == (3, 1, 2)


@pytest.mark.usefixtures("fresh_timelines")
def test_states_in_a_row_are_one_query(db: None) -> None:
    """The states of a stretch come from one read, whether or not the first of them is kept already."""
    stream = put_coding_run(250)
    for first, last in ((120, 140), (100, 230), (0, 20)):
        with CaptureQueriesContext(connection) as queries:
            versions = [state.version for state in timelines.states("default", stream, first, last)]
        assert versions == list(range(first, last + 1))
        assert len(queries) == 1

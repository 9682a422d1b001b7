"""Snapshots: near any version of a long stream there is one, and without them nothing differs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journal.domain import agent_run as run
from journal.domain.aggregate import Repository, Timeline, fold
from journal.domain.event import EventData, RecordedEvent
from journal.domain.run_state import RunState
from journal.domain.stream import ANY_VERSION
from journal.models import Snapshot
from journal.store import get_store, snapshots
from journal.store.memory import MemoryStore
from journal.store.snapshots import EVERY, Kept, is_kept_at, repository
from tests.builders import event, failed, reasoned, responded, returned, started

STREAM = "agent_run-1"
LENGTH = 2_600


def story(length: int) -> Iterator[EventData]:
    """Yield the events of a run that does everything there is, over and over."""
    yield event(started())
    for at in range(length - 1):
        yield event(
            (
                run.MessageReceived(content=f"Please, {at}"),
                responded(f"I will, {at}", input_tokens=at, cost_usd=0.1),
                reasoned(call_id=f"c{at // 7}"),
                returned(call_id=f"c{at // 7}") if at % 2 else failed(call_id=f"c{at // 7}"),
                run.MemoryWritten(key=f"k{at % 5}", value={"at": at, "big": 10**25}),
                run.HandedOff(to_agent="other", child_run=f"agent_run-{at}"),
                run.ContextCompacted(summary="so far", kept_versions=(at, at - 1)),
            )[at % 7]
        )


@pytest.fixture
def long_run(db: None) -> str:
    """A run of some thousand events."""
    get_store().append(STREAM, list(story(LENGTH)), expected_version=ANY_VERSION)
    return STREAM


def plain(version: int | None = None) -> Any:
    """Return the state folded from the first event on."""
    return fold(STREAM, get_store().read_stream(STREAM, until=version))


def everything(state: RunState) -> dict[str, Any]:
    """Return all a state is made of."""
    return {**vars(state), "context": list(state.context)}


def versions() -> list[int]:
    """Return the versions that are kept."""
    return sorted(Snapshot.objects.values_list("version", flat=True))


@given(st.integers(0, 40), st.integers(1, 60))
def test_a_thawed_state_goes_on_as_if_it_had_never_been_frozen(before: int, after: int) -> None:
    """State, blame and what was removed where are the same, and so is everything that follows."""
    store = MemoryStore()
    store.append(STREAM, list(story(before + after)), expected_version=ANY_VERSION)
    events = list(store.read_stream(STREAM))
    state = fold(STREAM, events[:before])
    assert isinstance(state, RunState)
    thawed = RunState.thaw(state.freeze())
    for one in events[before:]:
        assert (thawed.to_json(), thawed.blame()) == (state.to_json(), state.blame())
        state.apply(one)
        thawed.apply(one)
    assert everything(thawed) == everything(state)


def test_loading_a_long_run_leaves_snapshots_behind(long_run: str) -> None:
    """And the next load begins at the nearest."""
    state = repository("default").load(long_run)
    assert versions() == [1_000, 1_500, 2_000, 2_500]
    assert state.to_json() == plain().to_json()
    reader = Reader()
    near = Repository(reader, snapshots=Kept("default")).load_at_version(long_run, 2_100)
    assert near.to_json() == plain(2_100).to_json()
    assert near.blame() == plain(2_100).blame()
    assert reader.afters == [2_000]


def test_deleting_all_of_them_changes_nothing_but_time(long_run: str) -> None:
    """They come back with the next load."""
    before = repository("default").load_at_version(long_run, 2_345).to_json()
    assert Kept("default").drop() == 3
    assert repository("default").load_at_version(long_run, 2_345).to_json() == before
    assert versions() == [1_000, 1_500, 2_000]


def test_other_code_finds_none(long_run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another version of the fold has made is not this one's state."""
    repository("default").load(long_run)
    Snapshot.objects.update(state=b"made by other code")
    monkeypatch.setattr(snapshots, "code_version", lambda _kind: "other")
    assert repository("default").load(long_run).to_json() == plain().to_json()


def test_one_that_cannot_be_read_is_passed_over(long_run: str) -> None:
    """A damaged snapshot costs the time that it would have saved."""
    repository("default").load(long_run)
    Snapshot.objects.update(state=b"damaged")
    assert repository("default").load(long_run).to_json() == plain().to_json()


def test_projects_share_none(long_run: str) -> None:
    """The same stream in another project is another stream."""
    repository("default").load(long_run)
    assert Kept("other").nearest(long_run, None) is None


def test_a_far_jump_of_a_timeline_begins_at_a_snapshot(long_run: str) -> None:
    """A near one folds on from where it was."""
    repository("default").load(long_run)
    timeline = Timeline(long_run, snapshots=Kept("default"))
    read: list[int] = []

    def events(after: int, until: int) -> Iterator[RecordedEvent]:
        read.append(after)
        return get_store().read_stream(long_run, after=after, until=until)

    for version in (2_550, 300, 2_500):
        assert timeline.at(version, events).to_json() == plain(version).to_json()
    assert read == [2_500, 0]


def test_short_streams_have_none() -> None:
    """Folding them takes a millisecond or two."""
    assert not any(map(is_kept_at, range(1_000)))


@given(st.integers(1_000, 10**9))
def test_any_version_is_near_a_kept_one(version: int) -> None:
    """Within 500 events, and an eighth of the stream once it is long."""
    step = EVERY
    while step * 16 <= version:
        step *= 2
    nearest = version // step * step
    assert is_kept_at(nearest)
    assert version - nearest <= max(EVERY, version // 8)


class Reader:
    """The default project's journal, which notes from where it was read."""

    project = "default"

    def __init__(self) -> None:
        self.afters: list[int] = []

    def read_stream(self, stream: str, *, after: int = 0, until: int | None = None) -> Iterator[RecordedEvent]:
        """Read on."""
        self.afters.append(after)
        return get_store().read_stream(stream, after=after, until=until)

    def stream_version(self, stream: str) -> int:
        """Return the newest version."""
        return get_store().stream_version(stream)

"""What holds for the demo data as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from journal.domain.agent_run import AgentRunEvent
from journal.domain.aggregate import fold
from journal.domain.catalog import Unknown, catalog
from journal.domain.dispatch import NewDispatch
from journal.domain.event import EventData
from journal.domain.explain import explain
from journal.domain.lineage import causes_of
from journal.domain.stream import ExpectedVersion
from journal.store.memory import MemoryStore
from journal.store.protocol import Appended
from nagare_web.demo import STORIES, fill
from tests.nagare_web.demo.filled import ORDINARY, UNTIL, journal, newly_filled


def wire(store: MemoryStore) -> list[tuple[object, ...]]:
    """Return all that a caller decides about the events, in order."""
    return [(e.stream, e.version, e.id, e.type, e.data, e.metadata, e.occurred_at) for e in store.read_all()]


def test_every_event_type_occurs() -> None:
    """The journal has all fourteen of the agent run's types."""
    wanted = {catalog.name_of(struct) for struct in AgentRunEvent.__args__}
    assert {event.type for event in journal().read_all()} == wanted


def test_every_event_has_an_explanation() -> None:
    """None is unknown to the catalog or shown raw, and none is without words."""
    for event in journal().read_all():
        assert not isinstance(catalog.decode(event), Unknown)
        explanation = explain(event)
        assert explanation.summary.strip()
        assert "kept raw" not in explanation.summary
        assert "not captured" not in explanation.summary


def test_every_run_folds() -> None:
    """Each has begun and is answered or aborted, except for the one that goes on."""
    by_stream: dict[str, list[object]] = {}
    for event in journal().read_all():
        by_stream.setdefault(event.stream, []).append(event)
    running = []
    for stream in by_stream:
        state = fold(stream, journal().read_stream(stream)).to_json()
        assert state["prompt"]
        assert state["status"] in ("answered", "aborted", "running")
        running += [stream] * (state["status"] == "running")
    assert tuple(running) == STORIES["still-running"].streams


def test_every_run_says_that_it_is_synthetic() -> None:
    """The first event of each run carries the mark and a sentence about it."""
    started = [event for event in journal().read_all() if event.version == 1]
    assert {event.payload["context"]["synthetic"] for event in started} == {True}
    assert {event.payload["context"]["note"] for event in started} == {
        "Made by a scripted stand-in for a model; synthetic data."
    }


def test_every_cause_is_in_the_journal_and_was_earlier() -> None:
    """No chain of causes breaks off, and no effect happens before its cause."""
    events = {event.id: event for event in journal().read_all()}
    for event in events.values():
        for cause in causes_of(event):
            assert events[cause.id].occurred_at <= event.occurred_at
            assert events[cause.id].position < event.position


def test_only_a_start_has_no_cause() -> None:
    """Everything else was caused by something."""
    uncaused = {event.type for event in journal().read_all() if not causes_of(event)}
    assert uncaused == {"agent_run.started"}


def test_every_kind_of_cause_occurs() -> None:
    """Triggered, read, quoted, answers, authorised, spawned."""
    kinds = {cause.kind for event in journal().read_all() for cause in causes_of(event)}
    assert kinds == {"triggered", "read", "quoted", "answers", "authorised", "spawned"}


def test_messages_to_the_model_are_references() -> None:
    """A call of the model names earlier versions of its own run instead of repeating their text."""
    for event in journal().read_all():
        if event.type == "agent_run.model_called":
            versions = [message["version"] for message in event.payload["messages"]]
            assert versions == sorted(versions)
            assert 0 < versions[0] <= versions[-1] < event.version


def test_times_rise_within_seventy_days() -> None:
    """Within a run no event is before the one in front of it; nothing lies in the future."""
    newest: dict[str, object] = {}
    for event in journal().read_all():
        assert UNTIL - timedelta(days=71) < event.occurred_at <= UNTIL
        assert newest.get(event.stream, event.occurred_at) <= event.occurred_at  # type: ignore[operator]
        newest[event.stream] = event.occurred_at


def test_the_five_agents_work_on_several_models() -> None:
    """Coder, support, analyst, ops and writer; at least three models."""
    started = [event.payload for event in journal().read_all() if event.version == 1]
    assert {payload["agent"] for payload in started} == {"coder", "support", "analyst", "ops", "writer"}
    assert len({payload["model"] for payload in started}) >= 3


def test_every_event_has_a_correlation_id_and_a_trace() -> None:
    """A hand-off stays in one trace; the call of a tool and its result share a span."""
    for event in journal().read_all():
        assert event.meta.correlation_id
        assert event.meta.traceparent is not None
        assert event.meta.actor
        assert len(event.meta.traceparent) == 55


def test_a_second_fill_adds_nothing() -> None:
    """Neither at the same present nor at a later one."""
    store = newly_filled(ordinary=0)
    before = store.head()
    assert fill(store, until=UNTIL, ordinary=0).was_full
    assert fill(store, until=UNTIL + timedelta(days=3), ordinary=0).added_events == 0
    assert store.head() == before


def test_the_same_seed_gives_the_same_bytes() -> None:
    """Events, ids, metadata and times are equal in two journals."""
    assert wire(newly_filled()) == wire(journal())


def test_another_seed_gives_other_runs() -> None:
    """The ordinary runs differ; the stories stay where they are."""
    other = newly_filled(seed=8, ordinary=5)
    assert {event.stream for event in other.read_all()} < {event.stream for event in journal().read_all()}
    assert wire(other) != wire(newly_filled(ordinary=5))


class Full(Exception):
    """No more appends."""


class FailingStore(MemoryStore):
    """A journal that takes so many appends and no more."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def append(
        self,
        stream: str,
        events: Sequence[EventData],
        *,
        expected_version: ExpectedVersion,
        dispatches: Sequence[NewDispatch] = (),
    ) -> Appended:
        """Append while there is room."""
        if self.most == 0:
            raise Full
        self.most -= 1
        return super().append(stream, events, expected_version=expected_version, dispatches=dispatches)


@pytest.mark.parametrize("most", [1, 30, 47, 52, 59])
def test_a_fill_that_was_cut_short_goes_on(most: int) -> None:
    """Whichever append was the last, the next fill brings the journal to where one fill would have."""
    store = FailingStore(most)
    with pytest.raises(Full):
        fill(store, until=UNTIL, ordinary=10)
    store.most = -1
    fill(store, until=UNTIL, ordinary=10)
    assert wire(store) == wire(newly_filled(ordinary=10))


def test_the_number_of_ordinary_runs_is_as_asked() -> None:
    """Each is a stream of its own beside those of the stories."""
    ordinary = {
        e.stream for e in journal().read_all() if e.version == 1 and e.payload["sourceId"].startswith("ordinary-")
    }
    assert len(ordinary) == ORDINARY

"""A state as a tree, and the timeline it comes from."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from explorer import timelines
from explorer.queries.run_address import Address
from explorer.tree import tree as tree_of
from journal.domain.aggregate import fold
from journal.domain.look import Look
from journal.domain.run_state import RunState
from journal.store import get_store
from tests.coding_run import coding_run
from tests.run_pages import fresh_timelines, put_coding_run

if TYPE_CHECKING:
    from explorer.tree import Node

__all__ = ["fresh_timelines"]

pytestmark = pytest.mark.usefixtures("fresh_timelines")


class _Told:
    """A state that is what it is told to be."""

    version = 9

    def __init__(self, document: dict[str, Any], blame: dict[str, int]) -> None:
        self._document, self._blame = document, blame

    def to_json(self) -> dict[str, Any]:
        return self._document

    def blame(self) -> dict[str, int]:
        return self._blame


def tree(document: dict[str, Any], blame: dict[str, int]) -> tuple[Node, ...]:
    return tree_of(Look(_Told(document, blame)))  # type: ignore[arg-type]


def _nodes(nodes: tuple[Node, ...]) -> list[Node]:
    return [found for node in nodes for found in (node, *_nodes(node.children))]


def test_every_recorded_value_names_its_event() -> None:
    """A leaf that an event set carries the event's version; what nothing set is said to be not recorded."""
    state = {
        "stream": "s-1",
        "version": 9,
        "status": "running",
        "reason": None,
        "totals": {"decisions": 4, "cost_usd": None},
    }
    found = {node.name: node for node in _nodes(tree(state, {"/status": 1, "/totals/decisions": 8}))}
    assert (found["status"].text, found["status"].version) == ('"running"', 1)
    assert found["decisions"].version == 8
    assert (found["reason"].text, found["reason"].version) == ("not recorded", None)
    assert "version" not in found


def test_long_lists_show_their_newest_entries() -> None:
    """Of the context the last 20 items are shown, and the number of the others is known."""
    context = [{"version": version, "role": "tool"} for version in range(1, 101)]
    blame = {f"/context/{at}/{name}": at + 1 for at in range(100) for name in ("version", "role")}
    (node,) = tree({"context": context}, blame)
    assert (node.summary, node.hidden, len(node.children)) == ("100 items", 80, 20)
    assert (node.children[-1].name, node.children[-1].version) == ("99", 100)


def test_a_long_value_is_cut_with_its_size() -> None:
    """Text beyond what a line bears is cut, and says how much there is."""
    (node,) = tree({"prompt": "x" * 10_000}, {})
    assert len(node.text) < 310
    assert node.note == "300 of 10,002 characters"


def test_deep_states_end() -> None:
    """Nesting beyond six levels is shown as JSON: a page has an end."""
    value: object = "end"
    for _ in range(50):
        value = {"deeper": value}
    assert len(_nodes(tree({"latest": value}, {}))) < 10


def test_any_version_equals_the_fold_of_its_prefix(db: None) -> None:
    """States from the kept timeline, asked for in any order, are those of folding from the start."""
    stream = put_coding_run(250)
    events = list(get_store("default").read_stream(stream))
    for version in (250, 1, 120, 119, 121, 100, 250, 99):
        kept = timelines.state_at("default", stream, version)
        assert kept.to_json() == fold(stream, events[:version]).to_json()
        assert kept.blame() == fold(stream, events[:version]).blame()


def test_a_moment_is_one_query(db: None) -> None:
    """State before, event and recent events come from one read, also where the state is kept already."""
    stream = put_coding_run(250)
    for version in (230, 201, 201, 12):
        with CaptureQueriesContext(connection) as queries:
            moment = timelines.moment("default", stream, version, back=40)
        assert len(queries) == 1
        assert moment is not None
        assert (moment.event.version, moment.before.version) == (version, version - 1)
        recent = [event.version for event in moment.recent]
        assert recent == list(range(max(1, version - 40), version))


def test_a_moment_that_is_not_there_is_none(db: None) -> None:
    """Past the end of a stream, or without one, there is no moment."""
    assert timelines.moment("default", put_coding_run(30), 31, back=5) is None
    assert timelines.moment("default", "agent_run-none", 1, back=5) is None


def test_readers_at_once_get_their_own_states(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that ask one timeline for different versions each get theirs, and may change it."""
    events = {"agent_run-7": _recorded(150)}
    monkeypatch.setattr(timelines, "get_store", lambda _: _Store(events))
    with ThreadPoolExecutor(8) as pool:
        states = list(pool.map(lambda version: timelines.state_at("p", "agent_run-7", version), [*range(1, 151)] * 2))
    assert [state.version for state in states] == [*range(1, 151)] * 2
    assert all(isinstance(state, RunState) for state in states)


def test_the_least_used_run_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more runs are kept than the limit says, and the newest stay."""
    monkeypatch.setattr(timelines, "get_store", lambda _: _Store({}))
    for number in range(timelines.KEPT_RUNS + 5):
        timelines.state_at("p", f"agent_run-{number}", 0)
    assert len(timelines._kept) == timelines.KEPT_RUNS
    assert ("p", f"agent_run-{timelines.KEPT_RUNS + 4}") in timelines._kept


class _Store:
    def __init__(self, streams: dict[str, list]) -> None:  # type: ignore[type-arg]
        self._streams = streams

    def read_stream(self, stream: str, *, after: int = 0, until: int | None = None) -> list:  # type: ignore[type-arg]
        return [event for event in self._streams.get(stream, []) if after < event.version <= (until or 10**9)]


class _Counting(_Store):
    read = 0

    def read_stream(self, stream: str, *, after: int = 0, until: int | None = None) -> list:  # type: ignore[type-arg]
        found = super().read_stream(stream, after=after, until=until)
        self.read += len(found)
        return found


def _recorded(count: int) -> list:  # type: ignore[type-arg]
    from journal.store.memory import MemoryStore  # noqa: PLC0415 - the store of this test alone

    store = MemoryStore("p")
    store.append("agent_run-7", coding_run(count), expected_version=0)
    return list(store.read_stream("agent_run-7"))


def test_an_address_says_only_what_is_not_usual() -> None:
    """Defaults are left out, everything else is carried along and escaped."""
    plain = Address.of("agent_run-7", {"v": "23"})
    assert plain.at(24) == "/runs/agent_run-7/?v=24"
    assert plain.with_tab("state", 23) == "/runs/agent_run-7/?v=23&tab=state"
    busy = Address.of("agent_run-7", {"v": "23", "tab": "diff", "scrub": "tool:a b&c", "project": "other"})
    assert busy.at(5) == "/runs/agent_run-7/?v=5&tab=diff&scrub=tool%3Aa+b%26c&project=other"
    assert busy.event(5) == "/runs/agent_run-7/events/5/?project=other"


def test_an_address_that_makes_no_sense_is_the_usual_one() -> None:
    """Unknown tabs, ways of stepping and versions count as not said."""
    address = Address.of("agent_run-7", {"v": "x", "tab": "x", "scrub": "tool:"})
    assert (address.asked, address.tab, address.scrub) == (None, "explain", "all")


def test_a_step_folds_one_event_however_far_apart_the_kept_states_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a jump into a long run, the next step begins where the last one was, and a step back nearly so."""
    store = _Counting({"agent_run-7": _recorded(900)})
    monkeypatch.setattr(timelines, "get_store", lambda _: store)
    for version in (899, 200, 555):
        timelines.state_at("p", "agent_run-7", version)
    for version, most in ((556, 1), (557, 1), (540, 25), (556, 0), (200, 0)):
        store.read = 0
        assert timelines.state_at("p", "agent_run-7", version).version == version
        assert store.read <= most, version


def test_what_comes_after_is_read_along(db: None) -> None:
    """Events behind the cursor cost no query of their own, and change nothing in the state before it."""
    stream = put_coding_run(250)
    with CaptureQueriesContext(connection) as queries:
        moment = timelines.moment("default", stream, 100, back=10, ahead=60)
    assert len(queries) == 1
    assert moment is not None
    assert (moment.before.version, moment.after().version, moment.before.version) == (99, 100, 99)
    assert [event.version for event in moment.coming] == list(range(101, 161))


def test_an_import_leaves_snapshots(db: None) -> None:
    """The first reader of a long run begins at a snapshot, since bringing the list up to date has kept some."""
    from journal.models import Snapshot  # noqa: PLC0415 - of this test alone

    stream = put_coding_run(1_200)
    assert set(Snapshot.objects.filter(stream=stream).values_list("version", flat=True)) == {1_000}

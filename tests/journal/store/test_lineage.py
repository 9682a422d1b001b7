"""Lineage in the store: over all streams of a project, bounded, honest about what is missing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import networkx as nx
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from journal.domain.event import Cause
from journal.domain.lineage import Around
from journal.models import CauseRow
from journal.runtime.projection import catch_up, named
from journal.store import get_store, lineage
from tests.builders import event, identity, responded

_projects = iter(range(1_000_000))


def told(project: str, edges: list[tuple[int, int]], nodes: int) -> None:
    """Append an event per node, in two streams, each with its causes; a cause may come later or never."""
    store = get_store(project)
    for node in range(nodes):
        causes = tuple(Cause(id=identity((project, a)), kind="read") for a, b in edges if b == node)
        store.append(
            f"agent_run-{node % 2}",
            [event(responded(str(node)), id=identity((project, node)), causes=causes)],
            expected_version="any",
        )
    catch_up(named("causes"))


def in_reach(edges: list[tuple[int, int]], start: int, *, present: int) -> dict[int, int]:
    """Return the distance of what leads to `start`: a plain breadth-first search, the oracle of these tests.

    A node from `present` on is named by its effect only, and nothing is known of what led to it.
    """
    depths, waiting = {start: 0}, deque([start])
    while waiting:
        at = waiting.popleft()
        for cause in (a for a, b in edges if b == at < present):
            if cause not in depths:
                depths[cause] = depths[at] + 1
                waiting.append(cause)
    return depths


_edges = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=25, unique=True)


class TestWalks(TestCase):
    """Against a graph library, and against a plain search."""

    @given(_edges, st.integers(0, 7))
    def test_what_stands_around_an_event_is_what_a_plain_search_finds(
        self, edges: list[tuple[int, int]], target: int
    ) -> None:
        """One query gives every link of its ancestors, the missing ones, the totals, its effects and its siblings."""
        project = f"around-{next(_projects)}"
        told(project, edges, nodes=8)
        named = {identity((project, node)): node for node in range(10)}
        with CaptureQueriesContext(connection) as queries:
            found = lineage.around(project, identity((project, target)), below="count")
        assert len(queries) == 1
        above = in_reach(edges, target, present=8)
        below = in_reach([(b, a) for a, b in edges if b < 8], target, present=10)
        kept = {(a, b) for a, b in edges if b in above and b < 8}
        assert {(named[link.cause], named[link.effect]) for link in found.links} == kept
        assert found.reach == len(above) - 1
        assert {named[name] for name in found.missing} == {node for node in above if node >= 8}
        assert found.reach_below == len(below) - 1
        effects = [b for a, b in edges if a == target and b < 8]
        assert sorted(named[link.effect] for link in found.effects) == sorted(effects)
        assert found.effect_count == len(effects)
        self._siblings_are_of_one_cause(found, edges, target, named)

    def _siblings_are_of_one_cause(
        self, found: Around, edges: list[tuple[int, int]], target: int, named: dict[str, int]
    ) -> None:
        direct = [a for a, b in edges if b == target]
        siblings = [b for a, b in edges if direct and a == direct[0] and b not in (target, 8, 9)]
        assert sorted(named[link.effect] for link in found.siblings) == sorted(siblings)
        assert found.sibling_count == len(siblings)

    @given(_edges, st.integers(0, 7))
    def test_downwards_it_is_every_effect(self, edges: list[tuple[int, int]], target: int) -> None:
        """The same statement walks the other way."""
        project = f"below-{next(_projects)}"
        told(project, edges, nodes=8)
        named = {identity((project, node)): node for node in range(10)}
        found = lineage.around(project, identity((project, target)), below="read")
        kept = [(a, b) for a, b in edges if b < 8]
        below = in_reach([(b, a) for a, b in kept], target, present=10)
        assert {(named[link.cause], named[link.effect]) for link in found.below} == {
            (a, b) for a, b in kept if a in below
        }
        assert ({named[name] for name in found.nearest_below}, found.reach_below) == (set(below), len(below) - 1)

    @given(_edges, st.integers(0, 7))
    def test_a_walk_finds_what_a_graph_library_finds(self, edges: list[tuple[int, int]], target: int) -> None:
        """Cycles and diamonds included; nodes 8 and 9 are causes that were never recorded."""
        project = f"walk-{next(_projects)}"
        told(project, edges, nodes=8)
        graph = nx.DiGraph([(a, b) for a, b in edges if a < 8 and b < 8])
        graph.add_nodes_from(range(8))
        for direction, seen in (("up", graph.reverse()), ("down", graph)):
            walk = lineage.walk(project, identity((project, target)), direction=direction)  # type: ignore[arg-type]
            depths = nx.single_source_shortest_path_length(seen, target)
            assert walk.depths == {identity((project, node)): depth for node, depth in depths.items()}
            if direction == "up":
                lost = {a for a, b in edges if a >= 8 and b in depths}
                assert set(walk.missing) == {identity((project, node)) for node in lost}


@pytest.mark.django_db
def test_a_long_chain_costs_as_many_queries_as_a_short_one() -> None:
    """The recursion is the database's."""
    told("long", [(at, at + 1) for at in range(400)], nodes=401)
    with CaptureQueriesContext(connection) as queries:
        walk = lineage.walk("long", identity(("long", 400)), direction="up")
    assert (len(walk.depths), walk.cut) == (401, False)
    assert len(queries) <= 3


@pytest.mark.django_db
def test_a_walk_is_bounded_and_says_so() -> None:
    """The nearest events are kept."""
    told("long", [(at, at + 1) for at in range(40)], nodes=41)
    walk = lineage.walk("long", identity(("long", 40)), direction="up", most=10)
    assert (sorted(walk.depths.values()), walk.cut) == (list(range(10)), True)


@pytest.mark.django_db
def test_a_cause_longer_than_an_id_is_cut_to_the_column() -> None:
    """It is none of the journal's events, and no database refuses it."""
    store = get_store("odd")
    store.append("agent_run-0", [event(responded("a"), id=identity("a"), causation_id="x" * 90)], expected_version=0)
    catch_up(named("causes"))
    found = lineage.around("odd", identity("a"))
    assert [link.cause for link in found.links] == ["x" * 36]
    assert found.missing == {"x" * 36}


@pytest.mark.django_db
def test_links_stay_within_their_project() -> None:
    """The same ids in another project are other events."""
    told("ours", [(0, 1)], nodes=2)
    assert CauseRow.objects.filter(project="theirs").count() == 0
    assert lineage.walk("theirs", identity(("ours", 1)), direction="up").links == ()


def put_links(project: str, edges: list[tuple[Any, Any]]) -> None:
    """Put links where the projection would put them, in the order given."""
    CauseRow.objects.bulk_create(
        CauseRow(project=project, cause=cause, effect=effect, kind="triggered", certainty="recorded")
        for cause, effect in ((identity((project, a)), identity((project, b))) for a, b in edges)
    )


@pytest.mark.django_db
@pytest.mark.parametrize("size", [200, 2_000])
def test_around_is_bounded_at_any_length_and_fan_out(size: int) -> None:
    """A chain, thousands of causes of one event, thousands of effects: one query, few rows, totals that say "more"."""
    told("wide", [(0, 1)], nodes=2)
    edges: list[tuple[Any, Any]] = [(f"up {at + 1}", f"up {at}") for at in range(size)] + [("up 0", 1)]
    edges += [(f"in {at}", 1) for at in range(size)] + [(1, f"out {at}") for at in range(size)]
    edges += [(0, f"side {at}") for at in range(size)]
    put_links("wide", edges)
    with CaptureQueriesContext(connection) as queries:
        found = lineage.around("wide", identity(("wide", 1)), below="count")
    assert len(queries) == 1
    assert len(found.links) <= 600
    assert (len(found.effects), len(found.siblings)) == (lineage.SIDES, lineage.SIDES // 2)
    more = lineage.COUNTED + 1
    assert (found.reach, found.reach_below) == (min(2 * size + 2, more), min(size, more))
    assert (found.effect_count, found.sibling_count) == (min(size, more), min(size, more))


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "sqlite", reason="counts the steps of SQLite's machine")
def test_an_event_with_very_many_effects_costs_no_more_than_one_with_many() -> None:
    """Fifty thousand direct effects are as much work as five thousand: what is counted stops far below either."""
    steps = []
    for project, effects in (("many", 5_000), ("very many", 50_000)):
        told(project, [], nodes=1)
        put_effects(project, effects)
        steps.append(steps_of(partial(lineage.around, project, identity((project, 0)), below="read")))
    assert steps[1] <= 1.1 * steps[0]


def put_effects(project: str, effects: int) -> None:
    """Put so many direct effects of the first event in, all at once."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO journal_cause (generation, project, cause, effect, kind, certainty)"
            " WITH RECURSIVE made(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM made WHERE n < %s)"
            " SELECT 0, %s, %s, 'effect ' || n, 'triggered', 'recorded' FROM made",
            [effects, project, identity((project, 0))],
        )


def steps_of(do: Callable[[], object]) -> int:
    """Return how many steps SQLite's machine takes for something, in hundreds."""
    counted = 0

    def count() -> None:
        nonlocal counted
        counted += 1

    connection.connection.set_progress_handler(count, 100)
    try:
        do()
    finally:
        connection.connection.set_progress_handler(None, 0)
    return counted


@pytest.mark.django_db
def test_siblings_are_those_nearest_in_the_order_of_recording() -> None:
    """Some before the event and some after it, of an event that many were caused by."""
    told("side", [(0, node) for node in range(1, 40)], nodes=40)
    found = lineage.around("side", identity(("side", 20)))
    half = lineage.SIDES // 2
    wanted = [*range(20 - half, 20), *range(21, 21 + half)]
    assert [link.effect for link in found.siblings] == [identity(("side", node)) for node in wanted]
    assert found.sibling_count == 38


@pytest.mark.django_db
def test_around_says_how_far_links_are_known() -> None:
    """Of an event behind that position nothing can be said yet."""
    told("far", [(0, 1)], nodes=2)
    late = identity("late")
    store = get_store("far")
    store.append("agent_run-0", [event(responded("late"), id=late)], expected_version="any")
    assert lineage.around("far", late).read_until < store.event(late).position
    catch_up(named("causes"))
    assert lineage.around("far", late).read_until == store.event(late).position

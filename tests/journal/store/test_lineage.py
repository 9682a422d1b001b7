"""Lineage in the store: over all streams of a project, bounded, honest about what is missing."""

from __future__ import annotations

import networkx as nx
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from journal.domain.event import Cause
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


class TestWalks(TestCase):
    """Against a graph library."""

    @given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=25, unique=True), st.integers(0, 7))
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
def test_links_stay_within_their_project() -> None:
    """The same ids in another project are other events."""
    told("ours", [(0, 1)], nodes=2)
    assert CauseRow.objects.filter(project="theirs").count() == 0
    assert lineage.walk("theirs", identity(("ours", 1)), direction="up").links == ()

"""Walks over causes, against networkx as the oracle."""

from __future__ import annotations

from collections import deque

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from journal.domain.event import Cause
from journal.domain.lineage import CausalLink, ancestors, causes_of, cycles, descendants
from tests.builders import reasoned, recorded, started

_edges = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=40, unique=True)


def links(edges: list[tuple[int, int]]) -> list[CausalLink]:
    """Return links from each first to each second."""
    return [CausalLink(cause=str(a), effect=str(b), kind="triggered", certainty="recorded") for a, b in edges]


@given(_edges, st.integers(0, 12))
def test_ancestors_are_those_a_graph_library_finds_cycles_included(edges: list[tuple[int, int]], target: int) -> None:
    """Up and down, and with distances, the walk agrees with networkx."""
    graph = nx.DiGraph(edges)
    graph.add_nodes_from(range(13))
    present = frozenset(map(str, range(13)))
    up = ancestors(str(target), links(edges), present=present, most=100)
    assert up.depths == {str(n): d for n, d in nx.single_source_shortest_path_length(graph.reverse(), target).items()}
    down = descendants(str(target), links(edges), present=present, most=100)
    assert set(down.depths) == {str(target), *map(str, nx.descendants(graph, target))}


def test_a_cause_the_journal_does_not_hold_is_named_as_missing() -> None:
    """The chain breaks off there, and says so."""
    walk = ancestors("2", links([(1, 2), (0, 1)]), present=frozenset("12"), most=10)
    assert (list(walk.depths), walk.missing, walk.cut) == (["2", "1"], ("0",), False)


def test_a_bound_cuts_the_walk_and_says_so() -> None:
    """The nearest events are kept."""
    walk = ancestors("3", links([(2, 3), (1, 2), (0, 1)]), present=frozenset("0123"), most=2)
    assert (list(walk.depths), walk.cut) == (["3", "2"], True)


def test_the_direct_cause_comes_first_and_its_kind_is_told_by_the_event() -> None:
    """A decision answers a response; what else it rests on follows with its own kind."""
    other = Cause(id="b", kind="quoted", certainty="inferred")
    (event,) = recorded([reasoned()], causation_id="a", causes=(other,))
    assert causes_of(event) == (Cause(id="a", kind="answers"), other)
    (first,) = recorded([started()])
    assert causes_of(first) == ()


def test_a_direct_cause_that_is_named_with_its_kind_keeps_it() -> None:
    """It stands once, and first."""
    direct, other = Cause(id="a", kind="authorised"), Cause(id="b", kind="read")
    (event,) = recorded([reasoned()], causation_id="a", causes=(other, direct))
    assert causes_of(event) == (direct, other)


def reached(start: int, edges: list[tuple[int, int]]) -> set[int]:
    """Return what some events lead to, one step and more: a plain search over a dict, the oracle of cycles."""
    after: dict[int, list[int]] = {}
    for cause, effect in edges:
        after.setdefault(cause, []).append(effect)
    seen: set[int] = set()
    waiting = deque(after.get(start, ()))
    while waiting:
        at = waiting.popleft()
        if at not in seen:
            seen.add(at)
            waiting.extend(after.get(at, ()))
    return seen


@given(_edges)
def test_each_knot_of_events_that_lead_to_each_other_is_named_once(edges: list[tuple[int, int]]) -> None:
    """By a way round of real links; an event stands in one exactly where it leads back to itself through others."""
    found = cycles(links(edges))
    for way in found:
        steps = {(int(a), int(b)) for a, b in zip(way, (*way[1:], way[0]), strict=True)}
        assert steps <= set(edges)
        assert len(set(way)) == len(way)
    knots = {frozenset(other for other in reached(node, edges) if node in reached(other, edges)) for node in range(13)}
    assert len(found) == len(knots - {frozenset()})
    assert all(any(set(map(int, way)) <= knot for knot in knots) for way in found)


def test_a_long_chain_has_no_cycle_and_needs_no_recursion() -> None:
    """Thousands of links in a row, and the same closed to a ring."""
    chain = [(at, at + 1) for at in range(5_000)]
    assert cycles(links(chain)) == ()
    assert [len(way) for way in cycles(links([*chain, (5_000, 0)]))] == [5_001]

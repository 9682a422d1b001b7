"""What the projection keeps of a run beside its rows: its course in buckets, its pauses, its verdicts."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.gaps import LEAST_US, counted, idle_after_us
from explorer.layout import BUCKETS, MARKS
from explorer.models import EventLine, RunMap, RunSummary
from explorer.queries.run_lines import marks_of
from explorer.run_map import MOST, grown
from explorer.run_map import marks_of as marks_in
from explorer.verdicts import noted, verdicts_of
from journal.domain import agent_run as run
from tests import builders
from tests.run_pages import fresh_timelines, put, put_coding_run, reader

__all__ = ["fresh_timelines", "reader"]

SECOND = 1_000_000


@dataclass
class Seen:
    """An event as far as the map and the pauses look at it."""

    version: int
    kind: str = "reasoned"
    context_bytes: int = 0
    occurred_us: int = 0
    time_known: bool = True


@given(st.lists(st.sampled_from(["reasoned", "tool_failed", "odd"]), max_size=40), st.integers(0, 40))
def test_a_map_grows_as_if_it_were_made_at_once(kinds: list[str], cut: int) -> None:
    """However the events came in batches."""
    lines = [Seen(version=at, kind=kind, context_bytes=at % 7) for at, kind in enumerate(kinds, 1)]
    assert grown(grown({}, lines[:cut]), lines[cut:]) == grown({}, lines)


@pytest.mark.parametrize("events", [1, MARKS, MARKS + 1, MOST, MOST + 1, 10_000])
def test_a_map_stays_small_and_counts_all(events: int) -> None:
    """At most 1,200 buckets are kept and as many columns drawn as a minimap has; every event is in one of them."""
    kept = grown({}, [Seen(version=at, kind="odd" if at == 7 else "reasoned") for at in range(1, events + 1)])
    assert len(kept["context"]) <= MOST
    marks = marks_in(kept, events)
    assert sum(mark.count for mark in marks) == events
    assert {mark.bucket for mark in marks} <= set(range(max(BUCKETS, MARKS)))
    assert len(marks) <= max(BUCKETS, MARKS) + 1


def test_a_bucket_knows_its_largest_context() -> None:
    """Also when two have become one."""
    kept = grown({}, [Seen(version=at, context_bytes=at) for at in range(1, MOST + 2)])
    assert kept["every"] == 2
    assert kept["context"][0] == 2
    assert kept["context"][-1] == MOST + 1


def test_pauses_count_as_idle_by_the_run_s_own_pace() -> None:
    """Five times the median, and half a minute at least; without two times that are known nothing is idle."""
    quick = [Seen(version=at, occurred_us=at * SECOND) for at in range(20)]
    slow = [Seen(version=at, occurred_us=at * 60 * SECOND) for at in range(20)]
    assert idle_after_us(counted({}, quick)) == LEAST_US
    assert 4 * 60 * SECOND < (idle_after_us(counted({}, slow)) or 0) < 10 * 60 * SECOND
    assert counted(counted({}, quick[:7]), quick[7:]) == counted({}, quick)
    assert idle_after_us(counted({}, [Seen(version=1), Seen(version=2, time_known=False)])) is None


def test_a_later_verdict_of_a_rule_on_the_same_event_counts() -> None:
    """Rules that fail anywhere do not hold; an outcome is no rule; other words are neither."""
    kept: list[object] = []
    for version, graded in enumerate(
        [
            run.Graded(rule="read-before-edit", verdict="holds", at_version=23),
            run.Graded(rule="read-before-edit", verdict="fails", at_version=23),
            run.Graded(rule="read-before-edit", verdict="fails", at_version=9),
            run.Graded(rule="cost-under-10", verdict="holds"),
            run.Graded(rule="style", verdict="partly"),
            run.Graded(rule="outcome", verdict="failure"),
        ],
        start=30,
    ):
        kept = noted(kept, graded, version)
    found = verdicts_of(kept)
    assert [(verdict.rule, verdict.version) for verdict in found.fails] == [
        ("read-before-edit", 9),
        ("read-before-edit", 23),
    ]
    assert (found.holds, found.others, found.later) == (1, 1, 1)


@pytest.mark.django_db
@pytest.mark.usefixtures("fresh_timelines")
def test_the_projection_keeps_map_pauses_and_verdicts() -> None:
    """All events of a run are in its map; a verdict's rule and event are with its summary."""
    stream = put_coding_run(60)
    kept = RunSummary.objects.get(stream=stream)
    assert sum(sum(counts) for counts in RunMap.objects.get(run=kept).data["kinds"].values()) == 60
    assert sum(mark.count for mark in marks_of(kept.pk, kept.events)) == EventLine.objects.filter(run=kept).count()
    assert sum(kept.gaps["counts"]) == 59
    graded = run.Graded(rule="no-loop", verdict="fails", at_version=1)
    put("agent_run-graded", [builders.event(builders.started()), builders.event(graded)])
    assert RunSummary.objects.get(stream="agent_run-graded").verdicts == [["no-loop", "fails", 1, 2]]

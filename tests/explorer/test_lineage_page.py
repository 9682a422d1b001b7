"""The lineage page and the walk to the input: whole graphs, grouped where they are large, honest where they break."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from explorer.models import EventLine
from explorer.queries.answer_walk import story
from explorer.queries.lineage import NODES, groups_of, lineage_page
from explorer.queries.run_address import Address
from journal.domain import agent_run as run
from journal.domain.event import Cause, EventData
from journal.store import get_store
from tests.builders import event, identity, reasoned, responded, returned, started
from tests.coding_run import EDIT_AT
from tests.run_pages import fresh_timelines, links, page, part, put, put_coding_run, reader, words

if TYPE_CHECKING:
    from django.test import Client

__all__ = ["fresh_timelines", "reader"]


def told(name: object, data: object = None, *, by: object = None, reads: object = None) -> EventData:
    """Return an event with a name for its id."""
    causes = (Cause(id=identity(reads), kind="read", certainty="inferred"),) if reads else ()
    return event(
        data or responded(str(name)),  # type: ignore[arg-type]
        id=identity(name),
        causation_id=identity(by) if by else None,
        causes=causes,
    )


def rows(html: str) -> list[str]:
    """Return what the list says, row by row."""
    return [words(row) for row in re.findall(r'<li class="graph-row.*?</li>', html, re.DOTALL)]


def test_the_list_says_what_the_drawing_shows_in_both_directions(reader: Client) -> None:
    """A row for each node with its links in words, in the journal's order; the event itself is marked."""
    stream = put_coding_run()
    html = page(reader, f"/runs/{stream}/events/{EDIT_AT}/lineage/")
    drawing = part(html, '<svg class="graph-drawing"', "</svg>")
    assert drawing.count("<use ") == len(rows(html)) > 20
    assert 'aria-hidden="true"' in drawing[: drawing.index(">")]
    own = part(html, '<li class="graph-row is-cursor"', "</li>")
    assert 'aria-current="true"' in own
    assert f"event {EDIT_AT}" in words(own)
    causes = page(reader, f"/runs/{stream}/events/{EDIT_AT}/lineage/?dir=back")
    effects = page(reader, f"/runs/{stream}/events/{EDIT_AT}/lineage/?dir=forward")
    assert len(rows(causes)) + len(rows(effects)) == len(rows(html)) + 1


def test_a_chain_leads_through_other_runs_and_says_so(reader: Client) -> None:
    """The row names the run, and its links lead there."""
    put(
        "agent_run-p",
        [told("p1", started()), told("p2", run.HandedOff(to_agent="b", child_run="agent_run-q"), by="p1")],
    )
    put("agent_run-q", [told("q1", started(parent_run="agent_run-p"), by="p2"), told("q2", run.Answered(), by="q1")])
    html = page(reader, "/runs/agent_run-q/events/2/lineage/?dir=back")
    assert "3 events led to 2." in words(html)
    assert "through 2 runs" in words(html)
    assert "spawned by 2 of another run" in rows(html)[2]
    assert "/runs/agent_run-p/?v=2" in links(html)
    assert "/runs/agent_run-p/events/2/lineage/" in links(html)


def test_broken_chains_are_drawn_as_broken(reader: Client) -> None:
    """No cause recorded, a cause that the journal does not hold, and a circle: each has its words."""
    put("agent_run-x", [told("x1", started()), told("x2"), told("x3", by="nobody"), told("x4", by="x2", reads="x3"),
                        told("x5", by="x6"), told("x6", by="x5")])  # fmt: skip
    html = page(reader, "/runs/agent_run-x/events/4/lineage/")
    said = rows(html)
    assert "no causation id recorded" in said[0]
    assert "the event it names is not in this journal" in said[1]
    assert "triggered by 2, reads 3 (inferred)" in said[2]
    assert 'class="arc arc-stub"' in html
    assert "1 event that are named as causes" not in words(html)
    assert "1 of them inferred on import" in words(html)
    assert "5 → 6 → 5 go round in a circle." in words(page(reader, "/runs/agent_run-x/events/5/lineage/"))


def test_a_large_graph_is_grouped_and_counts_what_it_groups(reader: Client) -> None:
    """At most 300 nodes; what is linked to the event directly stands alone; the counts add up; queries are bounded."""
    events = [told("g1", started())]
    for at in range(200):
        events += [told(f"d{at}", reasoned("grep"), by="g1" if at < 3 else f"t{at - 1}"),
                   told(f"t{at}", returned("x", tool="grep"), by=f"d{at}")]  # fmt: skip
    put("agent_run-g", events)
    with CaptureQueriesContext(connection) as queries:
        found = lineage_page("default", Address(stream="agent_run-g"), 1)
    assert found is not None
    assert len(queries) <= 12
    assert found.is_grouped
    assert len(found.rows) <= NODES
    assert sum(row.count for row in found.rows) == 401
    direct = {row.line.event_id for row in found.rows if row.count == 1}
    assert {identity(f"d{at}") for at in range(3)} <= direct
    said = words(page(reader, "/runs/agent_run-g/events/1/lineage/"))
    assert re.search(r"401 events in [\d]+ nodes", said)
    assert re.search(r"\d+ tool results of grep, events \d+ to \d+", said)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from(("reasoned", "tool_returned", "answered"))), max_size=60),
    st.integers(8, 40),
    st.sets(st.integers(0, 6), max_size=4),
)
def test_groups_are_a_partition_and_fit(lines: list[tuple[int, str]], most: int, alone: set[int]) -> None:
    """Every event is in one group, no group is empty, those that stand alone do, and there are at most so many."""
    made = [
        EventLine(run_id=run_id, kind=kind, version=at + 1, event_id=str(at), tool="")
        for at, (run_id, kind) in enumerate(lines)
    ]
    groups, is_grouped = groups_of(made, {str(at) for at in alone}, most=most)
    assert sorted(int(line.event_id) for group in groups for line in group) == list(range(len(lines)))
    assert all(groups)
    assert len(groups) <= most or len(groups) <= 6 + len(alone)
    assert is_grouped == any(len(group) > 1 for group in groups) or len(made) > most
    assert all(len(group) == 1 for group in groups if int(group[0].event_id) in alone)


# --- The walk from an answer to its input -----------------------------------------------------------------------------


def complained(policy: str = "Goods may be returned within 14 days.") -> str:
    """Put a run in place whose answer states three figures: the user's, the policy's, and one of its own."""
    return put(
        "agent_run-w",
        [
            told("w1", started(prompt="May I send it back after 20 days?")),
            told("w2", run.MessageReceived(role="user", content="May I send it back after 20 days?"), by="w1"),
            told("w3", run.ModelCalled(), by="w2"),
            told("w4", responded("I will look."), by="w3"),
            told("w5", reasoned("read_policy"), by="w4"),
            told("w6", returned(policy, tool="read_policy"), by="w5"),
            told(
                "w7", run.Answered(response="After 20 days no: we allow 14 days, and keep 7.5 %."), by="w6", reads="w2"
            ),
        ],
    )


def test_the_walk_tells_each_step_from_the_input_to_the_answer(reader: Client) -> None:
    """Numbered, with what each rests on; requests are told by what answered them."""
    complained()
    found = story("default", "agent_run-w", 7)
    assert found is not None
    assert [(step.number, step.line.version, step.links) for step in found.steps] == [
        (1, 1, ""), (2, 2, "1"), (3, 4, "2"), (4, 5, "3"), (5, 6, "4"), (6, 7, "2 (inferred), 5"),
    ]  # fmt: skip
    assert found.asked is not None
    assert found.asked.role == "The user said"
    html = page(reader, "/runs/agent_run-w/events/7/walk/")
    assert "Of 3 figures in 7, 1 stands in nothing that led to it." in words(html)
    assert "In its own words" in words(html)


def test_what_the_answer_states_is_looked_up_in_what_led_to_it(db: None) -> None:
    """By the first step that had it; a figure within a longer one is another."""
    complained("Goods may be returned within 14 days. Case 1475, 17.5 %")
    found = story("default", "agent_run-w", 7)
    assert found is not None
    assert [(one.text, one.step.number if one.step else None, one.also) for one in found.figures] == [
        ("20", 1, 1), ("14", 5, 0), ("7.5", None, 0),
    ]  # fmt: skip


def test_the_walk_is_copied_as_markdown_without_obeying_it(reader: Client) -> None:
    """Recorded text stands in fences; what ends the story says whether anybody has judged."""
    complained("# Not a heading\n```\nnor [a link](http://x) <b>14</b>")
    answer = reader.get("/runs/agent_run-w/events/7/walk/markdown/")
    text = b"".join(answer).decode()
    assert text.startswith("# How event 7 of “May I send it back after 20 days?” came about")
    assert "## 5. A tool answered (event 6)" in text
    assert "````\n# Not a heading" in text
    assert text.rstrip().endswith("Nobody has given a verdict yet.")


@pytest.mark.parametrize("steps", [30, 120])
def test_a_long_story_costs_as_many_queries_and_says_what_it_leaves_out(db: None, steps: int) -> None:
    """Inputs and the nearest steps are told, the rest is counted."""
    events = [told("s1", started(prompt="Go"))]
    events += [told(f"s{at}", returned(f"part {at}"), by=f"s{at - 1}") for at in range(2, steps)]
    put("agent_run-s", [*events, told("end", run.Answered(response="Part 7 of 9000"), by=f"s{steps - 1}")])
    with CaptureQueriesContext(connection) as queries:
        found = story("default", "agent_run-s", steps)
    assert found is not None
    assert len(queries) <= 9
    assert found.steps[0].line.version == 1
    assert len(found.steps) + found.untold == steps
    assert get_store("default").stream_version("agent_run-s") == steps

"""The Causes tab: what led to an event and what it led to, with where that breaks off, over all runs of a project."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from explorer.models import EventLine, RunSummary
from explorer.queries import run_causes
from journal.domain import agent_run as run
from journal.domain.event import Cause, EventData
from journal.ingest.files import find
from journal.ingest.importer import Importer
from journal.runtime.projection import catch_up_all
from journal.store import get_store
from tests import builders
from tests.builders import event, identity
from tests.coding_run import EDIT_AT
from tests.run_pages import address, fresh_timelines, links, page, part, put, put_coding_run, reader, words

if TYPE_CHECKING:
    from django.test import Client

__all__ = ["fresh_timelines", "reader"]

TRAJECTORIES = Path(__file__).resolve().parents[3] / "shared" / "data" / "trajectories"


def told(name: str, data: object = None, *, by: str | None = None, **causes: str) -> EventData:
    """Return an event with a name for its id; `causes` are names by kind."""
    others = tuple(Cause(id=identity(cause), kind=kind) for kind, cause in causes.items())  # type: ignore[arg-type]
    return event(
        data or builders.responded(name),  # type: ignore[arg-type]
        id=identity(name),
        causation_id=identity(by) if by else None,
        causes=others,
    )


def chain(length: int, *, stream: str = "agent_run-long") -> str:
    """Put a run in which each event was caused by the one before it."""
    events = [told("1", builders.started())]
    return put(stream, events + [told(str(at), by=str(at - 1)) for at in range(2, length + 1)])


def causes(html: str) -> str:
    """Return what the tab says."""
    return words(part(html, '<section class="causes"', "</section>"))


def listed(html: str) -> set[str]:
    """Return where the rows of the list lead."""
    return set(links(part(html, '<ol class="graph-rows">', "</ol>")))


def rows(html: str) -> list[str]:
    """Return what the list says, row by row and heading by heading."""
    return [words(row) for row in re.findall(r"<li class=\"graph-.*?</li>", html, re.DOTALL)]


def test_the_list_says_what_the_drawing_shows(reader: Client) -> None:
    """Each event of the drawing has its row, with the same link; kinds and certainty are words."""
    html = page(reader, address(put_coding_run(), EDIT_AT, tab="causes"))
    drawing = part(html, '<svg class="graph-drawing"', "</svg>")
    listed = part(html, '<ol class="graph-rows">', "</ol>")
    shown = re.findall(r'class="vmark" href="([^"]*)"', listed)
    assert re.findall(r'<a href="([^"]*)"', drawing) == shown
    assert len(shown) == drawing.count("<use ") > 10
    assert "reads 16, quotes 20, triggered by 20" in words(listed)
    assert 'aria-hidden="true"' in drawing[: drawing.index(">")]
    assert drawing.count('tabindex="-1"') == len(shown)


def test_effects_and_siblings_follow_the_causes(reader: Client) -> None:
    """Under the event stand its direct effects, and beside it the other effects of its cause."""
    put("agent_run-wide", [
        told("asked", builders.started()),
        told("answer", by="asked"),
        told("one", builders.reasoned(call_id="k1"), by="answer"),
        told("two", builders.reasoned(call_id="k2"), by="answer"),
        told("done", builders.returned(call_id="k2"), by="two"),
    ])  # fmt: skip
    shown = rows(page(reader, address("agent_run-wide", 4, tab="causes")))
    heads = [row.split(" shown")[0] for row in shown if not row[0].isdigit() and "event" not in row[:12]]
    assert heads == ["Direct effects of 4 Show all effects", "Beside 4: other effects of 2"]
    assert [re.search(r"event (\d+)", row)[1] for row in shown if "event " in row[:24]] == ["1", "2", "4", "5", "3"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([told("a", builders.started()), told("b")], "No causation id is recorded: nothing is known"),
        ([told("a", builders.started()), told("b"), told("c", by="b")], "no causation id recorded"),
        ([told("a", builders.started()), told("b", by="lost")], "the event it names is not in this journal"),
        ([told("a", builders.started()), told("b", by="a", read="lost")], f"an event {identity('lost')}"),
        ([told("a", builders.started()), told("b", by="c"), told("c", by="b")], "2 → 3 → 2 go round in a circle."),
        ([told("a", builders.started()), told("b", by="a")], "Every chain leads back to where its run begins."),
    ],
    ids=["nothing known", "breaks off", "missing", "one of two missing", "circle", "complete"],
)
def test_where_a_chain_ends_is_said_in_words(reader: Client, events: list[EventData], said: str) -> None:
    """What is not known, not here, or goes round has its reason under the drawing, and a stub in it."""
    html = page(reader, address(put("agent_run-end", events), len(events), tab="causes"))
    assert said in causes(html)
    assert ("arc-stub" in html) == ("circle" not in said and "Every chain" not in said)


def test_a_long_chain_is_cut_and_leads_on(reader: Client) -> None:
    """The nearest events are drawn; how many there are is said, and where to go on."""
    html = page(reader, address(chain(200), 199, tab="causes", dir="back"))
    assert "Cut at 59 of 198: the nearest are drawn. Walk on from event 140" in causes(html)
    assert "1 cause not drawn" in causes(html)
    assert html.count('<li class="graph-row') == run_causes.MOST
    assert "Causes 198" in words(part(html, 'aria-label="Direction"', "</nav>"))


def test_the_way_down_is_drawn_too(reader: Client) -> None:
    """`dir=forward` shows everything the event led to, nearest first; `depth` says how far."""
    stream = chain(200)
    html = page(reader, address(stream, 2, tab="causes", dir="forward"))
    assert "Cut at 59 of 198" in causes(html)
    assert "Everything that 2 led to · 59 of 198 shown" in causes(html)
    assert "Walk on from event 61" in causes(html)
    near = page(reader, address(stream, 2, tab="causes", dir="forward", depth=3))
    assert [re.search(r"event (\d+)", row)[1] for row in rows(near) if "event " in row[:24]] == ["2", "3", "4", "5"]  # type: ignore[index]
    back = page(reader, address(stream, 50, tab="causes", dir="back", depth=2))
    assert "Cut 2 links above 50, as the address asks." in causes(back)


def test_causes_lead_into_other_runs_and_back(reader: Client) -> None:
    """An event of another run stands in the drawing with a link to that run at that event."""
    put(
        "agent_run-up",
        [told("plan", builders.started()), told("hand", run.HandedOff(child_run="agent_run-sub"), by="plan")],
    )
    put("agent_run-sub", [told("begin", builders.started(), spawned="hand"), told("think", by="begin")])
    html = page(reader, address("agent_run-sub", 2, tab="causes"))
    assert "spawned by 2 of another run" in causes(html)
    assert "It leads through 1 other run." in causes(html)
    assert {"/runs/agent_run-up/?v=2", "/runs/agent_run-up/?v=1"} <= set(
        links(part(html, '<ol class="graph-rows">', "</ol>"))
    )
    above = page(reader, address("agent_run-up", 2, tab="causes"))
    assert 'href="/runs/agent_run-sub/?v=1"' in above


def test_a_key_offers_every_direct_cause_and_effect(reader: Client) -> None:
    """The recorded direct cause comes first, a reading after it; one way alone needs no choice."""
    stream = put("agent_run-choice", [
        told("first", builders.started()),
        told("seen", builders.returned(), by="first"),
        told("said", by="first", read="seen"),
        told("left", builders.reasoned(call_id="k1"), by="said"),
        told("right", builders.reasoned(call_id="k2"), by="said"),
    ])  # fmt: skip
    html = page(reader, address(stream, 3))
    back = part(html, 'id="choices-cause"', "</ol>")
    assert [link for link in links(back) if "v=" in link] == [address(stream, 1), address(stream, 2)]
    assert "triggered by" in words(back)
    forward = part(html, 'id="choices-effect"', "</ol>")
    assert [link for link in links(forward) if "v=" in link] == [address(stream, 4), address(stream, 5)]
    assert "choices-cause" not in page(reader, address(stream, 4))


def test_the_drawing_holds_no_recorded_text(reader: Client) -> None:
    """Whatever events are called, nothing of theirs gets into the SVG unescaped."""
    hostile = "<script>alert(1)</script>"
    odd = "</svg><img src=x>"
    events = [told("a", builders.started(prompt=hostile)), told("b", builders.reasoned(tool=odd), by="a")]
    html = page(reader, address(put("agent_run-odd", [*events, told("c", by=odd)]), 2, tab="causes"))
    drawing = part(html, '<svg class="graph-drawing"', "</svg>")
    assert "script" not in drawing
    assert "<img" not in html
    assert drawing.count("<use") == 2


@pytest.mark.parametrize("turn", ["", "back", "forward"])
def test_the_fragment_is_what_the_page_shows(reader: Client, turn: str) -> None:
    """A move of the cursor gives the very panel of the whole page."""
    query = {"tab": "causes", **({"dir": turn} if turn else {})}
    where = address(put_coding_run(), EDIT_AT, **query)
    whole, moved = page(reader, where), page(reader, where + "&part=cursor", is_move=True)
    panel = part(whole, '<section class="causes"', "</section>")
    assert part(moved, '<section class="causes"', "</section>") == panel


def test_the_chain_of_an_event_can_be_stepped_through(reader: Client) -> None:
    """Its versions are rows of the list, its own is the last, and a bound keeps the nearest."""
    stream = put_coding_run()
    found = RunSummary.objects.get(stream=stream)
    line = EventLine.objects.get(run=found, version=EDIT_AT)
    with CaptureQueriesContext(connection) as queries:
        versions, is_cut = run_causes.chain_versions(found, line)
    assert (len(queries), versions[-3:], is_cut) == (1, (20, 22, EDIT_AT), False)
    assert list(versions) == sorted(set(versions))
    assert not EventLine.objects.filter(run=found, version__in=versions, folded_into__isnull=False).exists()
    nearest, is_cut = run_causes.chain_versions(found, line, most=4)
    assert (nearest[-1], is_cut, len(nearest) <= 5) == (EDIT_AT, True, True)


def test_links_that_are_not_read_yet_are_not_called_missing(reader: Client) -> None:
    """Where lists are ahead of causes, the tab says how far those are read."""
    from journal.models import Checkpoint  # noqa: PLC0415 - a state that only a moment between two projections has

    stream = put("agent_run-ahead", [told("a", builders.started()), told("b", by="a"), told("c")])
    Checkpoint.objects.filter(name="causes").update(position=EventLine.objects.get(version=2).position)
    said = causes(page(reader, address(stream, 3, tab="causes")))
    assert "its causes are not read yet" in said
    assert "no causation id recorded" not in said


def test_a_session_with_sub_agents_is_walked_across_its_runs(reader: Client) -> None:
    """From a sub-agent's first event the causes of a real session lead into the run that started it, and back."""
    folder = TRAJECTORIES / "claude-code/vscode-copilot-chat"
    if not folder.is_dir():
        pytest.skip(f"there are no sessions at {folder}")
    Importer(store=get_store("default")).run(find([str(folder)]))
    catch_up_all()
    child = RunSummary.objects.exclude(parent_run="").filter(events__gt=1).first()
    assert child is not None, "no session of this folder has a sub-agent"
    html = page(reader, address(child.stream, 1, tab="causes"))
    assert "of another run" in causes(html)
    above = [
        link for link in links(part(html, '<ol class="graph-rows">', "</ol>")) if f"/runs/{child.parent_run}/" in link
    ]
    assert above
    parent = page(reader, f"{above[-1]}&tab=causes")
    assert f"/runs/{child.stream}/" in part(parent, '<ol class="graph-rows">', "</ol>")

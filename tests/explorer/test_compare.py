"""Two runs side by side in the browser: where they part, folded stretches, states, totals, and ways there."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from journal.runtime import comparing
from tests.builders import event, reasoned, responded, returned, started
from tests.coding_run import coding_run
from tests.run_pages import fresh_timelines, page, put, reader, signed_in, words

__all__ = ["fresh_timelines", "reader"]

A, B = "agent_run-a", "agent_run-b"
HOSTILE = "<img src=x onerror=alert(1)>\u202e"


def put_both(events: int = 200, *, project: str = "default") -> None:
    """Put two runs into the journal that are the same until 20."""
    put(A, coding_run(events, stream=A), project=project)
    other = [
        *coding_run(events, stream=B)[:20],
        event(responded("Read it.")),
        event(reasoned("read_file", path="b.py")),
    ]
    put(B, [*other, event(returned("text"))], project=project)


@pytest.fixture
def both(reader: Client) -> Client:
    """Return a reader of two runs."""
    put_both()
    return reader


def test_the_page_says_where_they_part_and_shows_it(both: Client) -> None:
    """In its first sentence, and with marks that are words too."""
    html = page(both, f"/compare/?a={A}&b={B}")
    said = words(html)
    assert "Same until 20, then the model answered differently at 22 and 21" in said
    assert re.search(r"≠ differs 21 “Read it.”", said)
    assert "equal steps folded, 5 to 16" in said
    assert "only in A" in said
    assert "nothing in B" in said
    assert "From there A goes on for 180 events" in said


def test_totals_stand_as_a_difference(both: Client) -> None:
    """Of the whole runs and of what came after they parted."""
    said = words(page(both, f"/compare/?a={A}&b={B}"))
    assert "After they part Events Decisions" in said
    assert "A 180 " in said
    assert "A less B +177" in said


def test_every_step_can_be_shown_in_pages(both: Client) -> None:
    """Without folding, and with links between the pages; rows never pass the page's bound."""
    html = page(both, f"/compare/?a={A}&b={B}&show=all")
    assert "equal steps folded" not in words(html)
    assert html.count('class="pair ') <= 80
    assert "Later steps" in html
    later = re.search(r'href="([^"]*)">Later steps', html)
    assert later
    assert "Earlier steps" in page(both, later[1].replace("&amp;", "&"))


def test_states_are_compared_at_chosen_events(both: Client) -> None:
    """By the address, or by the two fields under the steps."""
    assert "State of A after 19, of B after 20" in words(page(both, f"/compare/?a={A}@19&b={B}@20"))
    html = page(both, f"/compare/?a={A}&b={B}&va=19&vb=20")
    assert "State of A after 19, of B after 20" in words(html)


def test_one_run_is_compared_with_itself(both: Client) -> None:
    """At two events of it."""
    said = words(page(both, f"/compare/?a={A}@19&b={A}@23"))
    assert "One run at 19 and at 23" in said
    assert "totals.tool_calls" in said


def test_the_list_of_runs_leads_there(both: Client) -> None:
    """Its link asks which two; a script gives each row a box and the link what is ticked."""
    assert re.search(r'href="/compare/" data-compare>', page(both, "/runs/"))


def test_swapped_the_sides_are_the_other_way_round(both: Client) -> None:
    """By a link of the page."""
    html = page(both, f"/compare/?a={A}@19&b={B}")
    swapped = re.search(r'href="([^"]*)">Swap', html)
    assert swapped
    assert swapped[1].replace("&amp;", "&") == f"/compare/?a={B}&b={A}@19"


def test_without_two_runs_it_asks_which(both: Client) -> None:
    """And names those there are; a name that is none is said to be."""
    assert "Compare two runs" in words(page(both, "/compare/"))
    assert f'href="/compare/?a={A}&amp;b={B}"' in page(both, f"/compare/?a={A}")
    response = both.get(f"/compare/?a={A}&b=agent_run-none")
    assert response.status_code == 404
    assert "There is no run agent_run-none in this project." in words(response.content.decode())


def test_another_projects_run_is_none(both: Client) -> None:
    """Under the same name neither."""
    mallory = signed_in("mallory", "theirs")
    put("agent_run-c", coding_run(30, stream="agent_run-c"), project="theirs")
    assert both.get(f"/compare/?a={A}&b=agent_run-c").status_code == 404
    assert mallory.get(f"/compare/?a={A}&b={B}").status_code == 404


def test_a_page_costs_the_same_for_runs_of_any_length(reader: Client) -> None:
    """Session, two runs, two lengths, two readings, two sets of rows."""
    put_both(600)
    with CaptureQueriesContext(connection) as asked:
        html = page(reader, f"/compare/?a={A}&b={B}")
    assert len(asked) <= 9
    assert html.count("<") - html.count("</") < 1_500


def test_what_is_not_looked_at_is_said(both: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the steps."""
    monkeypatch.setattr(comparing, "COMPARED", 30)
    assert "Of A the first 30 events of 200 are compared" in words(page(both, f"/compare/?a={A}&b={B}"))


def test_hostile_text_is_text(reader: Client) -> None:
    """In titles, steps and states, and in the address."""
    put(A, [event(started(prompt=HOSTILE)), event(returned(HOSTILE, tool=HOSTILE))])
    put(B, [event(started(prompt=HOSTILE)), event(returned("fine", tool=HOSTILE))])
    for url in (f"/compare/?a={A}&b={B}", f"/compare/?a={HOSTILE}&b={A}", f"/compare/?a={A}%00&b={B}@99999999999"):
        html = reader.get(url).content.decode()
        assert "<img src=x" not in html
        assert "onerror" in html or "%00" in url

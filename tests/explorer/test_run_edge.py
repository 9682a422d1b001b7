"""The newest end of a run that grows: what an open page takes in is what a page that is loaded now shows."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from explorer import drawings
from explorer.models import RunSummary
from explorer.queries.run_edge import MOST
from journal.domain import agent_run as run
from journal.domain.stream import ANY_VERSION
from journal.runtime.projection import catch_up_all
from journal.store import get_store
from tests.builders import event, raw, reasoned, responded, returned, started
from tests.run_pages import address, fresh_timelines, page, part, put, reader, words

if TYPE_CHECKING:
    import msgspec
    from django.test import Client

__all__ = ["fresh_timelines", "reader"]

STREAM = "agent_run-live"


def add(*data: msgspec.Struct, at: datetime | None = None) -> None:
    """Append to the run and bring the read models up to date."""
    get_store().append(STREAM, [event(one, at=at) for one in data], expected_version=ANY_VERSION)
    catch_up_all()


def edge(reader: Client, version: int = 1, **query: Any) -> str:
    """Return what a page that is open asks for."""
    return page(reader, address(STREAM, version, part="edge", **query), is_move=True)


def numbers(html: str) -> list[str]:
    """Return the numbers of rows."""
    return re.findall(r'<span class="no">([\d–]+)', html)


@pytest.fixture
def growing(reader: Client) -> str:
    """A run that waits for a tool, as a page has it that is open already."""
    put(STREAM, [event(one) for one in (started(), reasoned(call_id="c1"))])
    return page(reader, address(STREAM, 1))


def test_it_takes_in_what_a_page_that_is_loaded_now_shows(reader: Client, growing: str) -> None:
    """Facts, chips, counts, drawing and rows are the same to the byte, after a result, a verdict and the end."""
    add(returned(call_id="c1"), responded("Done."))
    graded = run.Graded(rule="no-loop", verdict="fails", score=None, message="again", at_version=2)
    add(graded, run.Answered(response="Yes"))
    came, now = edge(reader, 1, edge="from", map=1), page(reader, address(STREAM, 1))
    for start, end in [
        ('<p class="facts small" id="run-facts">', "</p>"),
        ('<div class="run-chips" id="run-chips">', "</div>"),
        ('<span id="read-to">', "</span>"),
        ('<svg class="map-drawing"', "</section>"),
    ]:
        assert part(came, start, end) == part(now, start, end)
        assert part(came, start, end) != part(growing, start, end)
    rows, shown = part(came, '<div class="win"', "</div>"), part(now, '<div class="win"', "</div>")
    assert rows == shown.replace(' aria-current="true"', "").replace(" row-rail", "")
    assert "no-loop" in rows
    assert part(came, 'id="count-all">', "<") == part(now, 'id="count-all">', "<")
    assert part(came, 'id="count-decisions">', "<") == part(now, 'id="count-decisions">', "<")


def test_a_call_and_its_answer_become_one_row(reader: Client, growing: str) -> None:
    """So the last rows are asked for again: the one of the call changes."""
    assert numbers(part(growing, '<div class="win"', "</div>")) == ["1", "2"]
    add(returned(call_id="c1"))
    assert numbers(edge(reader, 1, edge="from")) == ["1", "2–3"]


def test_rows_are_asked_for_from_one_on_or_the_newest(reader: Client, growing: str) -> None:
    """So many at most, each window whole; without asking for rows there are none."""
    add(*(responded(f"Step {at}") for at in range(3, 301)))
    assert numbers(edge(reader, 81, edge="from")) == [str(at) for at in range(81, 281)]
    assert len(numbers(edge(reader, 1, edge="from"))) == MOST
    assert numbers(edge(reader, 1, edge="newest")) == [str(at) for at in range(221, 301)]
    assert numbers(edge(reader, 1)) == []
    assert 'data-events="300"' in edge(reader)


def test_it_costs_the_same_whatever_the_length(reader: Client, growing: str) -> None:
    """Queries and bytes for a run of a hundred events and of two thousand."""
    costs = []
    for length in (100, 2_000):
        add(*(responded("A step like the others") for _ in range(length - RunSummary.objects.get().events)))
        drawings.clear()
        with CaptureQueriesContext(connection) as queries:
            html = edge(reader, length - 39, edge="from", map=1)
        costs.append((len(queries), len(html)))
    assert costs[0][0] == costs[1][0] <= 7
    assert costs[1][1] <= 1.5 * costs[0][1]


def test_an_open_call_says_for_how_long_it_has_been_running(reader: Client) -> None:
    """In the row and in what comes later, until its answer is there; not in a run that ended, nor after an hour."""
    now = datetime.now(UTC)
    put(STREAM, [event(started(), at=now), event(reasoned(call_id="c1"), at=now - timedelta(seconds=75))])
    assert re.search(r"running 1m 1[5-9]s", words(page(reader, address(STREAM, 1))))
    assert re.search(r"running 1m 1[5-9]s", words(edge(reader, 1, edge="from")))
    add(returned(call_id="c1"), at=now)
    assert "running 1m" not in words(page(reader, address(STREAM, 1)))
    add(reasoned(call_id="c2"), at=now - timedelta(hours=2))
    assert "waiting" not in edge(reader, 1, edge="from")
    add(reasoned(call_id="c3"), run.Aborted(reason="stopped"), at=now)
    assert "waiting" not in edge(reader, 1, edge="from")


def test_a_page_listens_while_more_may_come(reader: Client, growing: str) -> None:
    """To a run that goes on, and to one that ended within the hour, for its verdicts; not to one of long ago."""
    assert "data-socket" in growing
    add(run.Answered(response="Yes"), at=datetime.now(UTC))
    assert "data-socket" in page(reader, address(STREAM, 1))
    RunSummary.objects.update(newest_us=0)
    assert "data-socket" not in page(reader, address(STREAM, 1))


def test_what_a_run_says_is_text_in_what_comes_later(reader: Client, growing: str) -> None:
    """As in the page."""
    add(responded("<img src=x onerror=alert(1)>\u202e"), raw_answer())
    html = edge(reader, 1, edge="from", map=1)
    assert "<img" not in html
    assert "\u202e" not in html


def raw_answer() -> run.Answered:
    """Return an end that nobody asked for."""
    return run.Answered(response="</div><script>alert(1)</script>")


def test_a_run_of_nobody_is_not_there(reader: Client) -> None:
    """As the page itself."""
    url = address("agent_run-none", 1, part="edge", edge="from")
    assert reader.get(url, headers={"HX-Request": "true"}).status_code == 404
    put("order-1", [raw("order.placed", b"{}")])
    assert reader.get(address("order-1", 1, part="edge"), headers={"HX-Request": "true"}).status_code == 200

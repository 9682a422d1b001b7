"""Finding in a run: the bar, the ticks, the marks, the way from hit to hit, with a script and without one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from explorer import search
from explorer.models import RunSummary
from explorer.search import Document, get_index
from journal.domain import agent_run as run
from tests.builders import event, returned, started
from tests.databases import SEARCHES
from tests.run_pages import HTMX, fresh_timelines, page, part, put, put_coding_run, reader, signed_in, words

if TYPE_CHECKING:
    from django.test import Client

__all__ = ["fresh_timelines", "reader"]

pytestmark = SEARCHES

HOSTILE = '<img src=x onerror=alert(1)> needle <script>alert("needle")</script> \u202eneedle\x1b[31m {{ needle }}'


def find(client: Client, stream: str, **query: object) -> str:
    """Return what the page's script gets."""
    said = "&".join(f"{name}={value}" for name, value in query.items())
    return page(client, f"/runs/{stream}/find/?{said}", is_move=True)


def led_to(client: Client, stream: str, **query: str | int) -> dict[str, str]:
    """Return the query of the address that the form leads to."""
    response = client.get(f"/runs/{stream}/find/", query)
    assert response.status_code == 302
    return {name: values[0] for name, values in parse_qs(urlsplit(response["Location"]).query).items()}


def test_content_is_found_and_counted(reader: Client) -> None:
    """In arguments and results too, which no sentence of the list shows; the cursor's hit has its number."""
    stream = put_coding_run()
    html = page(reader, f"/runs/{stream}/?v=23&q=line+88")
    said = words(part(html, 'id="find-found"', "</form>"))
    assert re.search(r"\d+ (hits?|of \d+)", said), said
    assert 'class="map-hits" id="map-hits" d="M' in html
    assert html.count("<mark>") > 0


def test_the_form_leads_to_the_first_hit(reader: Client) -> None:
    """From the cursor on, after the last one to the first; without a hit it stays, and says so."""
    said = [event(started(prompt="begin"))]
    said += [event(returned(f"row {at}" if at % 3 else f"needle {at}")) for at in range(2, 12)]
    stream = put("agent_run-9", said)  # at 3, 6 and 9
    assert led_to(reader, stream, q="needle", v=1)["v"] == "3"
    assert led_to(reader, stream, q="needle", v=6)["v"] == "6"
    assert led_to(reader, stream, q="needle", v=10)["v"] == "3"
    assert led_to(reader, stream, q="nothing", v=4, tab="state") == {"v": "4", "q": "nothing", "tab": "state"}
    assert led_to(reader, stream, q="", v=4) == {"v": "4"}
    html = page(reader, f"/runs/{stream}/?v=6&q=needle")
    assert "2 of 3" in words(part(html, 'id="find-found"', "</form>"))
    links = part(html, 'id="find-found"', "</form>")
    assert re.findall(r"\?v=(\d+)", links) == ["3", "9"]
    assert "no hits" in words(page(reader, f"/runs/{stream}/?v=6&q=nothing"))
    assert "a letter or a digit is needed" in words(page(reader, f"/runs/{stream}/?v=6&q=%25"))


def test_a_part_and_a_page_show_the_same(reader: Client) -> None:
    """Count, links and ticks; the part has the passages of the rows that it was asked for, and of no others."""
    stream = put_coding_run()
    whole = page(reader, f"/runs/{stream}/?v=23&q=edit_file")
    fragment = find(reader, stream, q="edit_file", v=23, **{"from": 20, "to": 30})
    assert part(fragment, 'id="find-found"', "</span>") == part(whole, 'id="find-found"', "</span>")
    assert part(fragment, ' d="', '"/>') == part(part(whole, 'id="map-hits"', "/>") + "/>", ' d="', '"/>')
    versions = [int(found) for found in re.findall(r'<p data-version="(\d+)"', fragment)]
    assert versions
    assert all(20 <= version <= 30 for version in versions)
    assert 'data-version="' not in find(reader, stream, q="edit_file", v=23)


def test_hostile_text_is_marked_as_text(reader: Client) -> None:
    """In rows, in the inspector and in the part for the script: each hit is a mark, nothing else became an element."""
    stream = put("agent_run-9", [event(started(prompt="begin")), event(run.MessageReceived(content=HOSTILE))])
    for html in (
        page(reader, f"/runs/{stream}/?v=2&q=needle"),
        find(reader, stream, q="needle", v=2, **{"from": 1, "to": 2}),
    ):
        assert "<mark>needle</mark>" in html
        assert "<img" not in html
        assert "<script>" not in html
        assert "onerror=alert(1)&gt;" in html
    html = page(reader, f"/runs/{stream}/?v=2&q=%3Cimg+src%3Dx")
    assert "<mark>&lt;img src=x</mark>" in html


def test_what_is_typed_is_not_html(reader: Client) -> None:
    """Wherever it stands in the page."""
    stream = put("agent_run-9", [event(started(prompt="begin"))])
    typed = "%22%3E%3Cscript%3Ealert(1)%3C/script%3E"
    for html in (page(reader, f"/runs/{stream}/?q={typed}"), find(reader, stream, q=typed, v=1)):
        assert "<script>alert" not in html


def test_other_projects_are_not_searched(reader: Client) -> None:
    """A run of another project is not there, and one of the same name is another run."""
    put("agent_run-9", [event(started(prompt="secret needle"))], project="theirs")
    assert reader.get("/runs/agent_run-9/find/?q=needle").status_code == 404
    put("agent_run-9", [event(started(prompt="nothing"))])
    assert "no hits" in find(reader, "agent_run-9", q="needle", v=1)
    theirs = signed_in("eve", "theirs")
    assert "1 of 1" in find(theirs, "agent_run-9", q="needle", v=1)


def test_a_cut_text_says_so(reader: Client) -> None:
    """What stands past the limit is not found, and the event tells that this may be."""
    long = "needle " + "filler " * 12_000 + "haystack"
    stream = put("agent_run-9", [event(started(prompt=long))])
    assert "no hits" in find(reader, stream, q="haystack", v=1)
    assert "only the first 65,536 characters" in words(page(reader, f"/runs/{stream}/?q=needle"))


@pytest.mark.parametrize("hits", [3, 3_000])
def test_a_find_costs_the_same_whatever_it_finds(reader: Client, hits: int) -> None:
    """Queries, bytes and elements are bounded: here at three hits and at three thousand."""
    stream = put_coding_run()
    RunSummary.objects.filter(stream=stream).update(events=3_000)
    get_index().add(
        [
            Document(project="default", stream=stream, version=at, event_id=f"more-{at}", text="haystack", is_cut=False)
            for at in range(201, 201 + min(hits, 2_800))
        ],
        generation=0,
    )
    with CaptureQueriesContext(connection) as queries:
        html = find(reader, stream, q="haystack", v=300, **{"from": 250, "to": 2_990})
    asked = [query["sql"] for query in queries if "explorer_searchtext" in query["sql"]]
    assert len(asked) == 2
    assert len(re.findall("<[a-z]", html)) < 1_500
    assert len(html) < 60_000


def test_a_cursor_move_asks_the_index_nothing(reader: Client) -> None:
    """The script knows where the hits are; the passages of the event come from the event."""
    stream = put_coding_run()
    with CaptureQueriesContext(connection) as queries:
        html = reader.get(f"/runs/{stream}/?v=23&q=edit_file&part=cursor", headers=HTMX).content.decode()
    assert not [query for query in queries if "explorer_search" in query["sql"]]
    assert "Found here" in html
    assert "<mark>edit_file</mark>" in html


def test_more_hits_than_are_looked_at_are_said_to_be_more(reader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The count is a claim, and true."""
    monkeypatch.setattr(search, "IN_RUN", 5)
    stream = put_coding_run()
    assert "more than 5" in words(find(reader, stream, q="edit", v=1))

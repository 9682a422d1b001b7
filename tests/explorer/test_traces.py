"""From an event to its trace in another tool, and from there back to the event."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection
from django.test import Client

from explorer import timelines, traces
from explorer.models import EventLine
from journal.access.permissions import Role
from journal.access.projects import add_project, add_user, ensure_project
from journal.domain import codec
from journal.domain.event import EventData, Metadata
from journal.runtime.projection import catch_up_all
from journal.store import get_store

pytestmark = pytest.mark.django_db(transaction=True)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN, OTHER = "00f067aa0ba902b7", "00f067aa0ba902b8"
STREAM = "order-1"


def _put(project: str, stream: str, *spans: str) -> None:
    events = [
        EventData(
            type="order.noted",
            data=b"{}",
            metadata=codec.encode(Metadata(traceparent=f"00-{TRACE}-{span}-01" if span else None)),
        )
        for span in spans
    ]
    get_store(project).append(stream, events, expected_version=0)


@pytest.fixture
def reader() -> Iterator[Client]:
    """Put a stream with three traced events, and sign somebody in."""
    timelines.clear()
    user, _ = add_user("ada", role=Role.VIEWER, project=ensure_project("default").slug)
    _put("default", STREAM, "", OTHER, SPAN, SPAN)
    catch_up_all()
    client = Client()
    client.force_login(user)
    yield client
    traces.use(None)


def test_a_span_leads_to_the_first_event_it_appended(reader: Client) -> None:
    """Ids in capitals are the same ids."""
    for span in (SPAN, SPAN.upper()):
        answer = reader.get(f"/by-trace/{TRACE}/{span}/")
        assert (answer.status_code, answer["Location"]) == (302, f"/runs/{STREAM}/?v=3")


def test_another_span_of_the_trace_lists_its_events(reader: Client) -> None:
    """A request's own span is above the one that appended."""
    page = reader.get(f"/by-trace/{TRACE}/{'1' * 16}/")
    assert page.status_code == 200
    for version in (2, 3, 4):
        assert f'href="/runs/{STREAM}/events/{version}/"' in page.content.decode()


@pytest.mark.parametrize("address", [f"{'a' * 32}/{SPAN}", f"{TRACE}/xyz", f"{TRACE}/{'0' * 16}", f"x/{SPAN}"])
def test_what_no_event_has_is_not_there(reader: Client, address: str) -> None:
    """Nor is what is no id."""
    assert reader.get(f"/by-trace/{address}/").status_code == 404


def test_another_project_s_traces_are_not_there(reader: Client) -> None:
    """The same trace may go through several projects; each member sees their own part."""
    add_project("other")
    _put("other", "order-9", "2" * 16)
    catch_up_all()
    answer = reader.get(f"/by-trace/{TRACE}/{'2' * 16}/")
    assert "order-9" not in answer.content.decode()
    assert answer.status_code == 200


def test_an_event_links_to_its_trace_where_a_tool_is_configured(reader: Client) -> None:
    """Without one its ids are shown; an event without a trace says so."""
    address = f"/runs/{STREAM}/?v=3&tab=payload"
    assert f"00-{TRACE}-{SPAN}-" in reader.get(address).content.decode()
    assert "Open the trace" not in reader.get(address).content.decode()
    traces.use("https://traces.example/trace/{trace_id}?span={span_id}")
    assert f'href="https://traces.example/trace/{TRACE}?span={SPAN}"' in reader.get(address).content.decode()
    without = reader.get(f"/runs/{STREAM}/?v=1&tab=payload").content.decode()
    assert ">not recorded<" in without[without.index("<dt>Trace</dt>") :].split("</dd>", 1)[0]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="reads SQLite's query plan")
def test_the_way_in_is_an_index_look_up(reader: Client) -> None:
    """However many events the journal has."""
    plan = EventLine.objects.filter(run__project="default", trace_id=TRACE, span_id=SPAN).explain()
    assert "explorer_line_trace" in plan

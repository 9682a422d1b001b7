"""Lists that hold while others write, one event, and lineage that says what the command says."""

from __future__ import annotations

import io
import json
import os
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from asgiref.sync import async_to_sync
from django.core.management import call_command
from django.db import connection
from django.test import AsyncClient
from django.test.utils import CaptureQueriesContext

from journal.api import events as api_events
from journal.domain import codec
from journal.domain.event import EventData, Metadata
from journal.runtime.projection import catch_up, named
from journal.store import get_store
from tests.api import Api, program, secret
from tests.builders import NOON, identity

pytestmark = pytest.mark.django_db


@pytest.fixture
def api() -> Api:
    """A program that may read."""
    return program("read")


def fill(stream: str = "test-1", count: int = 5, *, project: str = "default", **metadata: Any) -> list[str]:
    """Append events that are a minute apart, and return their ids."""
    events = [
        EventData(
            type=f"test.{'odd' if at % 2 else 'even'}",
            data=b'{"at":%d}' % at,
            metadata=codec.encode(Metadata(**metadata)),
            id=identity((project, stream, at)),
            occurred_at=NOON + timedelta(minutes=at),
        )
        for at in range(count)
    ]
    return list(get_store(project).append(stream, events, expected_version="any").ids)


def walk(api: Api, address: str) -> list[list[Any]]:
    """Follow `next` to the end, and return the items page by page."""
    pages = []
    following: str | None = address
    while following:
        told = api.get(following)
        assert (api.status, set(told)) == (200, {"items", "next"})
        pages.append(told["items"])
        following = told["next"]
    return pages


def test_a_stream_is_read_by_version(api: Api) -> None:
    """`after` is exclusive, `until` inclusive, and pages join without a hole."""
    fill(count=7)
    pages = walk(api, "/streams/test-1/events?after=1&until=6&limit=2")
    assert [[event["version"] for event in page] for page in pages] == [[2, 3], [4, 5], [6]]
    assert api.get("/streams/test-1/events?after=7") == {"items": [], "next": None}
    assert api.get("/streams/test-1/events?after=3&until=2") == {"items": [], "next": None}


def test_a_page_holds_while_others_write(api: Api) -> None:
    """What is appended between two pages comes once, at the end."""
    fill(count=3)
    first = api.get("/events?limit=2")
    fill("test-2", count=2)
    rest = [event for page in walk(api, first["next"]) for event in page]
    seen = [event["position"] for event in [*first["items"], *rest]]
    assert seen == sorted(set(seen))
    assert len(seen) == 5


def test_lines_are_those_of_an_export(api: Api) -> None:
    """The wire is one, whoever writes it."""
    fill(count=3)
    api.get("/streams/test-1/events")
    out = io.StringIO()
    call_command("export", "test-1", stdout=out)
    lines = api.raw.splitlines()[1:-1]
    assert [line.rstrip(b",") for line in lines] == out.getvalue().encode().splitlines()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("type=test.odd", [1, 3]),
        ("correlation=c-1", [0, 1, 2, 3, 4]),
        ("correlation=c", []),
        ("subject=user-42&type=test.even", [0, 2, 4]),
        ("subject=nobody", []),
        ("since=2026-11-22T12:01:00Z&until=2026-11-22T12:02:00Z", [1, 2]),
        ("since=2026-11-22T14:02:00%2B02:00", [2, 3, 4]),
        ("since=2026-11-22", [0, 1, 2, 3, 4]),
    ],
)
def test_the_journal_is_filtered(api: Api, query: str, found: list[int]) -> None:
    """By type, correlation, subject and time, both ends inclusive; all of them together."""
    fill(correlation_id="c-1", subjects=("user-42", "user-7"))
    fill("test-2", count=2, correlation_id="c-2")
    items = [event for page in walk(api, f"/events?limit=2&{query}") for event in page]
    assert [event["data"]["at"] for event in items if event["stream"] == "test-1"] == found


@pytest.mark.parametrize("known", ["nothing", "a part", "all"])
def test_a_name_is_found_wherever_its_index_is(api: Api, known: str) -> None:
    """Before the projection began, in its midst and behind it: the same events, exactly, on each page."""
    ids = fill(count=5, correlation_id="c-1", subjects=("user-42", "user-42x", "User-42", "u" * 300))
    if known != "nothing":
        catch_up(named("names"))
    fill("test-2", count=2, correlation_id="c-2", subjects=("user-4",))
    ids += fill("test-3", count=2, correlation_id="c-1", subjects=("user-42", "u" * 300))
    if known == "all":
        catch_up(named("names"))
    for query in ("correlation=c-1", "subject=user-42", f"subject={'u' * 300}"):
        pages = walk(api, f"/events?limit=2&{query}")
        assert [event["id"] for page in pages for event in page] == ids, query
    assert api.get("/events?subject=user-42&correlation=c-2")["items"] == []
    assert len(api.get("/events?subject=User-42")["items"]) == 5
    assert api.get(f"/events?subject={'u' * 299}")["items"] == []


def test_a_name_is_asked_for_by_few_statements(api: Api, django_assert_max_num_queries: Any) -> None:
    """However many other events there are, and wherever in them: they are not looked at."""
    many = 100_000 if os.environ.get("FULL") else 2_000
    wanted = fill(count=1, subjects=("user-1",))
    for at in range(0, many, 1_000):
        fill(f"test-{at + 2}", count=1_000, subjects=("everybody",), correlation_id="c")
    wanted += fill("test-last", count=2, subjects=("user-1",), correlation_id="c-1")
    catch_up(named("names"))
    read: list[int] = []

    def counted(_store: Any, after: int = 0, **_limits: Any) -> Any:
        read.append(after)
        return iter(())

    with pytest.MonkeyPatch.context() as patch, django_assert_max_num_queries(10):
        patch.setattr(type(get_store()), "read_all", counted)
        told = api.get("/events?subject=user-1")
        assert [event["id"] for event in told["items"]] == wanted
    assert read == [get_store().head()]  # past the index alone
    with django_assert_max_num_queries(10):
        assert len(api.get("/events?subject=everybody&limit=100")["items"]) == 100


def test_a_page_that_filters_looks_at_so_many_events(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be empty and still lead on; walking on comes to the end."""
    monkeypatch.setattr(api_events, "SCANNED", 2)
    ids = fill(count=6)
    told = api.get("/events?type=test.odd")
    assert len(told["items"]) == 1
    assert told["next"]
    items = [event["id"] for page in walk(api, "/events?type=test.odd") for event in page]
    assert items == [ids[1], ids[3], ids[5]]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("after=-1", "after"),
        ("after=x", "after"),
        (f"after={10**30}", "after"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("since=yesterday", "since"),
        ("offset=3", "offset"),
        ("type=a&type=b", "type"),
        ("type=a%00", "type"),
    ],
)
def test_a_parameter_that_is_none_is_named(api: Api, query: str, parameter: str) -> None:
    """400; nothing is guessed and nothing passed over."""
    told = api.get(f"/events?{query}")
    assert (api.status, told["type"], told["parameter"]) == (400, "/api/docs/#malformed", parameter)


@pytest.mark.parametrize("address", ["/streams/test-9/events", "/streams/x%00y/events", "/events/x", "/events/a%00"])
def test_what_is_not_there_is_not_there(api: Api, address: str) -> None:
    """404 with what was looked for."""
    told = api.get(address)
    assert (api.status, told["status"]) == (404, 404)


def test_lineage_is_what_the_command_prints(api: Api) -> None:
    """Both ways, over streams; and what was just appended is in it."""
    root = fill(count=1)[0]
    child = get_store().append(
        "test-2",
        [EventData(type="test.noted", data=b"{}", metadata=codec.encode(Metadata(causation_id=root)))],
        expected_version=0,
    )
    told = api.get(f"/events/{child.ids[0]}/causes")
    assert [event["id"] for event in told["events"]] == [child.ids[0], root]
    for way, flags in (("causes", []), ("effects", ["--down"])):
        out = io.StringIO()
        call_command("lineage", root, *flags, "--json", stdout=out)
        assert api.get(f"/events/{root}/{way}") == json.loads(out.getvalue())
    assert api.get(f"/events/{root}/effects?limit=1")["cut"] is True


def test_a_long_page_is_one_query_a_thousand_events(api: Api) -> None:
    """However many events there are: who asks, the stream, the events."""
    fill(count=200)
    api.get("/streams/test-1/events?limit=1000")
    with CaptureQueriesContext(connection) as few:
        api.get("/streams/test-1/events?limit=10")
    with CaptureQueriesContext(connection) as many:
        api.get("/streams/test-1/events?limit=1000")
    assert len(many) == len(few) == 3
    with CaptureQueriesContext(connection) as short:
        api.get("/events?limit=10")
    with CaptureQueriesContext(connection) as journal:
        api.get("/events?limit=1000")
    assert len(journal) == len(short) <= 5  # streams are named apart; some databases are asked how far one may read


@pytest.mark.django_db(transaction=True)
def test_lists_are_streamed_under_asgi() -> None:
    """As `nagare serve` sends them: piece by piece, and the same bytes."""
    token = secret("read")
    fill(count=3)

    async def ask() -> bytes:
        response: Any = await AsyncClient().get("/api/v1/events", headers={"Authorization": f"Bearer {token}"})
        assert response.streaming
        return b"".join([piece async for piece in response])

    told = msgspec.json.decode(async_to_sync(ask)())
    assert [event["version"] for event in told["items"]] == [1, 2, 3]

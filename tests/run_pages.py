"""What tests of the run debugger share: a signed-in browser, runs in the journal, and what a page says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser

import pytest
from django.test import Client

from explorer import drawings, timelines
from journal.access import Role, add_project, add_user
from journal.domain.event import EventData
from journal.runtime.projection import catch_up_all
from journal.store import get_store
from tests.coding_run import coding_run

HTMX = {"HX-Request": "true"}


@pytest.fixture
def fresh_timelines() -> Iterator[None]:
    """Forget states and drawings of earlier tests: their databases are gone, their stream names are not."""
    timelines.clear()
    drawings.clear()
    yield
    timelines.clear()
    drawings.clear()


@pytest.fixture
def reader(db: None, fresh_timelines: None) -> Client:
    """Return a browser of a member of the default project."""
    return signed_in("ada", "default")


def signed_in(name: str, project: str) -> Client:
    """Return a browser signed in as a new viewer of a project, which is made where there is none."""
    if project != "default":
        add_project(project)
    user, _ = add_user(name, role=Role.VIEWER, project=project, password="a-long-password")
    client = Client()
    client.force_login(user)
    return client


def put(stream: str, events: Sequence[EventData], *, project: str = "default") -> str:
    """Append a run, bring the read models up to date, and return the stream."""
    get_store(project).append(stream, events, expected_version=0)
    catch_up_all()
    return stream


def put_coding_run(events: int = 200, *, stream: str = "agent_run-7", project: str = "default") -> str:
    """Put the coding run of `tests.coding_run` into the journal."""
    return put(stream, coding_run(events, stream=stream), project=project)


def address(stream: str, version: int | str | None = None, **query: str | int) -> str:
    """Return a debugger address."""
    said = {**({"v": version} if version is not None else {}), **query}
    return f"/runs/{stream}/" + ("?" + "&".join(f"{name}={value}" for name, value in said.items()) if said else "")


def page(client: Client, url: str, *, is_move: bool = False) -> str:
    """Return the HTML at an address, which must be there."""
    response = client.get(url, headers=HTMX if is_move else {})
    assert response.status_code == 200, (url, response.status_code)
    return response.content.decode()


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def words(html: str) -> str:
    """Return what HTML says: the texts of its elements with one space between them."""
    parser = _Text()
    parser.feed(html)
    return " ".join(" ".join(parser.parts).split())


def part(html: str, start: str, end: str) -> str:
    """Return the HTML from `start` up to `end`."""
    begin = html.index(start)
    return html[begin : html.index(end, begin)]


def links(html: str) -> list[str]:
    """Return every address that an element leads to or sends something to."""
    return [found.replace("&amp;", "&") for found in re.findall(r'(?:href|action|src|hx-get)="([^"]*)"', html)]

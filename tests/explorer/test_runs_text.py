"""Text across runs: which runs are listed, what their rows show, and where opening them leads."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from explorer import search
from explorer.query_language import MAX_TEXTS, parse
from journal.domain import agent_run as run
from tests.builders import event, returned, started
from tests.databases import SEARCHES
from tests.run_pages import fresh_timelines, page, put, reader, signed_in, words

if TYPE_CHECKING:
    from django.test import Client

__all__ = ["fresh_timelines", "reader"]

pytestmark = SEARCHES


@pytest.fixture
def runs(db: None) -> None:
    """Three runs; what they are about stands in their events, not in their titles."""
    put("agent_run-1", [event(started(prompt="Fix the rounding")), event(returned("see line 88 of refunds.py"))])
    put(
        "agent_run-2",
        [event(started(prompt="Write a letter")), event(returned("line of 88")), event(returned("--force"))],
    )
    put(
        "agent_run-3",
        [event(started(prompt="検索する")), event(run.MessageReceived(content="files/mod_6.py at line 88"))],
    )


def listed(client: Client, q: str) -> list[str]:
    """Return the runs that a query lists."""
    return re.findall(r'data-run="([^"]+)"', client.get("/runs/", {"q": q}).content.decode())


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    ("q", "found"),
    [
        ('"line 88"', [1, 3]), ('text:"line 88"', [1, 3]), ("text:--force", [2]), ("files/mod_6.py", [3]),
        ("検索", [3]), ("rounding", [1]), ('"line 88" -rounding', [3]), ('-"line 88"', [2]), ('"line 88" refunds', [1]),
        ("text:--force,rounding", [1, 2]), ("nothing-of-this", []), ("--force", [1, 3]),
    ],
)  # fmt: skip
def test_runs_are_found_by_what_was_said_in_them(reader: Client, q: str, found: list[int]) -> None:
    """With other terms: and, or, not. A minus in front of a bare word means not, so options take `text:`."""
    assert sorted(int(stream.rpartition("-")[2]) for stream in listed(reader, q)) == found


@pytest.mark.usefixtures("runs")
def test_a_hit_shows_its_event_and_leads_to_it(reader: Client) -> None:
    """The number, what stands around it with a mark, and a link with the text to go on from there."""
    html = page(reader, "/runs/?q=%22line+88%22")
    assert "/runs/agent_run-1/?v=2&amp;q=line%2088" in html
    assert "see <mark>line 88</mark> of refunds.py" in html
    at = page(reader, "/runs/agent_run-1/?v=2&q=line%2088")
    assert "1 of 1" in words(at)


@pytest.mark.usefixtures("runs")
def test_another_projects_texts_find_nothing(reader: Client) -> None:
    """Neither runs nor passages."""
    theirs = signed_in("eve", "theirs")
    put("agent_run-1", [event(started(prompt="their own"))], project="theirs")
    assert listed(theirs, '"line 88"') == []
    assert listed(theirs, "their") == ["agent_run-1"]
    assert listed(reader, "their") == []


def test_hostile_text_stays_text(reader: Client) -> None:
    """A row's passage is text and marks."""
    put("agent_run-1", [event(started(prompt="begin")), event(returned("<script>alert('needle')</script>"))])
    html = page(reader, "/runs/?q=needle")
    assert "<script>alert" not in html
    assert "<mark>needle</mark>" in html


@pytest.mark.usefixtures("runs")
def test_texts_cost_two_queries(reader: Client) -> None:
    """One for where they are, one for the passages; none without a text."""

    def asked(q: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            reader.get("/runs/", {"q": q})
        return len([query for query in queries if "explorer_searchtext" in query["sql"]])

    assert asked("line") == 2
    assert asked('line "line 88" -zzz text:rounding,b2') == 2
    assert asked("zzz") == 1
    assert asked("agent:coder") == 0


@pytest.mark.usefixtures("runs")
def test_a_text_in_too_many_events_says_how_far_was_looked(reader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left out in silence."""
    assert "were looked at" not in page(reader, "/runs/?q=line")
    monkeypatch.setattr(search, "ACROSS", 2)
    assert "were looked at" in page(reader, "/runs/?q=line")


def test_a_query_that_no_index_can_answer_says_why() -> None:
    """Signs alone, and more texts than one query to the database holds."""
    assert "a letter or a digit" in parse("agent:coder =>").problems[0].message
    assert parse("agent:coder =>").problems[0].word == "=>"
    many = " ".join(f"word{number}" for number in range(MAX_TEXTS + 2))
    assert parse(many).problems[0].word == f"word{MAX_TEXTS}"
    assert not parse(many.rsplit(" ", 2)[0]).problems

"""The run list: who sees which runs, in which order, and what a query changes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from explorer.models import RunSummary
from explorer.queries import runs as queries
from explorer.queries.run_values import Suggestion
from explorer.query_language import parse
from journal.access import Role, add_project, add_user
from journal.store import get_store
from tests.builders import event, started
from tests.run_pages import part, put_coding_run, words

NOW = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)
PAYLOADS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' hx-get='/x' hx-trigger='load' x='",
    '<a href="javascript:alert(1)">{{ csrf_token }}{% url "logout" %}</a>',
)


@pytest.fixture(autouse=True)
def _database(db: None) -> None:
    """Every test here has one."""


@pytest.fixture
def client() -> Client:
    """Return a browser in which a viewer of the project `mine` is signed in."""
    add_project("mine")
    add_project("theirs")
    client = Client()
    client.force_login(member("v.ito", "mine"))
    return client


def member(name: str, project: str, role: Role = Role.VIEWER) -> User:
    """Return a user with a role in a project."""
    return add_user(name, role=role, project=project, password="a stream finds its way")[0]


def run(number: int = 1, *, project: str = "mine", minutes: float | None = None, **fields: Any) -> RunSummary:
    """Store a run that began some minutes before noon."""
    started = int(NOW.timestamp() * 1_000_000) - int((number if minutes is None else minutes) * 60_000_000)
    known = {
        "title": f"message {number}", "status": "answered", "agent": "coder", "model": "orion-3", "events": 20,
        "tools": ["read_file"], "duration_ms": 19_000, "cost_usd": 0.04, "newest_us": started,
    }  # fmt: skip
    made: RunSummary = RunSummary.objects.create(
        project=project, stream=f"agent_run-{number}", category="agent_run", started_us=started, position=number,
        **{**known, **fields},
    )  # fmt: skip
    return made


def titles(q: str = "", *, before: str = "", after: str = "") -> list[str]:
    """Return the titles of a page of the list."""
    page = queries.run_page("mine", q=q, before=before, after=after, now=NOW)
    assert not page.query.problems
    return [row.title for row in page.rows]


# --- Which runs -------------------------------------------------------------------------------------------------------


def test_the_newest_run_comes_first() -> None:
    """Order is the start, not the arrival."""
    run(1, minutes=30)
    run(2, minutes=10)
    run(3, minutes=20)
    assert titles() == ["message 2", "message 3", "message 1"]


def test_runs_of_other_projects_never_appear() -> None:
    """Neither as rows nor in counts, nor in what the menu offers."""
    run(1)
    run(2, project="theirs", agent="their-agent")
    page = queries.run_page("mine", q="", before="", after="", now=NOW)
    assert [row.title for row in page.rows] == ["message 1"]
    assert page.matching == page.counted == 1
    assert "their-agent" not in str(page.facets)


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("agent:coder", [1]), ("agent:CODER", [1]), ("agent:cod*", [1]), ("agent:*s", [2]), ("agent:coder,ops", [1, 2]),
        ("-agent:coder", [2]), ('agent:"cod*"', []), ("tool:edit_file", [2]), ("tool:edit", []), ("tool:edit*", [2]),
        ("tool:検索", [1]), ("failed", [2]), ("-failed", [1]), ("synthetic", [1]), ("steps:>100", [2]),
        ("events:<=100", [1]), ("cost:>1", [2]), ("cost:0.04", [1]), ("errors:>0", [2]), ("refund", [2]),
        ('"message 1"', [1]), ("-refund", [1]), ("last:15m", [1]), ("since:2026-11-22T12:50", [1]),
        ("until:2026-11-22T12:50", [1, 2]), ("until:2026-11-22T12:49", [2]), ("until:2026-11-21", []),
        ("since:2026-11-22", [1, 2]), ("user:user-42 refund", [2]), ("user:user-42 agent:coder", []),
        ("outcome:failure", [2]), ("status:answered agent:coder,ops -refund", [1]), ("model:*lyra*", [2]),
        ("last:999999w", [1, 2]),
    ],
)  # fmt: skip
def test_a_query_narrows_the_list(q: str, found: list[int]) -> None:
    """Each key looks at its own field; terms hold together."""
    run(1, minutes=10, agent="coder", tools=["read_file", "検索"], synthetic=True)
    run(
        2, minutes=60, agent="ops", model="a-lyra-mini", tools=["edit_file"], outcome="failure", events=200,
        cost_usd=5.01, tool_errors=3, title="refund invoice 5531", subject="user-42",
    )  # fmt: skip
    page = queries.run_page("mine", q=q, before="", after="", now=NOW)
    assert sorted(int(row.stream.rpartition("-")[2]) for row in page.rows) == found
    assert page.matching == len(found)


def test_signs_of_the_database_are_plain_text() -> None:
    """Percent and underscore in a query stand for themselves."""
    run(1, title="100% done", agent="a_b")
    run(2, title="1000 done", agent="axb")
    assert titles("100%") == ["100% done"]
    assert titles("agent:a_b") == ["100% done"]


def test_a_value_that_no_run_has_leads_to_the_nearest() -> None:
    """The suggestion is the whole query with that one value exchanged."""
    run(1, tools=["edit_file"])
    page = queries.run_page("mine", q="message tool:edit_fil", before="", after="", now=NOW)
    assert page.suggestion == Suggestion(typed="tool:edit_fil", near="edit_file", query="message tool:edit_file")


def test_a_query_with_a_problem_is_not_run() -> None:
    """Half a query would show runs that were not asked for."""
    run(1)
    page = queries.run_page("mine", q="agnt:coder", before="", after="", now=NOW)
    assert page.query.problems
    assert page.rows == []


def test_each_view_says_how_many_it_has() -> None:
    """The one whose query stands in the line is where the reader is."""
    run(1)
    run(2, tool_errors=1)
    run(3, status="aborted", tool_errors=2)
    page = queries.run_page("mine", q=" errors:>0", before="", after="", now=NOW)
    assert [(tab.view.slug, tab.count) for tab in page.tabs] == [
        ("all", "3"), ("tool-failures", "2"), ("running", "0"), ("over-1", "0"), ("aborted", "1"),
    ]  # fmt: skip
    assert [tab.view.slug for tab in page.tabs if tab.is_here] == ["tool-failures"]


def test_counting_stops_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a number of runs only the newest are counted."""
    monkeypatch.setattr(queries, "COUNTED", 3)
    for number in range(1, 6):
        run(number, agent="coder" if number % 2 else "ops")
    page = queries.run_page("mine", q="agent:coder", before="", after="", now=NOW)
    assert page.match_sentence == "about 2 match"
    assert page.tabs[0].count == "3+"


def test_a_number_beyond_what_is_counted_is_estimated_and_rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """As dense as the newest lie among the ids; what matches of them is taken as its share of all."""
    monkeypatch.setattr(queries, "COUNTED", 100)
    RunSummary.objects.bulk_create(
        RunSummary(
            project="mine" if number % 2 else "theirs", stream=f"agent_run-{number}", category="agent_run", title="x",
            status="answered", agent="coder" if number % 4 == 1 else "ops", started_us=number, newest_us=number,
            position=number,
        )
        for number in range(1, 2_469)
    )  # fmt: skip
    assert queries.run_page("mine", q="", before="", after="", now=NOW).match_sentence == "about 1,240 match"
    assert queries.run_page("mine", q="agent:coder", before="", after="", now=NOW).match_sentence == "about 620 match"


# --- Pages ------------------------------------------------------------------------------------------------------------


def walk(q: str = "") -> list[str]:
    """Return the streams of all pages, from the newest to the oldest."""
    seen, before = [], ""
    while True:
        page = queries.run_page("mine", q=q, before=before, after="", now=NOW)
        seen += [row.stream for row in page.rows]
        if not page.older:
            return seen
        before = page.older


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(starts=st.lists(st.integers(0, 4), min_size=1, max_size=14), size=st.integers(1, 5))
def test_pages_hold_every_run_once(starts: list[int], size: int) -> None:
    """Also where many runs began in the same microsecond and a page ends among them."""
    RunSummary.objects.all().delete()
    for number, minutes in enumerate(starts):
        run(number, minutes=minutes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queries, "PAGE", size)
        assert sorted(walk()) == sorted(f"agent_run-{number}" for number in range(len(starts)))


def test_runs_that_arrive_meanwhile_neither_hide_nor_double_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page is cut behind a row, so what is stored above it changes nothing below."""
    monkeypatch.setattr(queries, "PAGE", 3)
    for number in range(1, 8):
        run(number)
    first = queries.run_page("mine", q="", before="", after="", now=NOW)
    run(100, minutes=0)
    run(101, minutes=2.5)
    rest = titles(before=first.older)
    assert [row.title for row in first.rows] + rest == [f"message {number}" for number in range(1, 7)]


def test_newer_leads_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the same rows; near the top to the first page, which is full."""
    monkeypatch.setattr(queries, "PAGE", 2)
    for number in range(1, 8):
        run(number)
    pages = [queries.run_page("mine", q="", before="", after="", now=NOW)]
    while pages[-1].older:
        pages.append(queries.run_page("mine", q="", before=pages[-1].older, after="", now=NOW))
    back = queries.run_page("mine", q="", before="", after=pages[2].newer, now=NOW)
    assert back.rows == pages[1].rows
    assert queries.run_page("mine", q="", before="", after=pages[1].newer, now=NOW).rows == pages[0].rows
    assert pages[0].newer == ""


@pytest.mark.parametrize("cursor", ["x", "1", "1.2.3", "٣.٤", "9" * 40 + ".1", "-", "1.-1"])
def test_a_cursor_that_is_none_of_ours_shows_the_newest(cursor: str) -> None:
    """An address that was cut or made up is no error."""
    run(1)
    assert titles(before=cursor) == titles(after=cursor) == ["message 1"]


# --- The page ---------------------------------------------------------------------------------------------------------


class Tags(HTMLParser):
    """The elements of a page, with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep it."""
        self.found.append((tag, dict(attrs)))


def test_a_run_is_a_row_with_a_link(client: Client) -> None:
    """It opens by its title; failures of tools open at the first one."""
    run(1, tool_errors=2, first_error=16, title="Fix the rounding")
    html = client.get("/runs/").content.decode()
    assert 'href="/runs/agent_run-1/" title="Fix the rounding"' in html
    assert 'href="/runs/agent_run-1/?v=16"' in html


def test_what_is_not_recorded_is_said(client: Client) -> None:
    """A cost or a time that the source does not hold is neither blank nor zero."""
    run(1, cost_usd=None, duration_ms=None, time_known=False, agent="", title="agent_run-1")
    html = client.get("/runs/").content.decode()
    assert html.count("not recorded") >= 4
    assert "$0.00" not in html


def test_a_child_names_the_run_that_handed_off_to_it(client: Client) -> None:
    """By its title, or as one that the journal does not hold; another project's is never named."""
    run(1, title="the parent's words")
    run(2, parent_run="agent_run-1")
    run(3, parent_run="agent_run-9")
    run(9, project="theirs", title="a secret title")
    html = client.get("/runs/").content.decode()
    assert re.search(r'href="/runs/agent_run-1/"[^>]*>from .*the parent&#x27;s words', html)
    assert "from a run not recorded" in html
    assert "secret" not in html


@pytest.mark.parametrize("payload", PAYLOADS)
def test_words_of_agents_are_never_markup(client: Client, payload: str) -> None:
    """Titles, names and queries come out as text: no element, no handler and no htmx attribute is made from them."""
    run(1, title="plain", agent="plain", model="plain", subject="plain", tools=["plain"])
    before = [(tag, sorted(attrs)) for tag, attrs in Tags(client.get("/runs/?q=plain").content.decode()).found]
    RunSummary.objects.all().delete()
    run(1, title=payload, agent=payload, model=payload, subject=payload, tools=[payload])
    html = client.get("/runs/", {"q": '"' + payload.replace('"', '\\"') + '"'}).content.decode()
    after = Tags(html).found
    assert [(tag, sorted(attrs)) for tag, attrs in after] == before
    assert not [attrs for _tag, attrs in after if (attrs.get("href") or "").startswith("javascript")]
    assert payload not in html


def test_rows_are_beyond_the_reach_of_htmx(client: Client) -> None:
    """What agents wrote stands within `hx-disable`."""
    run(1)
    tags = Tags(client.get("/runs/").content.decode()).found
    assert ("hx-disable" in dict(next(attrs for tag, attrs in tags if tag == "table"))) is True


def _without_tokens(html: str) -> str:
    """Return a page without what is new in each answer: the tokens of its forms."""
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", html)


def test_the_fragment_is_the_pages_own_part(client: Client) -> None:
    """The script gets exactly what the page holds there, and the tabs and the menu out of band."""
    for number in range(3):
        run(number)
    page = client.get("/runs/?q=message").content.decode()
    part = client.get("/runs/?q=message", headers={"HX-Request": "true"})
    rows = _without_tokens(part.content.decode()).partition('<div class="runs-tabs')[0].strip()
    assert rows.startswith('<div class="runs')
    assert rows in _without_tokens(page)
    assert part.content.decode().count("hx-swap-oob") == 2
    assert "HX-Request" in part["Vary"]


def test_going_back_gets_the_whole_page(client: Client) -> None:
    """Where htmx restores history, a fragment would replace the page."""
    run(1)
    headers = {"HX-Request": "true", "HX-History-Restore-Request": "true"}
    assert client.get("/runs/", headers=headers).content.decode().startswith("<!doctype html>")


@pytest.mark.parametrize("address", ["/runs/", "/runs/?q=tool:read_file", "/runs/?q=nothing-like-it"])
def test_the_number_of_queries_does_not_grow(
    client: Client, django_assert_max_num_queries: DjangoAssertNumQueries, address: str
) -> None:
    """A page costs the same for three runs and for thirty."""
    for number in range(30):
        run(number, parent_run="agent_run-1")
    with django_assert_max_num_queries(9):
        client.get(address)


def test_a_view_may_be_asked_for_by_name(client: Client) -> None:
    """Its query stands in the line, to be changed."""
    run(1)
    html = client.get("/runs/?view=aborted").content.decode()
    assert 'value="status:aborted"' in html


def test_the_run_of_another_project_is_not_there(client: Client) -> None:
    """Its address answers as one that never existed."""
    run(1)
    run(7, project="theirs")
    assert client.get("/runs/agent_run-7/").status_code == 404


def test_a_project_one_is_no_member_of_is_not_there(client: Client) -> None:
    """Nor can it be told from one that does not exist."""
    run(7, project="theirs")
    assert client.get("/runs/?project=theirs").status_code == client.get("/runs/?project=no-such").status_code == 404


def test_strangers_are_led_to_sign_in_and_back(client: Client) -> None:
    """The query is kept."""
    response = Client().get("/runs/?q=refund")
    assert response["Location"] == "/accounts/login/?next=/runs/%3Fq%3Drefund"


def test_the_first_page_is_the_run_list(client: Client) -> None:
    """The bare address leads there, with the project that was asked for."""
    assert client.get("/?project=mine")["Location"] == "/runs/?project=mine"


def test_an_empty_project_says_how_to_begin() -> None:
    """To those who may; a viewer learns who does."""
    add_project("mine")
    engineer, viewer = Client(), Client()
    engineer.force_login(member("e.sato", "mine", Role.ENGINEER))
    viewer.force_login(member("v.ito", "mine"))
    assert "nagare import runs/ --project mine" in engineer.get("/runs/").content.decode()
    assert "Your role in mine is viewer" in viewer.get("/runs/").content.decode()


def test_a_list_that_is_behind_does_not_say_that_there_is_nothing(client: Client) -> None:
    """While the read model is built the journal's word counts; the page asks again and reloads once there are rows."""
    get_store("mine").append("agent_run-1", [event(started())], expected_version=0)
    page = client.get("/runs/").content.decode()
    assert "The run list is being built" in page
    assert "No runs yet" not in page
    headers = {"HX-Request": "true", "HX-Target": "building"}
    assert client.get("/runs/", headers=headers).status_code == 204
    run(1)
    assert client.get("/runs/", headers=headers)["HX-Refresh"] == "true"


def test_a_run_is_only_running_while_it_is_heard_of() -> None:
    """An import from last year that never ended is said to have no end."""
    recent = int((NOW - timedelta(seconds=12)).timestamp() * 1_000_000)
    run(1, status="running", newest_us=recent)
    run(2, status="running")
    run(3, status="running", newest_us=recent, time_known=False)
    page = queries.run_page("mine", q="", before="", after="", now=NOW + timedelta(hours=2))
    assert [row.is_live for row in page.rows] == [False, False, False]
    page = queries.run_page("mine", q="", before="", after="", now=NOW)
    assert [row.is_live for row in page.rows] == [True, True, False]


# --- What a page weighs, and what stands beside the rows --------------------------------------------------------------


def test_a_full_page_of_the_richest_rows_stays_within_its_elements(client: Client) -> None:
    """Fifty synthetic children that failed and break a rule, with titles from right to left: 1,750 elements at most."""
    for number in range(queries.PAGE + 1):
        run(
            number, title="أضف قالب الفاتورة", tool_errors=3, first_error=4, synthetic=True, parent_run="agent_run-1",
            subject="user-42", outcome="failure", status="aborted", agent="تحليل",
            shape={"every": 1, "bars": [10, 20, 30], "failures": [2], "aborted": True},
            verdicts=[["no-loop", "fails", 4, 0, ""], ["no-failure-loop", "fails", 9, 0, ""], ["a", "holds", 9, 0, ""]],
        )  # fmt: skip
    assert len(Tags(client.get("/runs/?q=agent:*+errors:>0+-status:answered").content.decode()).found) <= 1_750


def test_each_part_of_a_query_can_be_taken_out(client: Client) -> None:
    """By a link to the query that is left, so that it works without a script."""
    run(1)
    html = client.get('/runs/?q=agent:coder -status:aborted "message 1"').content.decode()
    found = re.findall(r'class="chip runs-part" href="/runs/\?q=([^"]*)"', html)
    assert found == [
        "-status%3Aaborted%20%22message%201%22", "agent%3Acoder%20%22message%201%22",
        "agent%3Acoder%20-status%3Aaborted",
    ]  # fmt: skip


def test_a_query_that_is_not_understood_points_at_the_word(client: Client) -> None:
    """The field says that it is wrong and why; the word stands marked in its query; the way out is a link."""
    run(1)
    html = client.get("/runs/?q=refund agnt:coder last:7d").content.decode()
    assert 'refund <span class="query-word" dir="auto">agnt</span>:coder last:7d' in html
    assert 'aria-invalid="true" aria-describedby="query-problem"' in html
    assert 'Did you mean <a href="/runs/?q=refund%20agent%3Acoder%20last%3A7d">' in html


def test_of_a_long_query_what_stands_around_the_word_is_shown() -> None:
    """Far in, the place would be out of sight."""
    problem = parse(f"{'word ' * 100}agnt:x {'more ' * 100}").problems[0]
    assert problem.before.endswith("word ")
    assert (problem.before[0], len(problem.before), problem.word, len(problem.behind)) == ("…", 121, "agnt", 120)


def test_a_run_can_be_looked_at_beside_the_list(client: Client) -> None:
    """The address keeps it: the page with `peek=` holds what the script puts in its place."""
    put_coding_run(200, stream="agent_run-7", project="mine")
    fragment = client.get("/runs/agent_run-7/peek/").content.decode()
    page = client.get("/runs/?q=status:answered,running&peek=agent_run-7").content.decode()
    assert words(fragment) in words(page)
    assert 'href="/runs/agent_run-7/?v=23"' in fragment
    assert "events more" in words(fragment)


def test_a_glance_costs_two_queries_more_at_any_length(
    client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    """Session, user, membership, the run, its first rows."""
    put_coding_run(2_000, stream="agent_run-7", project="mine")
    with django_assert_max_num_queries(5):
        html = client.get("/runs/agent_run-7/peek/").content.decode()
    assert html.count("peek-line") <= 52


def test_a_run_of_another_project_is_not_looked_at(client: Client) -> None:
    """Neither as a fragment nor beside the list."""
    put_coding_run(20, stream="agent_run-7", project="theirs")
    run(1)
    assert client.get("/runs/agent_run-7/peek/").status_code == 404
    assert "hidden" in part(client.get("/runs/?peek=agent_run-7").content.decode(), '<aside class="peek', ">")


def test_the_height_of_rows_is_the_readers(client: Client) -> None:
    """Said once by a form, kept in the browser, on the root before the first paint."""
    run(1)
    response = client.post("/settings/look/", {"density": "comfortable", "next": "/runs/?q=message"})
    assert response["Location"] == "/runs/?q=message"
    assert 'data-density="comfortable"' in client.get("/runs/").content.decode()


def test_pages_keep_the_view_they_are_pages_of(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Older, newer and glances stay in the tab."""
    monkeypatch.setattr(queries, "PAGE", 2)
    for number in range(5):
        run(number, tool_errors=1)
    html = client.get("/runs/?view=tool-failures").content.decode()
    assert re.search(r'rel="next" href="\?view=tool-failures&amp;q=errors%3A%3E0&amp;before=', html)


def test_a_view_that_is_not_there_is_said(client: Client) -> None:
    """All runs stand there, and that they are not the view's."""
    run(1)
    assert "There is no such view." in client.get("/runs/?view=77").content.decode()

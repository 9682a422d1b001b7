"""The page of the access log: a sentence first, filters, pages, files; for auditors and admins."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from audits import access_queries as queries
from journal.access import Role, add_project, add_user, record_access, recording
from journal.access.acting import Actor
from journal.domain.access_log import AccessKind
from tests.access import recorder, told
from tests.api import program
from tests.run_pages import words

__all__ = ["recorder"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("recorder")]

ADDRESSES = ("/access/", "/access/export/csv/", "/access/export/jsonl/")


@pytest.fixture(autouse=True)
def _records(recorder: object) -> None:
    """Three people's doings, in a project and in another one."""
    add_project("default")
    add_project("theirs")
    ada, bob = Actor(by="ada", via="browser", origin="203.0.113.0/24"), Actor(by="=bob()", via="token ngr_abc…")
    for run in ("agent_run-1", "agent_run-2"):
        record_access("default", AccessKind.READ, "run, payload tab", of=run, who=ada)
    record_access("default", AccessKind.EXPORT, "run as a file", of="agent_run-1", detail="jsonl", who=bob)
    record_access("default", AccessKind.REFUSED, "import", outcome="refused", who=ada)
    record_access("theirs", AccessKind.READ, "run, payload tab", of="agent_run-9", who=Actor(by="eve"))


def browser(role: Role, project: str = "default") -> Client:
    """Return a browser of a member whose making and signing in is not recorded with the rest."""
    kept = recording.in_use()
    recording.use(recording.Recorder())
    user, _ = add_user(f"{role}-{project}", role=role, project=project, password="a long password")
    client = Client()
    client.force_login(user)
    recording.use(kept)
    return client


def test_the_page_begins_with_a_sentence_and_shows_the_newest_first() -> None:
    """Of this project alone."""
    said = words(browser(Role.AUDITOR).get("/access/").content.decode())
    assert "2 reads, 1 other thing done by 2 people in the last 7 days; 1 refused." in said
    assert said.index("agent_run-2") < said.rindex("agent_run-1")
    assert "agent_run-9" not in said


@pytest.mark.parametrize("address", ADDRESSES)
def test_only_auditors_and_admins_read_it(address: str) -> None:
    """Others are refused, strangers find nothing."""
    for role in Role:
        expected = 200 if role in (Role.AUDITOR, Role.ADMIN) else 403
        assert browser(role).get(address).status_code == expected
    assert browser(Role.ADMIN, "theirs").get(f"{address}?project=default").status_code == 404


@pytest.mark.parametrize(
    ("query", "count", "sentence"),
    [
        ("user=ada", 3, "2 reads by 1 person in the last 7 days; 1 refused."),
        ("kind=export", 1, "1 other thing done by 1 person in the last 7 days; none refused."),
        ("object=agent_run-1", 2, "1 read, 1 other thing done by 2 people in the last 7 days; none refused."),
        ("outcome=refused", 1, "1 refused by 1 person in the last 7 days."),
        ("until=2020-01-01", 0, "Nothing is recorded in this period that matches."),
        ("since=2020-01-01", 4, "2 reads, 1 other thing done by 2 people in this period; 1 refused."),
    ],
)
def test_a_filter_leaves_what_it_says(query: str, count: int, sentence: str) -> None:
    """And the sentence is about that."""
    html = browser(Role.ADMIN).get(f"/access/?{query}").content.decode()
    assert (html.count("<tr>") - (1 if count else 0), sentence in words(html)) == (count, True)


def test_what_cannot_be_read_is_said() -> None:
    """A time that is none, a kind that there is not."""
    client = browser(Role.ADMIN)
    for query, words_ in (("since=yesterday", "is no time"), ("kind=theft", "There is no kind")):
        response = client.get(f"/access/?{query}")
        assert response.status_code == 400
        assert words_ in response.content.decode()


def test_pages_follow_each_other_while_records_come_in() -> None:
    """By position: none twice, none left out."""
    for number in range(queries.PAGE + 5):
        record_access("default", AccessKind.SETTING, f"change {number}", who=Actor(by="root"))
    queries.settle()
    first = queries.page("default", {}, now=datetime.now(UTC) + timedelta(seconds=1))
    record_access("default", AccessKind.SETTING, "meanwhile", who=Actor(by="root"))
    before = dict(part.split("=") for part in first.older.split("&"))
    second = queries.page("default", before, now=datetime.now(UTC))
    found = [entry.what for entry in (*first.entries, *second.entries)]
    assert len(found) == len({entry.id for entry in (*first.entries, *second.entries)}) == queries.PAGE + 9
    assert found[0] == f"change {queries.PAGE + 4}"
    assert second.older == ""


def test_a_file_holds_all_and_is_no_formula() -> None:
    """The oldest first; that it was taken is in the log afterwards."""
    client = browser(Role.AUDITOR)
    rows = list(csv.DictReader(client.get("/access/export/csv/").getvalue().decode().splitlines()))
    assert [row["object"] for row in rows] == ["agent_run-1", "agent_run-2", "agent_run-1", ""]
    assert rows[2]["by"] == "'=bob()"
    lines = client.get("/access/export/jsonl/?user=ada").getvalue().splitlines()
    assert [json.loads(line)["what"] for line in lines] == ["run, payload tab", "run, payload tab", "import"]
    assert [what for _, what, _ in told()[-2:]] == ["access log as a file", "access log as a file"]
    assert client.get("/access/export/xlsx/").status_code == 404


@pytest.mark.parametrize("query", ["user=%00ada", "user=++ada+", "user=ada&object=%00"])
def test_a_file_holds_what_the_page_shows_of_the_same_filter(query: str) -> None:
    """Also where it has what no database can be asked for."""
    client = browser(Role.AUDITOR)
    assert client.get(f"/access/?{query}").status_code == 200
    lines = client.get(f"/access/export/jsonl/?{query}").getvalue().splitlines()
    assert [json.loads(line)["by"] for line in lines] == ["ada"] * 3


@pytest.mark.parametrize("text", ["%00", "%C3%A9", "x" * 299])
def test_no_text_in_a_filter_breaks_it(text: str) -> None:
    """On the page, in a file and over the API; no record is named so."""
    client, machine = browser(Role.AUDITOR), program("audit", user="machine", role=Role.AUDITOR)
    for name in ("user", "object"):
        assert client.get(f"/access/?{name}={text}").status_code == 200
        assert client.get(f"/access/export/csv/?{name}={text}").status_code == 200
        machine.get(f"/access?{name}={text}")
        assert machine.status in {200, 400}

"""Runs over HTTP say what the commands and the pages say."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from journal.domain.event import EventData
from journal.runtime.projection import catch_up_all
from journal.store import get_store
from tests.api import Api, program
from tests.builders import NOON, event, failed, reasoned, returned, started
from tests.run_pages import put, put_coding_run

pytestmark = pytest.mark.django_db


@pytest.fixture
def api() -> Api:
    """A program that may read."""
    return program("read")


def printed(*arguments: str) -> Any:
    """Return what a command prints with `--json`."""
    out = io.StringIO()
    call_command(*arguments, "--json", stdout=out)
    return json.loads(out.getvalue())


def put_run(number: int, **fields: Any) -> str:
    """Put a small run into the journal."""
    events = [event(started(prompt=f"Task {number}", **fields), at=NOON.replace(minute=number)), event(reasoned())]
    return put(f"agent_run-{number}", [*events, event(failed() if number % 2 else returned())])


TOLD = (
    ("/state", ["state"]),
    ("/state?version=17", ["state", "--version", "17"]),
    ("/state?version=0", ["state", "--version", "0"]),
    ("/explain", ["explain"]),
    ("/explain?after=20&until=24", ["explain", "--after", "20", "--until", "24"]),
    ("/explain?after=900", ["explain", "--after", "900"]),
    ("/diff?from=22&to=23", ["diff", "--from", "22", "--to", "23"]),
    ("/diff?from=40&to=3", ["diff", "--from", "40", "--to", "3"]),
    ("/diff?from=0&to=60", ["diff", "--from", "0", "--to", "60"]),
)


def test_a_run_is_told_as_the_command_tells_it(api: Api) -> None:
    """State, prose and diff are one document, over HTTP and on a terminal."""
    stream = put_coding_run(60)
    for path, (name, *options) in TOLD:
        assert api.get(f"/runs/{stream}{path}") == printed(name, stream, *options), path
        assert api.status == 200


def test_runs_are_listed_as_the_command_lists_them(api: Api) -> None:
    """Newest first, page by page without a hole."""
    for number in range(5):
        put_run(number)
    expected = printed("runs")["runs"]
    found, following = [], "/runs?limit=2"
    while following:
        told = api.get(following)
        found += told["items"]
        following = told["next"]
    assert found == expected
    assert [run["stream"] for run in found] == [f"agent_run-{number}" for number in (4, 3, 2, 1, 0)]
    assert api.get("/runs/agent_run-3") == found[1]


def test_a_run_that_arrives_meanwhile_moves_no_page(api: Api) -> None:
    """The second page is the same as it would have been."""
    for number in range(4):
        put_run(number)
    first = api.get("/runs?limit=2")
    put_run(9)
    second = api.get(first["next"])
    assert [run["stream"] for run in second["items"]] == ["agent_run-1", "agent_run-0"]


FILTERS: tuple[tuple[str, list[int]], ...] = (
    ("agent=coder", [3, 2, 1, 0]),
    ("agent=cod", []),
    ("agent=cod*", []),
    ("model=orion-3&tool=read_file", [3, 2, 1, 0]),
    ("tool=write_file", []),
    ("status=running", [3, 2, 1, 0]),
    ("status=aborted", []),
    ("failed=true", []),
    ("failed=false", [3, 2, 1, 0]),
    ("q=errors:%3E0", [3, 1]),
    ("q=errors:%3E0&since=2026-11-22T12:02:00Z", [3]),
    ("since=2026-11-22T12:01:00Z&until=2026-11-22T12:02:00Z", [2, 1]),
    ('agent=x"%20failed', []),
)


def test_the_list_is_filtered(api: Api) -> None:
    """By the query language, and by parameters whose values are taken as they are."""
    for number in range(4):
        put_run(number)
    for query, numbers in FILTERS:
        found = [run["stream"] for run in api.get(f"/runs?{query}")["items"]]
        assert found == [f"agent_run-{number}" for number in numbers], query


@pytest.mark.parametrize(
    ("query", "kind", "words"),
    [
        ("q=foo:bar", "query-refused", "There is no key foo"),
        ("since=yesterday", "query-refused", "takes a date"),
        ("cursor=1", "malformed", "cursor"),
        ("status=lost", "malformed", "status"),
        ("failed=perhaps", "malformed", "failed"),
        ("limit=5000", "malformed", "limit"),
    ],
)
def test_a_question_that_means_nothing_is_refused(api: Api, query: str, kind: str, words: str) -> None:
    """400, with what is wrong."""
    told = api.get(f"/runs?{query}")
    assert (api.status, told["type"]) == (400, f"/api/docs/#{kind}")
    assert words in told["detail"]


@pytest.mark.parametrize("part", ["", "/state", "/explain", "/diff?from=0&to=1", "/graph"])
def test_a_run_that_is_not_there(api: Api, part: str) -> None:
    """404 by its name, and so is a version past the end."""
    told = api.get(f"/runs/agent_run-9{part}")
    assert (api.status, told["stream"]) == (404, "agent_run-9")


def test_a_version_past_the_end_names_the_newest(api: Api) -> None:
    """404 with the version there is; a diff without its ends is a question of another kind."""
    stream = put_run(1)
    assert api.get(f"/runs/{stream}/state?version=4")["newest"] == 3
    assert api.get(f"/runs/{stream}/diff?from=1&to=4")["newest"] == 3
    assert "`to`" in api.get(f"/runs/{stream}/diff?from=1")["detail"]
    assert api.status == 400


def test_what_was_just_appended_can_be_asked_for(api: Api) -> None:
    """State and prose at once; the run itself and its graph after a moment that the answer waits for."""
    get_store().append("agent_run-1", [event(started()), event(reasoned())], expected_version=0)
    for part in ("/state", "/explain", "", "/graph"):
        api.get(f"/runs/agent_run-1{part}")
        assert api.status == 200, part


def test_the_graph_has_every_link_of_its_events(api: Api) -> None:
    """Also from and to other runs; a cause that the journal does not hold is named."""
    parent = put("agent_run-1", [event(started()), event(reasoned())])
    cause = list(get_store().read_stream(parent))[-1]
    child = [
        event(started(), causation_id=cause.id),
        event(reasoned(), causation_id="01992f0c-0000-7000-8000-000000000000"),
        event(returned()),
    ]
    put("agent_run-2", child)
    told = api.get("/runs/agent_run-2/graph?limit=2")
    first, second = told["items"]
    assert [(one["version"], one["kind"], one["lane"]) for one in told["items"]] == [
        (1, "started", "input"),
        (2, "reasoned", "decision"),
    ]
    assert [(one["stream"], one["version"]) for one in told["others"]] == [("agent_run-1", 2)]
    assert {(link["cause"], link["effect"], link["kind"]) for link in told["links"]} == {
        (cause.id, first["id"], "spawned"),
        (told["missing"][0], second["id"], "answers"),
    }
    assert told["missing"] == ["01992f0c-0000-7000-8000-000000000000"]
    rest = api.get(told["next"])
    assert ([one["version"] for one in rest["items"]], rest["next"]) == ([3], None)
    assert [one["stream"] for one in api.get("/runs/agent_run-1/graph")["others"]] == ["agent_run-2"]


def test_lists_take_a_fixed_number_of_queries(api: Api) -> None:
    """However many rows there are."""
    stream = put_coding_run(60)
    for number in range(4):
        put_run(number)
    api.get("/runs")

    def queries(path: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            api.get(path)
        assert api.status == 200
        return len(captured)

    assert queries("/runs?limit=1") == queries("/runs?limit=50") == 2
    assert queries(f"/runs/{stream}/graph?limit=2") == queries(f"/runs/{stream}/graph?limit=50")
    assert queries(f"/runs/{stream}/graph") <= 10
    assert queries(f"/runs/{stream}/explain?until=2") == queries(f"/runs/{stream}/explain") == 5


def test_hostile_payloads_are_json_and_nothing_else(api: Api) -> None:
    """What a browser is given is never a page."""
    text = b'{"prompt":"<script>alert(1)</script>","model":"<img src=x onerror=alert(1)>"}'
    get_store().append("agent_run-1", [EventData(type="agent_run.started", data=text)], expected_version=0)
    catch_up_all()
    for path in ("/runs", "/runs/agent_run-1/state", "/runs/agent_run-1/explain", "/events"):
        api.get(path)
        assert api.response["Content-Type"] == "application/json"
        assert api.response["X-Content-Type-Options"] == "nosniff"
        assert api.response["Cache-Control"] == "no-store"

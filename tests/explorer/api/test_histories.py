"""Other histories over HTTP: runs compared, and what-ifs."""

from __future__ import annotations

from typing import Any

import pytest

from journal.domain import codec
from journal.store import get_store
from tests.api import Api, program
from tests.run_pages import put_coding_run

pytestmark = pytest.mark.django_db


@pytest.fixture
def api() -> Api:
    """A program that may read."""
    return program("read")


def test_two_runs_are_compared(api: Api) -> None:
    """Where they part, step by step; a run against a state of itself too."""
    one, other = put_coding_run(40), put_coding_run(30, stream="agent_run-8")
    told = api.get(f"/runs/{one}/compare?with={other}")
    assert api.status == 200
    assert (told["a"]["stream"], told["a"]["events"], told["b"]["events"]) == (one, 40, 30)
    assert told["same_until"]["a"] == told["same_until"]["b"]
    assert told["steps"]
    api.get(f"/runs/{one}/compare?with={one}@12")
    assert (api.status, api.get(f"/runs/{one}/compare?with={one}@41")["newest"]) == (200, 40)
    assert api.get(f"/runs/{one}/compare?with=agent_run-9")["stream"] == "agent_run-9"
    assert api.status == 404
    api.get(f"/runs/{one}/compare")
    assert api.status == 400


def test_a_what_if_answers_and_writes_nothing(api: Api) -> None:
    """Another state, what differs and why, what the rules say; the journal is as it was."""
    stream = put_coding_run(40)
    before = [codec.line(event) for event in get_store().read_stream(stream)]
    edits: list[Any] = [
        {"op": "insert", "version": 40, "event": {"type": "agent_run.aborted", "data": {"reason": "x"}}}
    ]
    told = api.post(f"/runs/{stream}/whatif", {"edits": edits, "rules": ["edit-after-reading"]})
    assert api.status == 200
    assert (told["state"]["status"], told["state"]["version"], told["events"]) == ("aborted", 41, 41)
    assert "/status" in {change["path"] for change in told["diff"]}
    assert [verdict["rule"] for verdict in told["verdicts"]] == ["edit-after-reading"]
    assert [codec.line(event) for event in get_store().read_stream(stream)] == before


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"edits": [{"op": "move", "version": 3}]}, 422),
        ({"edits": [{"op": "insert", "version": 3}]}, 422),
        ({"edits": [{"op": "drop", "version": 99}]}, 422),
        ({"edits": [{"op": "drop", "version": 3}], "rules": ["no-such-rule"]}, 404),
        ({"edits": [{"op": "drop", "version": 3}], "at": 99}, 404),
        ({"edit": []}, 422),
    ],
)
def test_a_what_if_that_cannot_be_is_refused(api: Api, body: Any, status: int) -> None:
    """With what is wrong with which edit."""
    told = api.post(f"/runs/{put_coding_run(40)}/whatif", body)
    assert (api.status, told["status"]) == (status, status)

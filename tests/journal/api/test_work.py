"""Rules and the work that evaluates them, read models, status, jobs."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import call_command

from journal.access import Role
from journal.models import Job
from journal.runtime import job as jobs
from journal.runtime.projection import registered
from tests.api import Api, program
from tests.run_pages import put_coding_run

pytestmark = pytest.mark.django_db
RULE = {"name": "few-errors", "description": "At most one error.", "expression": "state.totals.tool_errors < 2"}


@pytest.fixture
def engineer() -> Api:
    """A program that may what an engineer may."""
    return program("read", "ingest", role=Role.ENGINEER)


def printed(*arguments: str) -> Any:
    """Return what a command prints with `--json`."""
    out = io.StringIO()
    call_command(*arguments, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_a_rule_is_saved_in_versions(engineer: Api) -> None:
    """201 and its version; the same text again is the version that is there; lists show it beside the built-in ones."""
    assert (engineer.post("/rules", {**RULE, "monotone": True}), engineer.status) == (
        {"name": "few-errors", "version": 1},
        201,
    )
    assert (engineer.post("/rules", {**RULE, "monotone": True})["version"], engineer.status) == (1, 200)
    assert (engineer.post("/rules", RULE)["version"], engineer.status) == (2, 201)
    call_command("rebuild", "rules", "--wait", stdout=io.StringIO())
    listed = engineer.get("/rules")
    by_name = {rule["name"]: rule for rule in listed["items"]}
    assert (by_name["few-errors"]["version"], by_name["few-errors"]["kind"]) == (2, "saved")
    assert by_name["edit-after-reading"]["kind"] == "built-in"
    assert listed["next"] is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"expression": "state.totals.tool_errors <"},
        {"expression": "__import__('os').system('true')"},
        {"name": "edit-after-reading"},
        {"name": "No Name"},
    ],
)
def test_a_rule_that_cannot_be_is_refused(engineer: Api, wrong: dict[str, str]) -> None:
    """With what is wrong, and in which field."""
    told = engineer.post("/rules", {**RULE, **wrong})
    assert (engineer.status, told["type"], told["field"]) == (422, "/api/docs/#refused", next(iter(wrong)))
    assert "few-errors" not in {rule["name"] for rule in engineer.get("/rules")["items"]}


def test_a_bisect_is_a_job_with_the_commands_answer(engineer: Api, django_capture_on_commit_callbacks: Any) -> None:
    """202 and where to ask; its result is what `nagare bisect --json` prints."""
    stream = put_coding_run(60)
    with django_capture_on_commit_callbacks(execute=True):
        told = engineer.post("/bisects", {"rule": "edit-after-reading", "stream": stream})
    assert (engineer.status, told["kind"]) == (202, "bisect")
    job = engineer.get(engineer.response["Location"])
    assert (job["status"], job["error"]) == ("done", None)
    assert job["result"] == printed("bisect", "edit-after-reading", "--stream", stream)


def test_a_regrade_is_a_job_with_the_commands_answer(engineer: Api, django_capture_on_commit_callbacks: Any) -> None:
    """Counts and failures over the runs of a range."""
    put_coding_run(60)
    with django_capture_on_commit_callbacks(execute=True):
        told = engineer.post("/regrades", {"rule": "edit-after-reading", "since": "2026-01-01T00:00:00Z"})
    assert (engineer.status, told["kind"]) == (202, "regrade")
    job = engineer.get(f"/jobs/{told['id']}")
    assert (job["status"], job["result"]["runs"], job["result"]["rule"]) == ("done", 1, "edit-after-reading")
    assert job["progress"]["done"] == job["progress"]["total"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/bisects", {"rule": "no-such-rule", "stream": "agent_run-7"}, 404),
        ("/bisects", {"rule": "edit-after-reading", "stream": "agent_run-none"}, 404),
        ("/bisects", {"rule": "edit-after-reading", "stream": "agent_run-7", "tool": "x"}, 422),
        ("/bisects", {"rule": "edit-after-reading", "since": "yesterday"}, 422),
        ("/regrades", {"rule": "no-such-rule"}, 404),
        ("/regrades", {"rule": "edit-after-reading", "query": "foo:bar"}, 400),
        ("/schedules", {"name": "x", "kind": "regrade", "cron": "every day"}, 422),
        ("/schedules", {"name": "x", "kind": "nothing", "cron": "0 3 * * *"}, 422),
    ],
)
def test_work_that_cannot_be_is_refused(engineer: Api, path: str, body: Any, status: int) -> None:
    """And no job is written."""
    put_coding_run(10)
    told = engineer.post(path, body)
    assert (engineer.status, told["status"]) == (status, status)
    assert not Job.objects.exists()


def test_a_reader_bisects_a_run_but_not_the_journal() -> None:
    """One run is like reading it; all of them are work for the installation."""
    put_coding_run(10)
    reader = program("read", role=Role.VIEWER)
    reader.post("/bisects", {"rule": "edit-after-reading", "stream": "agent_run-7"})
    assert reader.status == 202
    reader.post("/bisects", {"rule": "edit-after-reading"})
    assert reader.status == 403


def test_a_schedule_is_added_and_listed(engineer: Api) -> None:
    """With the time it is due next."""
    body = {"name": "every night", "kind": "regrade", "cron": "0 3 * * *", "arguments": {"rule": "edit-after-reading"}}
    added = engineer.post("/schedules", body)
    assert (engineer.status, added["name"], added["is_paused"]) == (201, "every night", False)
    assert added["next_due_at"].endswith("03:00:00.000000Z")
    assert engineer.get("/schedules") == {"items": [added], "next": None}


# --- Jobs -------------------------------------------------------------------------------------------------------------


def job(kind: str, project: str | None) -> Job:
    """Write a queued job."""
    return jobs.enqueue(kind=kind, project=project, user_id=None, arguments={}, unit="runs")


def test_a_job_is_cancelled_by_whoever_may_start_it(engineer: Api) -> None:
    """One that has ended stays as it is."""
    queued = job("import", "default")
    reader = program("read", role=Role.VIEWER)
    assert reader.get(f"/jobs/{queued.id}")["status"] == "queued"
    reader.post(f"/jobs/{queued.id}/cancel")
    assert reader.status == 403
    assert engineer.post(f"/jobs/{queued.id}/cancel")["status"] == "cancelled"
    assert engineer.post(f"/jobs/{queued.id}/cancel")["finished_at"]
    engineer.post(f"/jobs/{job('rebuild', None).id}/cancel")
    assert engineer.status == 403


def test_another_projects_job_is_not_there(engineer: Api) -> None:
    """Neither to read nor to stop."""
    program("admin", project="theirs")
    theirs = job("import", "theirs")
    engineer.get(f"/jobs/{theirs.id}")
    assert engineer.status == 404
    engineer.post(f"/jobs/{theirs.id}/cancel")
    assert engineer.status == 404
    theirs.refresh_from_db()
    assert theirs.status == "queued"


def test_a_read_model_is_rebuilt(django_capture_on_commit_callbacks: Any) -> None:
    """Once at a time; one that nobody registered is not there."""
    put_coding_run(10)
    admin = program("admin")
    with django_capture_on_commit_callbacks():
        first = admin.post("/projections/causes/rebuild")
        assert (admin.status, admin.response["Location"]) == (202, f"/api/v1/jobs/{first['id']}")
        assert admin.post("/projections/causes/rebuild")["id"] == first["id"]
    admin.post("/projections/nothing/rebuild")
    assert admin.status == 404


def test_projections_and_status_are_told(engineer: Api) -> None:
    """As the commands tell them."""
    put_coding_run(10)
    told = engineer.get("/projections")
    assert told["items"] == printed("projections")["projections"]
    assert {one["name"] for one in told["items"]} == {one.name for one in registered()}
    status = engineer.get("/status")
    assert set(status) == set(printed("status"))
    assert status["horizon"]["head"] >= 10

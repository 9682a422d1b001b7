"""Schedules over HTTP: added, looked at, run now, paused, let go on, deleted; each by who may start such work."""

from __future__ import annotations

from typing import Any

import pytest

from journal.access import Role
from journal.runtime import schedules
from tests.api import Api, program

pytestmark = pytest.mark.django_db
REGRADE = {"name": "Morning", "kind": "regrade", "cron": "0 6 * * *", "arguments": {"rule": "no-loop"}}
REBUILD = {"name": "Weekly", "kind": "rebuild", "cron": "0 3 * * 1", "arguments": {"projection": "rules"}}


def engineer() -> Api:
    """Return a program that may what an engineer may."""
    return program("read", "ingest", role=Role.ENGINEER)


@pytest.mark.parametrize("body", [REGRADE, REBUILD])
def test_a_schedule_goes_through_its_life(body: dict[str, Any]) -> None:
    """A re-grade and a rebuild: added, found by its address, run now, paused, let go on, deleted."""
    admin = program("admin")
    added = admin.post("/schedules", {**body, "timezone": "Europe/Berlin"})
    assert (admin.status, added["has_open_job"]) == (201, False)
    at = admin.response["Location"].removeprefix("/api/v1")
    assert admin.get(at) == added
    job = admin.post(f"{at}/run")
    assert (admin.status, job["kind"]) == (202, body["kind"])
    assert admin.get(at)["last_job"] == job["id"]
    assert admin.get(at)["next_due_at"] == added["next_due_at"]
    assert admin.post(f"{at}/pause")["next_due_at"] is None
    assert admin.post(f"{at}/continue")["is_paused"] is False
    assert admin.post(f"{at}/delete")["id"] == added["id"]
    assert admin.get(at)["status"] == 404
    assert admin.get("/schedules")["items"] == []


def test_a_line_of_cron_that_is_none_is_a_problem_that_names_its_field() -> None:
    """And the part of it that is wrong."""
    api = engineer()
    problem = api.post("/schedules", {**REGRADE, "cron": "0 25 * * *"})
    assert (api.status, problem["field"]) == (422, "cron")
    assert "the hour '25' is none" in problem["detail"]


def test_a_job_that_is_open_is_not_run_beside_itself() -> None:
    """The second request is refused until the first job has ended."""
    api = engineer()
    at = f"/schedules/{api.post('/schedules', REGRADE)['id']}"
    api.post(f"{at}/run")
    assert "has not ended" in api.post(f"{at}/run")["detail"]
    assert api.status == 422


def test_whoever_may_not_start_such_work_keeps_no_schedule_of_it() -> None:
    """An engineer of rebuilds, a viewer of anything; a stranger finds none."""
    admin = program("admin")
    at = f"/schedules/{admin.post('/schedules', REBUILD)['id']}"
    api, viewer, stranger = engineer(), program("read", role=Role.VIEWER), program("admin", project="theirs")
    for verb in ("run", "pause", "continue", "delete"):
        for asker, status in ((api, 403), (viewer, 403), (stranger, 404)):
            asker.post(f"{at}/{verb}")
            assert asker.status == status, verb
    assert api.post("/schedules", REBUILD)["status"] == 403
    assert viewer.post("/schedules", REGRADE)["status"] == 403
    assert viewer.get(at)["name"] == "Weekly"
    assert [one.name for one in schedules.listing("default")] == ["Weekly"]

"""Audits that are due again and again: made like any other, each once, and for those who may make audits."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from django.test import Client

from audits import jobs
from journal.access import Role, add_user
from journal.access.projects import ensure_project
from journal.runtime import schedules
from journal.runtime.schedules import ScheduleRefused
from journal.store import get_store
from tests.builders import event, started

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
NIGHT = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)
FORM = {"name": "weekly", "kind": "audit", "cron": "0 3 * * *", "timezone": "UTC", "subject": "user-42", "days": "7"}


@pytest.fixture(autouse=True)
def journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run for somebody; pages are made elsewhere."""
    ensure_project("default")
    get_store().append("agent_run-1", [event(started(), subjects=("user-42",))], expected_version=0)
    monkeypatch.setattr("audits.render.available", lambda: "no pages here")


def signed_in(role: Role) -> Client:
    """Return a browser of somebody with a role."""
    user, _ = add_user(f"the-{role}", role=role, project="default", password="a-long-password")
    client = Client()
    client.force_login(user)
    return client


def test_a_time_that_comes_makes_one_audit_and_the_journal_tells_of_it() -> None:
    """With the question as it was scheduled, and who asked: the schedule."""
    arguments = {"subject": "user-42", "days": 7, "purpose": "weekly look"}
    kept = schedules.add(
        project="default", name="weekly", kind="audit", cron="0 3 * * *", arguments=arguments, by="ada", now=NOW
    )
    (job,) = schedules.run_due(now=NIGHT)
    assert schedules.run_due(now=NIGHT) == []
    jobs.run(job.id)
    schedules.settle()
    made = next(iter(get_store().read_stream("audit-default"))).payload
    assert (made["by"], made["purpose"], made["query"]["subject"]) == (f"schedule {kept.id}", "weekly look", "user-42")
    since, until = (datetime.fromisoformat(made["query"][name]) for name in ("from", "until"))
    assert (until - since).days == 7
    found = schedules.find(kept.id, project="default")
    assert found is not None
    assert (found.outcome or {})["status"] == "done"


@pytest.mark.parametrize(
    "arguments",
    [{}, {"subject": "a", "correlation": "b"}, {"subject": "a", "days": "x"}, {"subject": "a", "days": 0},
     {"subject": "a", "rule": "b"}, {"subject": ["a"]}, {"subject": "a", "days": True},
     {"subject": "a", "days": "9" * 5_000}, {"subject": "a", "days": 10**5_000}, {"subject": "a", "days": 3_661}],
)  # fmt: skip
def test_a_question_that_is_none_is_refused_when_it_is_scheduled(arguments: dict[str, object]) -> None:
    """Not at three in the morning."""
    with pytest.raises(ScheduleRefused):
        schedules.add(project="default", name="x", kind="audit", cron="0 3 * * *", arguments=arguments, by=None)


def test_only_who_may_make_audits_schedules_them() -> None:
    """An engineer keeps other schedules; an admin this one, by page and by API."""
    engineer, admin = signed_in(Role.ENGINEER), signed_in(Role.ADMIN)
    assert engineer.post("/schedules/", FORM).status_code == 403
    assert admin.post("/schedules/", FORM).status_code == 302
    (kept,) = schedules.listing("default")
    assert kept.arguments == {"subject": "user-42", "days": "7"}
    assert engineer.post(f"/schedules/{kept.id}/", {**FORM, "subject": "user-7"}).status_code == 403
    assert "audit of user-42 over 7 days" in admin.get("/schedules/").content.decode()
    body = {"name": "x", "kind": "audit", "cron": "0 3 * * *", "arguments": {"subject": "user-42"}}
    for client, status in ((engineer, 403), (admin, 201)):
        answer = client.post("/api/v1/schedules", json.dumps(body), content_type="application/json")
        assert answer.status_code == status, answer.content

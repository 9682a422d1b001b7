"""Schedules in the browser: added, changed, paused, let go on, deleted."""

from __future__ import annotations

import re

import pytest

from journal.access import Role
from journal.domain.explain import explain
from journal.runtime import schedules
from journal.store import get_store
from tests.explorer.judged import HOSTILE, page, person, projects
from tests.run_pages import words

__all__ = ["projects"]

pytestmark = pytest.mark.usefixtures("projects")
FORM = {
    "name": "Morning",
    "kind": "regrade",
    "cron": "0 6 * * *",
    "timezone": "UTC",
    "rule": "no-loop",
    "query": "last:24h",
}


def only() -> schedules.Scheduled:
    """Return the one schedule there is."""
    (found,) = schedules.listing("mine")
    return found


def test_a_schedule_is_added_by_a_plain_form() -> None:
    """And stands in the list with what it does and when it is due."""
    client = person()
    assert client.post("/schedules/", FORM)["Location"] == "/schedules/"
    said = words(page(person(Role.VIEWER), "/schedules/"))
    assert "Morning re-grade by no-loop, runs matching last:24h 0 6 * * * UTC" in said
    assert "06:00:00.000 UTC not yet" in said
    assert only().arguments == {"rule": "no-loop", "query": "last:24h"}


def test_a_schedule_is_changed_paused_let_go_on_and_deleted() -> None:
    """Each by its own button; the form shows the next times."""
    client = person()
    client.post("/schedules/", FORM)
    address = f"/schedules/{only().id}/"
    assert "Next:" in words(page(client, address))
    client.post(address, {**FORM, "name": "Hourly", "cron": "0 * * * *"})
    assert (only().name, only().cron) == ("Hourly", "0 * * * *")
    client.post(address, {"do": "pause"})
    assert only().is_paused
    assert "paused" in words(page(client, "/schedules/"))
    client.post(address, {"do": "go-on"})
    assert not only().is_paused
    client.post(address, {"do": "delete"})
    assert schedules.listing("mine") == []


@pytest.mark.parametrize(
    ("change", "field"),
    [({"cron": "soon"}, "cron"), ({"timezone": "Mars"}, "timezone"), ({"rule": "nothing"}, ""), ({"name": ""}, "name"),
     ({"kind": "rebuild", "projection": "nothing"}, ""), ({"kind": "nothing"}, "")],
)  # fmt: skip
def test_what_cannot_be_is_told_and_the_form_stays(change: dict[str, str], field: str) -> None:
    """On adding and on changing."""
    client = person(Role.ADMIN)
    answer = client.post("/schedules/", {**FORM, **change})
    html = answer.content.decode()
    assert answer.status_code == 400
    assert "Nothing was changed." in words(html)
    assert f'value="{change.get("name", "Morning")}"' in html
    assert not field or re.search(rf'name="{field}"[^>]*aria-invalid="true" aria-describedby="fault"', html)
    assert schedules.listing("mine") == []


def test_only_those_who_may_grade_keep_schedules() -> None:
    """A viewer sees them; a stranger finds none."""
    person().post("/schedules/", FORM)
    address = f"/schedules/{only().id}/"
    viewer = person(Role.VIEWER)
    assert "Add a schedule" not in words(page(viewer, "/schedules/"))
    assert viewer.post("/schedules/", FORM).status_code == 403
    assert viewer.post(address, {"do": "delete"}).status_code == 403
    other = person(Role.ADMIN, "theirs")
    assert other.post(address, {"do": "delete"}).status_code == 404
    page(other, "/schedules/nothing%00/", status=404)
    assert "Morning" not in page(other, "/schedules/")
    assert only().name == "Morning"


def test_a_name_stays_text() -> None:
    """Whatever people write into it."""
    client = person()
    client.post("/schedules/", {**FORM, "name": HOSTILE})
    html = page(client, "/schedules/")
    assert "<script>alert" not in html
    assert "\u202e" not in html


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("0 25 * * *", "the hour '25' is none"),
        ("61 6 * * *", "the minute '61' is none"),
        ("0 6 * * someday", "the day of week 'someday' is none"),
        ("0 6 * *", "it has 4 parts and not 5"),
        ("0 0 31 2 *", "the parts of '0 0 31 2 *' do not go together"),
    ],
)
def test_a_line_of_cron_is_refused_by_the_part_that_is_wrong(cron: str, said: str) -> None:
    """Beside its field."""
    html = person().post("/schedules/", {**FORM, "cron": cron}).content.decode()
    fault = re.search(r'id="fault">(.*?)</span>', html)
    assert fault is not None
    assert said in words(fault[1])


def test_a_schedule_is_run_now_and_its_next_time_stays() -> None:
    """Its job is submitted once; while it is open there is no button, and a second request is refused."""
    client = person()
    client.post("/schedules/", FORM)
    before = only()
    address = f"/schedules/{before.id}/"
    assert "Run now" in page(client, "/schedules/")
    assert client.post(address, {"do": "run"})["Location"] == "/schedules/"
    after = only()
    assert (after.next_due_at, after.has_open_job) == (before.next_due_at, True)
    assert after.last_job is not None
    assert "Run now" not in page(client, "/schedules/")
    assert client.post(address, {"do": "run"}).status_code == 400
    assert only().last_job == after.last_job
    told = list(get_store("mine").read_stream(f"schedule-{before.id}"))
    assert explain(told[-1]).summary.startswith("user:engineer-of-mine ran it at ")


def test_a_rebuild_is_scheduled_by_admins_alone() -> None:
    """Whoever may not start one by hand is not offered it, and may neither add, run nor delete one."""
    form = {**FORM, "kind": "rebuild", "projection": "rules"}
    engineer, admin = person(), person(Role.ADMIN)
    assert 'value="rebuild"' not in page(engineer, "/schedules/")
    assert engineer.post("/schedules/", form).status_code == 403
    assert admin.post("/schedules/", form).status_code == 302
    assert "rebuild rules" in words(page(engineer, "/schedules/"))
    address = f"/schedules/{only().id}/"
    assert [engineer.post(address, {"do": do}).status_code for do in ("run", "pause", "delete")] == [403, 403, 403]
    assert admin.post(address, {"do": "run"}).status_code == 302
    assert only().has_open_job
    assert admin.post(address, {"do": "delete"}).status_code == 302
    assert schedules.listing("mine") == []

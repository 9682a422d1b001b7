"""Schedules in the browser: added, changed, paused, let go on, deleted."""

from __future__ import annotations

import pytest

from journal.access import Role
from journal.runtime import schedules
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
    client = person()
    answer = client.post("/schedules/", {**FORM, **change})
    html = answer.content.decode()
    assert answer.status_code == 400
    assert "Nothing was changed." in words(html)
    assert f'value="{change.get("name", "Morning")}"' in html
    assert not field or 'aria-invalid="true"' in html
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

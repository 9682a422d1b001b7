"""Retention in the browser and over HTTP: what would go, typed confirmation, holds, certificates, 410 for what went."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from journal.access import Role
from journal.domain import agent_run as run
from journal.domain.withdrawn import mark_on
from journal.runtime import retention, sealer
from journal.runtime.projection import catch_up_all
from journal.store import get_store
from tests.api import program
from tests.builders import event, reasoned, responded, returned, started
from tests.explorer.judged import HOSTILE, page, person, projects
from tests.run_pages import words

__all__ = ["projects"]

pytestmark = pytest.mark.usefixtures("projects")
HOME = "/settings/retention/"
LONG_AGO = datetime.now(UTC) - timedelta(days=400)
SECRET = "Ada lives at 4 Hidden Lane"


@pytest.fixture(autouse=True)
def _run(projects: None, settings: Any, tmp_path: Any) -> None:
    """A run of somebody, long ago, sealed and listed; tasks run at once."""
    settings.MEDIA_ROOT = tmp_path
    told("agent_run-1", "user-42")


def told(stream: str, subject: str, *, at: datetime = LONG_AGO) -> None:
    """Append a run that names somebody, seal it, list it."""
    events = [started(prompt=SECRET), responded(SECRET), reasoned(), returned(SECRET), run.Answered(response=SECRET)]
    get_store("mine").append(stream, [event(data, at=at, subjects=(subject,)) for data in events], expected_version=0)
    sealer.catch_up()
    catch_up_all()


def left(stream: str = "agent_run-1") -> int:
    """Return how many payloads a run has left."""
    return sum(mark_on(one) is None for one in get_store("mine").read_stream(stream))


def test_the_policy_is_set_and_told(django_capture_on_commit_callbacks: Any) -> None:
    """With every policy before it; a ceiling below the floor is refused, and the form keeps what was typed."""
    client = person(Role.ADMIN)
    assert "Payloads are kept for 184 days at least What" not in words(page(client, HOME))
    client.post(HOME, {"do": "policy", "floor": "30", "ceiling": "90", "reason": "board"})
    assert "Payloads are kept for 30 days at least and 90 days at most" in words(page(client, HOME))
    refused = client.post(HOME, {"do": "policy", "floor": "30", "ceiling": "9"})
    assert refused.status_code == 400
    assert "the ceiling lies below the floor" in refused.content.decode()
    assert retention.policy_of("mine").ceiling_days == 90


def test_a_purge_shows_what_would_go_and_wants_the_projects_name(django_capture_on_commit_callbacks: Any) -> None:
    """Then the run is in no list, and its addresses answer 410 with the policy's name."""
    client = person(Role.ADMIN)
    before = f"{datetime.now(UTC) - timedelta(days=200):%Y-%m-%d}"
    assert "5 payloads of 1 run would go" in words(page(client, f"{HOME}?before={before}"))
    assert client.post(HOME, {"do": "purge", "before": before, "confirm": "min"}).status_code == 400
    assert left() == 5
    with django_capture_on_commit_callbacks(execute=True):
        assert client.post(HOME, {"do": "purge", "before": before, "confirm": "mine"}).status_code == 302
    assert left() == 0
    assert "5 payloads gone" in words(page(client, HOME))
    for address in ("", "?tab=state", "events/3/", "notes/", "bisect/", "events/3/lineage/", "export/jsonl/"):
        answer = client.get(f"/runs/agent_run-1/{address}")
        assert answer.status_code == 410, address
        assert "under the default retention policy" in answer.content.decode()
    assert client.get("/runs/agent_run-2/").status_code == 404
    assert "agent_run-1" not in client.get("/runs/").content.decode()


def test_the_floor_forbids_a_purge_on_the_page_as_well() -> None:
    """The preview says so and has no button; the form is refused, and the refusal journalled."""
    client = person(Role.ADMIN)
    before = f"{datetime.now(UTC):%Y-%m-%d}"
    html = page(client, f"{HOME}?before={before}")
    assert "The floor forbids it" in html
    assert 'value="purge"' not in html
    assert client.post(HOME, {"do": "purge", "before": before, "confirm": "mine"}).status_code == 400
    assert [one.type for one in get_store("mine").read_stream("retention-purges")] == ["retention.purge_refused"]


def test_an_erasure_wants_the_subject_twice_and_gives_a_certificate(django_capture_on_commit_callbacks: Any) -> None:
    """Every tab of the run then says that it was erased; no page and no export shows what was."""
    client = person(Role.ADMIN)
    assert "5 payloads in 1 stream would go" in words(
        client.post(HOME, {"do": "look", "subject": "user-42"}).content.decode()
    )
    asked = {"do": "erase", "subject": "user-42", "ground": "Art. 17", "confirm": "user-4"}
    assert client.post(HOME, asked).status_code == 400
    assert left() == 5
    with django_capture_on_commit_callbacks(execute=True):
        assert client.post(HOME, {**asked, "confirm": "user-42"}).status_code == 302
    assert left() == 0
    html = page(client, HOME)
    assert "user-42" not in html
    for form in ("txt", "json"):
        address = html.split(f'/{form}/"')[0].rpartition('"')[2] + f"/{form}/"
        made = client.get(address)
        assert made["Content-Disposition"].startswith("attachment")
        assert "c2sp.org/tlog-proof@v1" in made.content.decode()
    for tab in ("explain", "state", "diff", "payload", "context", "causes"):
        for version in (1, 3):
            shown = page(client, f"/runs/agent_run-1/?v={version}&tab={tab}&rows=raw")
            assert "Erased on" in shown
            assert "Hidden Lane" not in shown
    for form in ("jsonl", "atif", "otlp"):
        assert b"Hidden Lane" not in client.get(f"/runs/agent_run-1/export/{form}/").getvalue()
    assert "agent_run-1" in client.get("/runs/").content.decode()
    assert client.get("/runs/?q=Hidden").status_code == 200


def test_a_page_that_was_open_forgets_what_was_erased_elsewhere(django_capture_on_commit_callbacks: Any) -> None:
    """The states kept between requests are those of the row the page shows, not of one that was made again since."""
    from explorer import timelines  # noqa: PLC0415 - what the test is about

    client = person(Role.ADMIN)
    assert "Hidden Lane" in page(client, "/runs/agent_run-1/?v=5&tab=state")
    kept = dict(timelines._kept)
    with django_capture_on_commit_callbacks(execute=True):
        client.post(HOME, {"do": "erase", "subject": "user-42", "ground": "Art. 17", "confirm": "user-42"})
    timelines._kept.update(kept)  # as in another process, which nobody told
    assert "Hidden Lane" not in page(client, "/runs/agent_run-1/?v=5&tab=state")


def test_holds_are_added_and_released_with_a_reason_and_forbid() -> None:
    """What people typed is shown as text."""
    client = person(Role.ADMIN)
    client.post(HOME, {"do": "hold", "what": "stream", "on": "agent_run-1", "kind": "incident", "reason": HOSTILE})
    assert "<script>alert" not in page(client, HOME)
    asked = {"do": "erase", "subject": "user-42", "ground": "Art. 17", "confirm": "user-42"}
    refused = client.post(HOME, asked)
    assert refused.status_code == 400
    assert "1 hold forbids it" in refused.content.decode()
    assert "refused: incident hold" in words(page(client, HOME))
    (hold,) = retention.active_holds("mine")
    assert client.post(HOME, {"do": "release", "hold": hold.id, "reason": ""}).status_code == 400
    client.post(HOME, {"do": "release", "hold": hold.id, "reason": "closed"})
    assert retention.active_holds("mine") == []


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ENGINEER, Role.AUDITOR])
def test_the_page_is_an_admins(role: Role) -> None:
    """And of another project nothing is seen or done."""
    client = person(role)
    assert client.get(HOME).status_code == 403
    assert client.post(HOME, {"do": "policy", "floor": "0"}).status_code == 403
    stranger = person(Role.ADMIN, project="theirs")
    assert "Nothing names that subject" in stranger.post(HOME, {"do": "look", "subject": "user-42"}).content.decode()
    assert left() == 5


def test_the_api_does_the_same(django_capture_on_commit_callbacks: Any) -> None:
    """Policy, holds, purges and erasures; refusals as problems; a purged run answers 410 and names the policy."""
    api = program("admin", project="mine")
    assert api.post("/retention", {"floor_days": 10, "ceiling_days": 100})["name"] == "retention policy 1"
    hold = api.post("/holds", {"stream": "agent_run-1", "reason": "case 4"})
    refused = api.post("/erasures", {"subject": "user-42", "ground": "Art. 17"})
    assert (api.status, refused["type"], refused["holds"]) == (409, "/api/docs/#held", [hold["id"]])
    before = (datetime.now(UTC) - timedelta(days=20)).isoformat()
    found = api.get("/purges", before=before)
    assert (found["runs"], list(found["held"]), found["allowed"]) == (0, ["agent_run-1"], True)
    assert api.post(f"/holds/{hold['id']}/release", {"reason": "closed"})["released_at"]
    assert api.post("/purges", {"before": datetime.now(UTC).isoformat()})["type"] == "/api/docs/#retention-refused"
    told("agent_run-2", "user-7")
    with django_capture_on_commit_callbacks(execute=True):
        api.post("/erasures", {"subject": "user-7", "ground": "Art. 17"})
    assert api.status == 202
    (erasure, _) = api.get("/erasures")["items"]
    made = api.get(f"/erasures/{erasure['id']}/certificate")
    assert (made["events"], made["subject"]) == (5, retention.pseudonym("mine", "user-7"))
    assert api.get("/runs/agent_run-2/state")["withdrawn"] == {"erased": 5}
    with django_capture_on_commit_callbacks(execute=True):
        api.post("/purges", {"before": before})
    for address in ("", "/state", "/explain", "/diff?from=1&to=2", "/graph", "/compare?with=agent_run-2"):
        gone = api.get(f"/api/v1/runs/agent_run-1{address}")
        assert (api.status, gone["policy"]) == (410, "retention policy 1"), address
    api.post("/bisects", {"rule": "no-loop", "stream": "agent_run-1"})
    assert api.status == 410
    events = api.get("/streams/agent_run-1/events")["items"]
    assert [json.dumps(one["data"]).count("$withdrawn") for one in events] == [1] * 5

"""The log inventory: what it counts is what was recorded, for this project alone; and who may see it."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from explorer.queries import inventory as queries
from journal.access import Role, add_project, add_user, create_token
from journal.domain.event import instant
from journal.runtime import log_inventory, sealer, webhooks
from journal.runtime.log_inventory import Policy
from journal.runtime.projection import catch_up_all
from journal.store import get_store
from tests.builders import event, responded, returned, started

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _journal() -> None:
    """Two runs of ours, one of another project, all sealed and listed."""
    for project in ("ours", "theirs"):
        add_project(project)
    for project, stream in (("ours", "agent_run-1"), ("ours", "agent_run-2"), ("theirs", "agent_run-3")):
        told = [started(agent="=coder", model="orion-3"), responded(), returned()]
        get_store(project).append(stream, [event(one, subjects=("user-42",)) for one in told], expected_version=0)
    catch_up_all()
    sealer.catch_up()


def signed_in(role: Role, project: str = "ours") -> Client:
    """Return a browser in which somebody of that role is signed in."""
    user, _ = add_user(f"{role}-of-{project}", role=role, project=project, password="correct horse battery")
    client = Client()
    client.force_login(user)
    return client


def test_it_counts_what_was_recorded() -> None:
    """Events by category and type, agents by model, sealed events, and every copy, of this project alone."""
    found = queries.inventory("ours", now=NOW)
    assert (found.events, found.streams) == (6, 2)
    assert {kind.type: kind.events for kind in found.categories[0].types} == {
        "agent_run.started": 2, "agent_run.model_responded": 2, "agent_run.tool_returned": 2,
    }  # fmt: skip
    assert [(one.name, one.model, one.runs, one.events) for one in found.agents] == [("=coder", "orion-3", 2, 6)]
    assert found.seal is not None
    assert (found.seal.size, found.seal.unsealed) == (6, 0)
    counts = {one.copy.name: one.count for one in found.places}
    assert counts["run list"] == 2
    assert counts["event lines"] == 6
    assert counts["subjects"] == 2
    assert {"search", "notes", "what-ifs", "spans kept", "snapshots", "audits", "outbox"} <= set(counts)
    recorded = [one.recorded_at for one in get_store("ours").read_all()]
    assert (found.first_at, found.newest_at) == (min(recorded), max(recorded))


def test_an_empty_project_has_an_inventory_too() -> None:
    """It says that nothing is recorded, and nothing sealed."""
    add_project("empty")
    found = queries.inventory("empty", now=NOW)
    assert (found.events, found.first_at, found.sealed) == (0, None, "nothing is sealed yet")
    assert queries.as_json(found)["logs"] == []
    assert signed_in(Role.AUDITOR, "empty").get("/duties/inventory/").status_code == 200


def test_how_long_events_are_kept_is_asked_of_whoever_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until somebody does, no policy is set."""
    assert queries.inventory("ours", now=NOW).kept == "no policy set: nothing is purged"
    monkeypatch.setattr(log_inventory, "_policies", [])
    log_inventory.tells_policy(lambda project: Policy(floor_days=184, ceiling_days=None) if project == "ours" else None)
    assert queries.inventory("ours", now=NOW).kept == "at least 184 days, no ceiling"
    assert queries.inventory("theirs", now=NOW).policy is None


def test_everybody_who_may_read_is_named(settings: Any) -> None:
    """Members by role, tokens by whose they are; receivers without what may be secret in their address."""
    client = signed_in(Role.AUDITOR)
    create_token(user="auditor-of-ours", project="ours", scopes=["read"])
    settings.ALLOW_PRIVATE_WEBHOOKS = True
    webhooks.add(project="ours", url="https://127.0.0.1/secret-path?key=1")
    page = client.get("/duties/inventory/").content.decode()
    assert "member, auditor" in page
    assert "of auditor-of-ours" in page
    assert "https://127.0.0.1" in page
    assert "secret-path" not in page


def test_it_is_taken_along_as_json_and_csv() -> None:
    """Both say the same; no cell is a formula."""
    client = signed_in(Role.AUDITOR)
    document = json.loads(client.get("/duties/inventory/inventory/json/").content)
    assert (document["events"], document["agents"][0]["agent"]) == (6, "=coder")
    assert document["sealed"]["size"] == 6
    answer = client.get("/duties/inventory/inventory/csv/")
    assert answer["Content-Disposition"] == 'attachment; filename="inventory-of-ours.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert [row["what"] for row in rows if row["section"] == "agent"] == ["'=coder"]
    assert {row["what"]: row["count"] for row in rows if row["section"] == "event type"} == {
        kind: str(count) for log in document["logs"] for kind, count in log["types"].items()
    }
    assert client.get("/duties/inventory/inventory/pdf/").status_code == 404


def test_the_entry_of_a_register_leaves_blank_what_only_people_know() -> None:
    """Purposes, the people concerned, recipients; what the system knows is filled in."""
    client = signed_in(Role.ADMIN)
    entry = json.loads(client.get("/duties/inventory/register/json/").content)
    known = {field["name"]: field["value"] for field in entry["fields"]}
    assert known["Purposes"] is None
    assert known["Categories of people"] is None
    assert known["Time limits for erasure"] == "no policy set: nothing is purged"
    assert "agent_run.started" in known["What is recorded"]
    assert client.get("/duties/inventory/register/csv/").content.decode().startswith("article,field,value\r\n")
    assert entry["at"] <= instant(datetime.now(UTC))


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ENGINEER])
def test_only_auditors_and_admins_see_it(role: Role) -> None:
    """Neither the page nor the files."""
    client = signed_in(role)
    for address in ("/duties/inventory/", "/duties/inventory/register/csv/"):
        assert client.get(address).status_code == 403

"""The sample run: one click from an empty journal to a filled debugger."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from explorer import sample
from explorer.models import RunSummary
from journal.access import Role, add_project, add_user
from journal.domain import agent_run as run
from journal.domain.catalog import catalog
from journal.store import get_store

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    """An engineer of a project without runs."""
    add_project("ours")
    add_user("mika", role=Role.ENGINEER, project="ours", password="a long password")
    client = Client(headers={"host": "localhost"})
    client.force_login(get_user_model().objects.get(username="mika"))
    return client


def test_one_click_leads_from_an_empty_journal_to_event_23(client: Client) -> None:
    """The first page offers it; the click imports it and opens the debugger there."""
    assert b"Open the sample at 23" in client.get("/runs/").content
    opened = client.post("/import/sample/", follow=True)
    assert opened.status_code == 200
    assert opened.redirect_chain[-1][0].endswith("/?v=23")
    assert b"Decided to call edit_file" in opened.content


def test_the_second_click_adds_nothing(client: Client) -> None:
    """It is found again."""
    assert sample.install("ours") == sample.install("ours")
    assert RunSummary.objects.filter(project="ours").values_list("events", "synthetic").get() == (200, True)


def test_the_sample_has_the_bug_it_promises(client: Client) -> None:
    """At 23 a file is edited that no earlier event read; it says that it is synthetic."""
    events = list(get_store("ours").read_stream(sample.install("ours")))
    edit = catalog.decode(events[sample.VERSION - 1])
    assert isinstance(edit, run.Reasoned)
    assert (edit.tool_name, "billing/refunds.py" in edit.args_json) == ("edit_file", True)
    before = [catalog.decode(event) for event in events[: sample.VERSION - 1]]
    reads = [call for call in before if isinstance(call, run.Reasoned) and call.tool_name == "read_file"]
    assert reads
    assert not any("billing/refunds.py" in call.args_json for call in reads)
    assert events[0].payload["context"]["synthetic"] is True


def test_a_viewer_is_not_offered_it() -> None:
    """Whoever may not import may not import the sample."""
    add_project("ours")
    add_user("vera", role=Role.VIEWER, project="ours", password="a long password")
    client = Client(headers={"host": "localhost"})
    client.force_login(get_user_model().objects.get(username="vera"))
    assert b"Open the sample" not in client.get("/runs/").content
    assert client.post("/import/sample/").status_code == 403

"""Nobody sees a run of a project they are no member of, nor learns that there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from journal.domain import agent_run as run
from journal.domain.event import Cause
from tests import builders
from tests.coding_run import coding_run
from tests.run_pages import HTMX, address, fresh_timelines, page, put, reader, signed_in, words

if TYPE_CHECKING:
    from django.test import Client

__all__ = ["fresh_timelines", "reader"]

PARTS = ("", "?part=list", "?part=window", "?part=edge", "?tab=state", "?tab=diff", "?tab=payload", "?tab=causes")


@pytest.fixture
def twins(reader: Client) -> dict[str, Client]:
    """Return a browser for each of two projects that have runs of the same shape under different names."""
    other = signed_in("bob", "other")
    put("agent_run-mine", coding_run(30, stream="agent_run-mine"))
    put("agent_run-theirs", coding_run(30, stream="agent_run-theirs"), project="other")
    return {"agent_run-mine": reader, "agent_run-theirs": other}


@pytest.mark.parametrize("asked", PARTS)
def test_another_project_s_run_is_not_there(twins: dict[str, Client], asked: str) -> None:
    """Swapping the names gives the same answer as a name that no project has, in every part of the page."""
    for headers in ({}, HTMX):
        for own, client in twins.items():
            foreign = next(name for name in twins if name != own)
            assert client.get(f"/runs/{own}/{asked}", headers=headers).status_code == 200
            for name in (foreign, "agent_run-none"):
                answer = client.get(f"/runs/{name}/{asked}", headers=headers)
                assert answer.status_code == 404
                assert own not in answer.content.decode()


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_another_project_s_event_is_not_there(twins: dict[str, Client], accept: str) -> None:
    """Permanent addresses, their JSON and their downloads are scoped as well."""
    for own, client in twins.items():
        foreign = next(name for name in twins if name != own)
        headers = {"Accept": accept}
        assert client.get(f"/runs/{own}/events/23/", headers=headers).status_code in (200, 302)
        for query in ("", "?download=data", "?download=metadata"):
            assert client.get(f"/runs/{foreign}/events/23/{query}", headers=headers).status_code == 404


def test_the_same_name_is_two_runs(reader: Client) -> None:
    """Two projects may have a stream of one name: each member sees their own, kept states included."""
    other = signed_in("bob", "other")
    mine = [builders.event(builders.started(prompt="Mine"), id=builders.identity("a"))]
    theirs = [builders.event(builders.started(prompt="Theirs"), id=builders.identity("a"))]
    put("agent_run-1", mine)
    put("agent_run-1", theirs, project="other")
    for _ in range(2):
        for tab in ("explain", "state", "payload"):
            assert "Theirs" not in page(reader, address("agent_run-1", 1, tab=tab))
            assert "Mine" not in page(other, address("agent_run-1", 1, tab=tab))


def test_causes_do_not_lead_into_another_project(reader: Client) -> None:
    """A cause that names another project's event is one that the journal does not hold."""
    signed_in("bob", "other")
    secret = builders.identity("secret")
    put("agent_run-theirs", [builders.event(builders.started(prompt="Secret"), id=secret)], project="other")
    told = builders.event(builders.responded(), causation_id=secret, causes=(Cause(id=secret, kind="read"),))
    put("agent_run-mine", [builders.event(builders.started()), told])
    for tab in ("explain", "causes"):
        html = page(reader, address("agent_run-mine", 2, tab=tab))
        assert "agent_run-theirs" not in html
        assert "Secret" not in html


def test_family_is_within_the_project(reader: Client) -> None:
    """A run of another project that names this one as its parent is not linked."""
    signed_in("bob", "other")
    put("agent_run-1", [builders.event(builders.started(prompt="Plan"))])
    child = builders.event(run.Started(prompt="Spy", parent_run="agent_run-1"))
    put("agent_run-spy", [child], project="other")
    assert "Spy" not in words(page(reader, address("agent_run-1")))


def test_nobody_gets_in_without_signing_in(reader: Client) -> None:
    """Somebody without an account is led to the sign-in page and back, a fragment is told where to."""
    from django.test import Client as Browser  # noqa: PLC0415 - the name is a type elsewhere in this module

    put("agent_run-1", coding_run(30, stream="agent_run-1"))
    assert Browser().get("/runs/agent_run-1/").status_code == 302
    assert Browser().get("/runs/agent_run-1/", headers=HTMX).status_code == 401

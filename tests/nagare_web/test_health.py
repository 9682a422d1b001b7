"""Alive and ready, for probes that have no account."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from dirty_equals import IsStr

from journal.runtime.projection import Progress
from nagare_web import health

if TYPE_CHECKING:
    from django.test import Client


def test_alive_asks_nothing_else(client: Client) -> None:
    """No database is touched: this test may not reach one."""
    response = client.get("/healthz")
    assert response.status_code == 200
    assert response.json() == {"status": "alive"}
    assert "no-store" in response.headers["Cache-Control"]


@pytest.mark.django_db
def test_ready_names_each_check(client: Client) -> None:
    """An operator sees what was looked at."""
    response = client.get("/readyz")
    assert response.status_code == 200
    body = response.json()
    assert body["status"] == "ready"
    assert body["checks"] == {
        "database": {"ok": True, "detail": "answers"},
        "projections": {"ok": True, "detail": IsStr(regex="[a-z_]+ is 0 events behind, at most 20,000 are fine")},
    }


def test_a_read_model_far_behind_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that is furthest behind is named."""
    states = {"runs": 25_000, "lines": 90}
    monkeypatch.setattr(health, "registered", lambda: tuple(states))
    monkeypatch.setattr(health, "progress", lambda name: Progress(name=name, position=0, head=states[name]))
    check = health.projections()
    assert not check.is_ok
    assert check.detail.startswith("runs is 25,000 events behind")


def test_not_ready_says_which_check_failed(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """One failing check is enough for a 503, and has its own words."""
    failing = health.Check(name="lag", is_ok=False, detail="4,100 events behind")
    monkeypatch.setattr(health, "CHECKS", (lambda: failing,))
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {
        "status": "not ready",
        "checks": {"lag": {"ok": False, "detail": IsStr(regex="4,100.*")}},
    }


@pytest.mark.parametrize("address", ["/healthz", "/readyz"])
def test_probes_only_read(client: Client, address: str) -> None:
    """A POST is refused."""
    assert client.post(address).status_code == 405

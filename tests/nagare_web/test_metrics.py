"""Metrics for a scraper: whom they are told, and that a parser reads them."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from journal.runtime.projection import catch_up_all
from journal.store import get_store
from tests.api import secret
from tests.builders import raw

pytestmark = pytest.mark.django_db
LINE = re.compile(r'(nagare_[a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*\})? (-?[0-9.e+]+)')


def read(**headers: str) -> dict[str, float]:
    """Return the samples that this machine is told."""
    response = Client().get("/metrics", headers=headers)
    assert response.status_code == 200
    assert response["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    text = response.content.decode()
    assert text.endswith("# EOF\n")
    families: list[str] = []
    samples: dict[str, float] = {}
    for line in text.splitlines()[:-1]:
        if line.startswith("# TYPE "):
            families.append(line.split()[2])
        elif not line.startswith("#"):
            match = LINE.fullmatch(line)
            assert match, line
            assert match[1] == families[-1], "a sample stands in its family"
            samples[match[1] + (match[2] or "")] = float(match[3])
    assert len(families) == len(set(families))
    return samples


def test_numbers_are_those_of_the_journal() -> None:
    """The head, and how far a reader is behind it."""
    get_store().append("test-1", [raw(), raw()], expected_version=0)
    behind = read()
    assert behind["nagare_journal_head"] >= 2
    assert behind['nagare_subscription_lag{subscription="explorer"}'] == 2
    catch_up_all()
    assert read()['nagare_subscription_lag{subscription="explorer"}'] == 0


@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("10.0.0.7", {}, 403),
        ("127.0.0.1", {"X-Forwarded-For": "10.0.0.7"}, 403),
        ("127.0.0.1", {"Forwarded": "for=10.0.0.7"}, 403),
        ("", {}, 403),
        ("10.0.0.7", {"Authorization": "Bearer ngr_no"}, 403),
    ],
)
def test_only_this_machine_is_told(address: str, headers: dict[str, str], status: int) -> None:
    """What came through a proxy is not from here, whatever the connection says."""
    assert Client(REMOTE_ADDR=address).get("/metrics", headers=headers).status_code == status


@pytest.mark.parametrize(("scope", "status"), [("admin", 200), ("read", 403)])
def test_an_admins_token_is_told_anywhere(scope: str, status: int) -> None:
    """A scraper on another machine has one."""
    headers = {"Authorization": f"Bearer {secret(scope)}"}
    assert Client(REMOTE_ADDR="10.0.0.7").get("/metrics", headers=headers).status_code == status

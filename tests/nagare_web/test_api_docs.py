"""The description of the API: whole, valid, and true whatever it is asked within its bounds."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from journal.api import problems

PATHS = "/api/v1"


def described() -> dict[str, Any]:
    """Return the OpenAPI document as programs get it."""
    response = Client().get("/api/schema/")
    assert response["Content-Type"] == "application/vnd.oai.openapi+json"
    found: dict[str, Any] = json.loads(response.content)
    return found


def references(value: Any) -> set[str]:
    """Return every schema that a document refers to."""
    return set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(value)))


def test_the_document_is_valid() -> None:
    """By the OpenAPI specification's own schema."""
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", "/dev/null")


def test_the_document_refers_to_what_it_holds() -> None:
    """Each schema is there, and none is there for nothing."""
    found = described()
    assert references(found) == set(found["components"]["schemas"])
    ids = [one["operationId"] for methods in found["paths"].values() for one in methods.values()]
    assert len(ids) == len(set(ids))


def test_the_page_shows_every_operation_and_every_error() -> None:
    """With an anchor each: the `type` of a problem leads to its row."""
    page = Client().get("/api/docs/").content.decode()
    for methods in described()["paths"].values():
        for one in methods.values():
            assert f'id="op-{one["operationId"]}"' in page
    for error in problems.KINDS:
        assert page.count(f'id="{problems.slug(error)}"') == 1
    for name, _ in problems.PLAIN.values():
        assert f'id="{name}"' in page
    assert "<script>" not in page


@pytest.mark.django_db
def test_errors_outside_of_views_are_problems_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown addresses, other hosts' pages, and what nobody foresaw: programs read one kind of answer."""
    visitor = Client(raise_request_exception=False)
    assert visitor.get("/api/v1/nowhere").json()["type"] == "/api/docs/#not-found"
    foreign = visitor.post("/api/v1/rules", headers={"Origin": "https://evil.example"})
    assert (foreign.status_code, foreign["Content-Type"]) == (403, "application/problem+json")
    monkeypatch.setattr("journal.api.grants.bearer_of", lambda *_a, **_k: 1 / 0)
    broken = visitor.get("/api/v1/events", headers={"Authorization": "Bearer x"})
    assert (broken.status_code, broken.json()["type"]) == (500, "/api/docs/#server-error")
    assert "division" not in broken.content.decode()

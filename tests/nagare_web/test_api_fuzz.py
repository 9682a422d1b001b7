"""Whatever the API's own document allows, and a good deal that it does not: no answer is outside of the document."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Final

import pytest
import schemathesis
from django.core import signals
from django.core.handlers.wsgi import WSGIHandler
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import positive_data_acceptance

from nagare_web.api_docs import document
from tests.api import secret
from tests.builders import STREAM, event, identity, reasoned, returned, started
from tests.run_pages import put

pytestmark = pytest.mark.django_db
MOST: Final = 300 if os.environ.get("FULL") else 3
MORE_THAN_SHAPE: Final = (
    "streams/{stream}/events",
    "audits",
    "rules",
    "bisects",
    "regrades",
    "schedules",
    "holds",
    "holds/{hold_id}/release",
    "purges",
    "erasures",
    "incidents",
    "incidents/{incident_id}/steps",
    "incidents/{incident_id}/close",
    "runs",
    "runs/{stream}/whatif",
)
"""Where what a document can say is right may still be refused: an expression, a query, a NUL within a payload."""

KNOWN: Final = {
    "stream": STREAM,
    "event_id": identity("first"),
    "job_id": identity("job"),
    "audit_id": identity("audit"),
    "incident_id": identity("incident"),
    "schedule_id": identity("schedule"),
    "hold_id": identity("hold"),
    "erasure_id": identity("erasure"),
    "name": "causes",
}


@pytest.fixture(scope="module")
def api() -> Any:
    """The API in this process, as its own document describes it."""
    made = schemathesis.openapi.from_dict(document())
    made.app = WSGIHandler()
    return made


@pytest.fixture
def token(settings: Any) -> Iterator[str]:
    """Somebody who may everything, in a journal with a run; the test's connection stays open between requests."""
    settings.API_RATE = 0
    put(STREAM, [event(started(), id=KNOWN["event_id"]), event(reasoned()), event(returned())])
    for signal in (signals.request_started, signals.request_finished):
        signal.disconnect(close_old_connections)
    yield secret("admin")
    for signal in (signals.request_started, signals.request_finished):
        signal.connect(close_old_connections)


def operations() -> list[tuple[str, str]]:
    """Return path and verb of each operation."""
    return [(path, verb) for path, verbs in document()["paths"].items() for verb in verbs]


@pytest.mark.parametrize(("path", "verb"), operations(), ids=lambda part: part)
def test_no_answer_is_outside_of_the_document(api: Any, token: str, path: str, verb: str) -> None:
    """Status, type and shape of each answer are as described; what is wrong is refused, and nothing fails."""
    operation = api[path][verb]
    headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}

    spared = [positive_data_acceptance] if path.removeprefix("/api/v1/") in MORE_THAN_SHAPE else []

    @settings(
        max_examples=MOST,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        right=operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
        wrong=operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
    )
    def ask(right: Any, wrong: Any) -> None:
        right.call_and_validate(headers=headers, excluded_checks=spared)
        wrong.call_and_validate(headers=headers)
        right.path_parameters.update({name: KNOWN[name] for name in right.path_parameters})
        right.call_and_validate(headers=headers, excluded_checks=spared)

    ask()

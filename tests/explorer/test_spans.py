"""Received spans of which there is no run: seen with their reason, by the project alone, and tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from journal.access import Role, add_project, add_user
from journal.domain import codec
from journal.errors import ImportRefused
from journal.ingest import span_inbox, span_settler, span_untold
from journal.ingest.otlp_wire import Record
from journal.ingest.spans import Span
from journal.models import SpanTrace
from tests.run_pages import page, words

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
BEGAN_NS = 1_795_000_000_000_000_000
TRACE = "a" * 32

pytestmark = pytest.mark.django_db


def put(
    number: int = 0, *, project: str = "mine", service: str = "checkout", says: dict[str, str] | None = None
) -> str:
    """Keep a span of a trace of its own, and return the trace's name."""
    trace = f"{number:x}".rjust(32, "a")
    span = Span(
        trace_id=trace, span_id="b" * 16, start_ns=BEGAN_NS, attributes=says or {}, resource={"service.name": service}
    )
    span_inbox.keep(project, [Record(item=span, body=codec.encode(span))], now=NOW)
    return trace


@pytest.fixture(autouse=True)
def _projects(db: None) -> None:
    """There are two."""
    add_project("mine")
    add_project("theirs")


def signed_in(role: Role = Role.ENGINEER, project: str = "mine") -> Client:
    """Return a browser of a member."""
    client = Client()
    name = f"{role}-of-{project}"
    client.force_login(add_user(name, role=role, project=project, password="a stream finds its way")[0])
    return client


def settle(monkeypatch: pytest.MonkeyPatch | None = None) -> None:
    """Tell what waits; with a patch at hand, telling fails until it gives up."""
    if monkeypatch is not None:

        def fails(*_arguments: object) -> None:
            raise ImportRefused("the <b>spans</b> make a circle")

        monkeypatch.setattr(span_settler, "_tell", fails)
    for _ in range(span_settler.ATTEMPTS):
        span_settler.settle_due(now=NOW, quiet=timedelta(0), at_once=True)
    if monkeypatch is not None:
        monkeypatch.undo()


def test_a_trace_that_cannot_be_told_is_shown_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many, from which service, since when, why; and the ops page says that there is one."""
    put(says={"gen_ai.operation.name": "chat"})
    settle(monkeypatch)
    client = signed_in()
    html = page(client, "/ops/spans/")
    said = words(html)
    assert "1 trace could not be told as a run" in said
    assert f"checkout {TRACE[:-1]}0" in said
    assert "18 Nov" in said
    assert "the <b>spans</b> make a circle" in said
    assert "<b>spans</b>" not in html
    assert "Gave up after 5 attempts" in said
    assert "1 trace could not be told." in words(page(client, "/ops/"))


def test_it_is_tried_again_when_somebody_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """And becomes a run then, after which nothing is shown of it."""
    trace = put(says={"gen_ai.operation.name": "chat"})
    settle(monkeypatch)
    client = signed_in()
    assert client.post(f"/ops/spans/{trace}/again/")["Location"] == "/ops/spans/"
    assert (SpanTrace.objects.get().attempts, SpanTrace.objects.get().waiting_us is None) == (0, False)
    settle()
    assert "Every trace that came could be told" in words(page(client, "/ops/spans/"))
    assert SpanTrace.objects.get().is_run
    assert client.post(f"/ops/spans/{trace}/again/").status_code == 404


def test_a_trace_with_nothing_to_tell_is_shown_apart() -> None:
    """No failure: a web server's spans, of which no run is made."""
    put(says={"http.method": "GET"})
    settle()
    said = words(page(signed_in(), "/ops/spans/"))
    assert "Every trace that came could be told" in said
    assert "1 trace holds no span of a model, a tool or an agent" in said
    assert "checkout" in said


def test_who_may_not_import_looks_and_does_not_act(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nobody sees or moves what is another project's."""
    trace, theirs = put(1), put(2, project="theirs", service="secret-service")
    settle(monkeypatch)
    viewer = signed_in(Role.VIEWER)
    html = page(viewer, "/ops/spans/")
    assert trace in html
    assert "again/" not in html
    assert viewer.post(f"/ops/spans/{trace}/again/").status_code == 403
    engineer = signed_in()
    assert "secret-service" not in page(engineer, "/ops/spans/")
    assert theirs not in page(engineer, "/ops/spans/")
    assert engineer.post(f"/ops/spans/{theirs}/again/").status_code == 404
    assert "1 trace could not be told." in words(page(engineer, "/ops/"))


def test_it_costs_the_same_for_one_and_for_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Queries do not grow, the list is bounded, and the page says how many it leaves out."""
    put(1)
    settle(monkeypatch)
    client = signed_in()
    page(client, "/ops/spans/")
    with CaptureQueriesContext(connection) as few:
        page(client, "/ops/spans/")
    for number in range(2, span_untold.LISTED + 12):
        put(number)
    SpanTrace.objects.update(problem="TooDeep: it nests", attempts=1)
    with CaptureQueriesContext(connection) as many:
        html = page(client, "/ops/spans/")
    assert len(many) == len(few)
    assert html.count("checkout") == span_untold.LISTED
    assert "11 more are not listed" in words(html)

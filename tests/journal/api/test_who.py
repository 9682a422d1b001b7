"""Who may do what: every address and verb of the API for every kind of asker, tokens, sessions, rates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLResolver, get_resolver

from journal.access import Permission, Role, add_user, create_token, may, revoke_token, rotate_token
from journal.access.tokens import TokenRefused, permissions_of
from journal.api import rates
from journal.api.base import VERBS, ApiView
from journal.api.refusals import TooManyRequests
from journal.models import ApiToken, Membership
from journal.store import get_store
from tests.api import Api, noted, program, secret
from tests.builders import identity, raw

pytestmark = pytest.mark.django_db

# What each verb of each address needs. Written out, so that a change of it is a change of this table.
NEEDS = {
    "GET streams/{stream}/events": "read",
    "POST streams/{stream}/events": "import",
    "GET events": "read",
    "GET access": "audit",
    "GET events/{event_id}": "read",
    "GET events/{event_id}/causes": "read",
    "GET events/{event_id}/effects": "read",
    "GET events/{event_id}/proof": "read",
    "GET rules": "read",
    "POST rules": "grade",
    "POST bisects": "read",
    "POST regrades": "grade",
    "GET schedules": "read",
    "POST schedules": "read",  # and what its kind needs
    "GET schedules/{schedule_id}": "read",
    "POST schedules/{schedule_id}/run": "read",
    "POST schedules/{schedule_id}/pause": "read",
    "POST schedules/{schedule_id}/continue": "read",
    "POST schedules/{schedule_id}/delete": "read",
    "POST audits": "audit",
    "GET audits/{audit_id}": "audit",
    "GET audits/{audit_id}/report.pdf": "audit",
    "GET audits/{audit_id}/bundle.zip": "audit",
    "GET audits/{audit_id}/trail.jsonl": "audit",
    "GET incidents": "read",
    "POST incidents": "audit",
    "GET incidents/{incident_id}": "read",
    "POST incidents/{incident_id}/steps": "audit",
    "POST incidents/{incident_id}/close": "audit",
    "GET jobs/{job_id}": "read",
    "POST jobs/{job_id}/cancel": "read",
    "GET projections": "read",
    "POST projections/{name}/rebuild": "admin",
    "GET status": "read",
    "GET retention": "admin",
    "POST retention": "admin",
    "GET holds": "admin",
    "POST holds": "admin",
    "POST holds/{hold_id}/release": "admin",
    "GET purges": "admin",
    "POST purges": "admin",
    "GET erasures": "admin",
    "POST erasures": "admin",
    "GET erasures/{erasure_id}/certificate": "admin",
    "GET erasures/{erasure_id}/certificate.txt": "admin",
    "GET runs": "read",
    "GET runs/{stream}": "read",
    "GET runs/{stream}/state": "read",
    "GET runs/{stream}/explain": "read",
    "GET runs/{stream}/diff": "read",
    "GET runs/{stream}/graph": "read",
    "GET runs/{stream}/compare": "read",
    "POST runs/{stream}/whatif": "read",
}
PATHS = {
    "stream": "test-1",
    "event_id": identity("x"),
    "job_id": identity("job"),
    "name": "causes",
    "audit_id": identity("audit"),
    "incident_id": identity("incident"),
    "schedule_id": identity("schedule"),
    "hold_id": identity("hold"),
    "erasure_id": identity("erasure"),
}


def views(resolver: URLResolver) -> list[tuple[str, type[ApiView]]]:
    """Return every address of the API with its view."""
    found: list[tuple[str, type[ApiView]]] = []
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            found += views(pattern)
            continue
        view: Any = getattr(pattern.callback, "cls", object)
        if issubclass(view, ApiView):
            route = str(pattern.pattern)
            for name in PATHS:
                route = route.replace(f"<str:{name}>", f"{{{name}}}")
            found.append((route, view))
    return found


def ask(api: Api, operation: str) -> int:
    """Ask an operation with nothing in it, and return the status."""
    verb, route = operation.split(" ")
    path = f"/{route.format(**PATHS)}"
    if verb == "GET":
        api.get(path)
    else:
        api.post(path, {})
    return api.status


def test_every_operation_needs_what_the_table_says() -> None:
    """No verb answers without having declared it."""
    declared = {
        f"{verb.upper()} {route}": operation.needs.value
        for route, view in views(get_resolver())
        for verb, operation in view.operations().items()
    }
    assert declared == NEEDS
    for route, view in views(get_resolver()):
        answers = {verb for verb in (*VERBS, "put", "patch", "delete") if verb in vars(view)}
        assert answers == set(view.operations()), route


def test_each_operation_for_every_kind_of_asker() -> None:
    """Nobody gets 401; a scope or a role that lacks the permission 403; one that has it never either."""
    scopes = [("ingest",), ("read",), ("audit",), ("admin",), ("read", "ingest")]
    askers = [(program(*some), permissions_of(some, Role.ADMIN)) for some in scopes]
    for role in Role:
        person, _ = add_user(f"signed-in-{role}", role=role, project="default", password="a long password")
        client = Client()
        client.force_login(person)
        askers.append((Api(client=client), frozenset(one for one in Permission if may(role, one))))
    refused = [Api(), Api(token="ngr_" + "x" * 43)]
    wrong = []
    for operation, needs in NEEDS.items():
        wrong += [(operation, "nobody") for api in refused if ask(api, operation) != 401]
        for api, permissions in askers:
            is_let_in = ask(api, operation) not in (401, 403)
            if is_let_in != (needs in permissions):
                wrong.append((operation, f"{needs} of {sorted(permissions)}: {api.status}"))
    assert wrong == []


def test_verbs_that_are_not_answered_are_named() -> None:
    """405 with those that are, OPTIONS included; HEAD is GET without a body."""
    api = program("read")
    response = api.client.delete("/api/v1/rules", headers=api.headers)
    assert (response.status_code, response["Allow"]) == (405, "GET, POST")
    assert response.json()["type"] == "/api/docs/#wrong-method"
    assert api.client.options("/api/v1/rules", headers=api.headers).status_code == 405
    head = api.client.head("/api/v1/events", headers=api.headers)
    assert (head.status_code, head.getvalue()) == (200, b"")


# --- Projects ---------------------------------------------------------------------------------------------------------


def test_another_projects_things_are_not_there() -> None:
    """Whatever the name: streams, events, runs; a token asks for no other project than its own."""
    theirs = get_store("theirs").append("agent_run-7", [raw(id=identity("theirs"))], expected_version=0)
    api = program("read", "ingest")
    addresses = ["/streams/agent_run-7/events", f"/events/{theirs.ids[0]}", f"/events/{theirs.ids[0]}/causes"]
    addresses += [f"/runs/agent_run-7{part}" for part in ("", "/state", "/explain", "/diff?from=0&to=1", "/graph")]
    for address in addresses:
        api.get(address)
        assert api.status == 404, address
    assert api.get("/events") == {"items": [], "next": None}
    assert api.get("/runs")["items"] == []
    secret("read", project="theirs")
    api.get("/events?project=theirs")
    assert api.status == 404
    api.post("/streams/agent_run-7/events", {"expected_version": "none", "events": [noted(id=identity("theirs"))]})
    assert api.status == 201
    assert get_store("theirs").stream_version("agent_run-7") == 1


def test_a_session_asks_for_the_chosen_project() -> None:
    """`?project=` where a person has several; it does not move their pages, and other projects are not there."""
    for project in ("ours", "theirs"):
        secret("read", project=project)
    user, _ = add_user("ada", role=Role.VIEWER, project="ours", password="a long password")
    client = Client()
    client.force_login(user)
    api = Api(client=client)
    get_store("ours").append("test-1", [raw()], expected_version=0)
    assert len(api.get("/events?project=ours")["items"]) == 1
    assert len(api.get("/events")["items"]) == 1
    assert "project" not in client.session
    api.get("/events?project=theirs")
    assert api.status == 404


def test_a_session_writes_with_its_csrf_token_only() -> None:
    """A page of another site cannot write for somebody who is signed in here."""
    user, _ = add_user("ada", role=Role.ENGINEER, project="default", password="a long password")
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    api, body = Api(client=client), {"expected_version": "none", "events": [noted()]}
    told = api.post("/streams/test-1/events", body)
    assert (api.status, "X-CSRFToken" in told["detail"]) == (403, True)
    client.get("/settings/")
    api.post("/streams/test-1/events", body, X_CSRFToken=client.cookies["csrftoken"].value)
    assert api.status == 201


# --- Tokens -----------------------------------------------------------------------------------------------------------


def token(**fields: Any) -> str:
    """Return a reader's token whose row is changed afterwards."""
    made = secret("read")
    ApiToken.objects.update(**fields)
    return made


@pytest.mark.parametrize(
    "header", ["Basic YTpi", "Bearer", "Bearer ", "bearer nothing", "Bearer " + "x" * 10_000, "Bearer ngr_\x00"]
)
def test_what_is_no_token_is_refused(header: str) -> None:
    """401, and how to do it; the secret is not said back."""
    api = Api()
    api.headers = {"Authorization": header}
    told = api.get("/events")
    assert (api.status, api.response["WWW-Authenticate"]) == (401, 'Bearer realm="nagare"')
    assert told["type"] == "/api/docs/#not-signed-in"
    assert "nothing" not in told["detail"]


def test_a_token_dies_at_once() -> None:
    """Revoked, expired, its owner switched off, or out of the project: the next request is refused."""
    past = datetime.now(UTC) - timedelta(seconds=1)
    assert ask(Api(token=token(expires_at=past)), "GET events") == 401
    ApiToken.objects.all().delete()
    api = Api(token=token())
    assert ask(api, "GET events") == 200
    revoke_token(ApiToken.objects.get().id)
    assert ask(api, "GET events") == 401
    ApiToken.objects.update(revoked_at=None)
    get_user_model().objects.update(is_active=False)
    assert ask(api, "GET events") == 401
    get_user_model().objects.update(is_active=True)
    Membership.objects.all().delete()
    assert ask(api, "GET events") == 401


def test_a_token_may_no_more_than_its_owner_still_may() -> None:
    """A role that is taken down takes the token down."""
    api = program("ingest")
    assert ask(api, "POST streams/{stream}/events") == 422
    Membership.objects.update(role="viewer")
    assert ask(api, "POST streams/{stream}/events") == 403


def test_the_use_of_a_token_is_noted_once_a_minute() -> None:
    """Reading does not write each time."""
    api = program("read")
    api.get("/events")
    first = ApiToken.objects.get().last_used_at
    assert first is not None
    with CaptureQueriesContext(connection) as asked:
        api.get("/events")
    assert sum("journal_token" in query["sql"] for query in asked) == 1, "the token with its owner and role"
    assert not any(query["sql"].startswith("UPDATE") for query in asked)
    assert ApiToken.objects.get().last_used_at == first
    ApiToken.objects.update(last_used_at=first - timedelta(seconds=61))
    api.get("/events")
    assert ApiToken.objects.filter(last_used_at__gte=first).exists()


def test_rotation_lets_both_live_for_a_while() -> None:
    """The new one may do the same for as long as the old one could; the old one ends when it was said."""
    now = datetime.now(UTC)
    add_user("ada", role=Role.ENGINEER, project="default", password="a long password")
    old = create_token(user="ada", project="default", scopes=["read"], expires_at=now + timedelta(days=90))
    new = rotate_token(old.row.id, keep_until=now + timedelta(hours=1), now=now)
    assert (new.row.scopes, new.row.user, new.row.project_id) == (["read"], old.row.user, "default")
    assert new.row.expires_at is not None
    assert abs(new.row.expires_at - now - timedelta(days=90)) < timedelta(minutes=1)
    for each in (old, new):
        assert ask(Api(token=each.secret), "GET events") == 200
    ApiToken.objects.filter(id=old.row.id).update(expires_at=now - timedelta(seconds=1))
    assert ask(Api(token=old.secret), "GET events") == 401
    assert ask(Api(token=new.secret), "GET events") == 200
    for wrong in (now - timedelta(days=1), now + timedelta(days=31)):
        with pytest.raises(TokenRefused, match="side by side"):
            rotate_token(new.row.id, keep_until=wrong, now=now)
    with pytest.raises(TokenRefused, match="expired"):
        rotate_token(old.row.id, keep_until=now, now=now)


# --- Rates ------------------------------------------------------------------------------------------------------------


def test_who_asks_too_often_waits(settings: Any) -> None:
    """429 with the time to wait; each token counts by itself."""
    settings.API_RATE = 3
    rates.forget()
    api, other = program("read"), program("read", user="other")
    minutes = [ask(api, "GET events") for _ in range(10)]
    assert minutes.count(429) >= 4  # the minute of the clock may turn once meanwhile
    told = api.get("/events")
    if api.status == 429:
        assert (told["limit"], int(api.response["Retry-After"])) == (3, told["retry_after_s"])
    assert ask(other, "GET events") == 200
    rates.forget()


def test_counts_are_by_the_minute(settings: Any) -> None:
    """And nothing of the last one is left."""
    settings.API_RATE = 2
    rates.forget()
    for _ in range(2):
        rates.check("token:a", now=120.0)
    with pytest.raises(TooManyRequests) as caught:
        rates.check("token:a", now=150.5)
    assert caught.value.retry_after_s == 30
    rates.check("token:a", now=180.0)
    settings.API_RATE = 0
    for _ in range(5):
        rates.check("token:a", now=180.0)
    rates.forget()

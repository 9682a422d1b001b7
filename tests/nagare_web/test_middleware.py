"""What every response carries, and which requests go no further."""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING

import pytest
import structlog
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import URLResolver, get_resolver, path
from django.views.generic import View

from journal.access import public
from nagare_web import middleware

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpResponseBase
    from pytest_django import Settings

STATIC_FILE = "/static/nagare_web/mark.svg"
POLICY = {
    "default-src": "'none'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}


@public
def fine(_request: HttpRequest) -> HttpResponse:
    """Answer, and say what the log context holds."""
    return HttpResponse(str(structlog.contextvars.get_contextvars()["correlation_id"]))


@public
def broken(_request: HttpRequest) -> HttpResponse:
    """Fail in a way nobody expected."""
    raise RuntimeError("payload that must not be shown")


def forgotten(_request: HttpRequest) -> HttpResponse:
    """Declare no permission."""
    return HttpResponse("secret")


class ForgottenClass(View):
    """Declares no permission either."""

    def get(self, _request: HttpRequest) -> HttpResponse:
        """Answer whoever asks."""
        return HttpResponse("secret")


class DeclaredClass(ForgottenClass):
    """Declares one as a class."""

    nagare_permission = "public"


urlpatterns = [
    path("fine/", fine),
    path("broken/", broken),
    path("forgotten/", forgotten),
    path("forgotten-class/", ForgottenClass.as_view()),
    path("declared-class/", DeclaredClass.as_view()),
]
handler400 = "nagare_web.views.bad_request"
handler403 = "nagare_web.views.permission_denied"
handler404 = "nagare_web.views.not_found"
handler500 = "nagare_web.views.server_error"


@pytest.fixture(autouse=True)
def routes(settings: Settings) -> None:
    """Serve the views above, and errors as pages rather than as exceptions in the test."""
    settings.ROOT_URLCONF = __name__
    settings.ALLOWED_HOSTS = ["localhost"]


@pytest.fixture
def visitor() -> Client:
    """Return a client that sees error pages as a browser does."""
    return Client(raise_request_exception=False, headers={"host": "localhost"})


@pytest.fixture
def logged() -> Iterator[list[dict[str, object]]]:
    """Collect what is logged."""
    with structlog.testing.capture_logs() as entries:
        yield entries  # type: ignore[misc]


def policy_of(response: HttpResponseBase) -> dict[str, str]:
    """Return the response's policy by directive."""
    directives = response.headers["Content-Security-Policy"].split("; ")
    return dict(directive.split(" ", 1) for directive in directives)


@pytest.mark.parametrize(
    ("address", "status"),
    [("/fine/", 200), (STATIC_FILE, 200), ("/nowhere/", 404), ("/forgotten/", 403), ("/broken/", 500)],
)
def test_every_response_carries_the_policy(visitor: Client, address: str, status: int) -> None:
    """Pages, static files and errors forbid everything but our own files and scripts with this response's nonce."""
    response = visitor.get(address)
    response.getvalue()  # reading a file to its end closes it
    assert response.status_code == status
    policy = policy_of(response)
    assert re.fullmatch(r"'nonce-[A-Za-z0-9+/]{22}=='", policy.pop("script-src"))
    assert policy == POLICY
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert "X-Correlation-Id" in response.headers


def test_each_response_has_a_nonce_of_its_own(visitor: Client) -> None:
    """A nonce seen once is worth nothing afterwards."""
    assert policy_of(visitor.get("/fine/"))["script-src"] != policy_of(visitor.get("/fine/"))["script-src"]


@pytest.mark.parametrize("address", ["/fine/", "/nowhere/", STATIC_FILE])
def test_a_foreign_host_name_is_refused(visitor: Client, address: str) -> None:
    """A name that resolves to us but is not ours gets a 400 with the policy, static files included."""
    response = visitor.get(address, headers={"host": "evil.example"})
    assert response.status_code == 400
    assert "evil.example" not in response.content.decode()
    assert policy_of(response)["default-src"] == "'none'"


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        ("http://localhost", 200),
        ("https://LOCALHOST", 200),
        ("http://localhost:8001", 403),
        ("https://evil.example", 403),
        ("https://localhost.evil.example", 403),
        ("null", 403),
        ("http://[", 403),
        ("", 403),
    ],
)
def test_writes_from_another_sites_page_are_refused(visitor: Client, origin: str | None, status: int) -> None:
    """A write whose Origin is not this host goes no further, whether or not the view asks for a CSRF token."""
    headers = {} if origin is None else {"origin": origin}
    assert visitor.post("/fine/", headers=headers).status_code == status


def test_reads_from_another_sites_page_are_answered(visitor: Client) -> None:
    """A link from elsewhere works; what the other page may see of it is the browser's to decide."""
    assert visitor.get("/fine/", headers={"origin": "https://evil.example"}).status_code == 200


@pytest.mark.parametrize("address", ["/forgotten/", "/forgotten-class/"])
def test_a_view_without_a_permission_is_closed(visitor: Client, logged: list[dict[str, object]], address: str) -> None:
    """Forgetting the decorator locks a view for everyone, and the log says which."""
    response = visitor.get(address)
    assert response.status_code == 403
    assert b"secret" not in response.content
    (entry,) = [entry for entry in logged if entry["event"] == "view_without_permission"]
    assert entry["path"] == address


def test_a_class_may_declare_the_permission(visitor: Client) -> None:
    """The class counts where the function made from it says nothing."""
    assert visitor.get("/declared-class/").status_code == 200


def test_an_error_page_shows_nothing_of_the_error(visitor: Client) -> None:
    """Exceptions carry payloads; their text goes to no page."""
    assert b"payload" not in visitor.get("/broken/").content


def test_a_correlation_id_is_taken_over(visitor: Client) -> None:
    """The caller's id is in the log context of the view and comes back."""
    response = visitor.get("/fine/", headers={"x-correlation-id": "build-7.3"})
    assert response.content == b"build-7.3"
    assert response.headers["X-Correlation-Id"] == "build-7.3"


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "line\nbreak"])
def test_an_odd_correlation_id_is_replaced(given: str) -> None:
    """Nobody writes into our logs by way of a header."""
    request = RequestFactory().get("/", HTTP_X_CORRELATION_ID=given)
    assert middleware._correlation_id(request) != given


def test_a_request_is_logged_without_its_query(visitor: Client, logged: list[dict[str, object]]) -> None:
    """What somebody searched for in payloads is in the query string, and stays out of the log."""
    visitor.get("/fine/?q=account+number")
    (entry,) = [entry for entry in logged if entry["event"] == "request"]
    assert (entry["method"], entry["path"], entry["status"]) == ("GET", "/fine/", 200)
    assert "account" not in str(entry)


def test_an_address_that_is_a_key_is_logged_without_it(visitor: Client, logged: list[dict[str, object]]) -> None:
    """Whoever reads the log cannot open an embedded run with it."""
    visitor.get("/embed/WyJhIiwxXQ:1vN:signature/")
    (entry,) = [entry for entry in logged if entry["event"] == "request"]
    assert entry["path"] == "/embed/…/"


def test_a_form_without_its_token_is_answered_in_plain_words(settings: Settings) -> None:
    """A failed CSRF check is a page that says what to do, with the policy like any other."""
    settings.ROOT_URLCONF = "nagare_web.urls"
    visitor = Client(enforce_csrf_checks=True, headers={"host": "localhost"})
    response = visitor.post("/accounts/login/", {"username": "m.kato"})
    assert response.status_code == 403
    assert "has expired" in response.content.decode()
    assert policy_of(response)["default-src"] == "'none'"


def callbacks(resolver: URLResolver) -> Iterator[object]:
    """Walk through every view of a URL configuration."""
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from callbacks(pattern)
        else:
            yield pattern.callback


def test_every_view_of_the_project_declares_a_permission() -> None:
    """None would be found closed in production first."""
    views = list(callbacks(get_resolver("nagare_web.urls")))
    assert views
    assert [view for view in views if not middleware.declares_permission(view)] == []  # type: ignore[arg-type]


@pytest.mark.django_db
def test_pages_travel_compressed(visitor: Client) -> None:
    """To those who ask for it; and a page says that its bytes depend on that."""
    plain = visitor.get("/accounts/login/")
    packed = visitor.get("/accounts/login/", headers={"Accept-Encoding": "gzip"})
    assert packed["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed["Vary"]
    assert b"<html" in gzip.decompress(packed.content)
    assert len(packed.content) < len(plain.content)

"""Who may do what, where."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.test import RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver

from journal.access import PUBLIC, Permission, Role, add_project, add_user, may, requires, role_in
from journal.access.projects import ProjectRefused
from journal.access.tokens import TokenRefused, create_token, digest, revoke_token
from journal.errors import NotPermitted
from journal.models import ApiToken

pytestmark = pytest.mark.django_db


@requires(Permission.IMPORT)
def _view(request: HttpRequest) -> HttpResponse:
    """Answer with the project it was let into."""
    return HttpResponse(request.project.slug)  # type: ignore[attr-defined]


def ask(name: str | None, address: str = "/x/", method: str = "get", **headers: str) -> HttpResponse:
    """Ask the view as a user."""
    request = getattr(RequestFactory(), method)(address, headers=headers)
    request.user = get_user_model().objects.get(username=name) if name else AnonymousUser()
    request.session = {}
    answer = _view(request)
    assert isinstance(answer, HttpResponse)
    return answer


@pytest.fixture(autouse=True)
def _people() -> None:
    """Two projects, people in one of them."""
    add_project("ours")
    add_project("theirs")
    for role in Role:
        add_user(role.value, role=role, project="ours", password="a long password")
    add_user("stranger", role=Role.ADMIN, project="theirs", password="a long password")


def test_each_role_may_what_the_table_says() -> None:
    """The whole matrix, written out."""
    granted = {role.value: {p.value for p in Permission if may(role, p)} for role in Role}
    assert granted == {
        "viewer": {"read"},
        "engineer": {"read", "import", "annotate", "grade", "export"},
        "auditor": {"read", "export", "audit"},
        "admin": {"read", "import", "annotate", "grade", "export", "audit", "admin"},
    }


@pytest.mark.parametrize("name", ["engineer", "admin"])
def test_a_member_with_the_permission_comes_in(name: str) -> None:
    """And the view knows the project."""
    assert ask(name).content == b"ours"


@pytest.mark.parametrize("name", ["viewer", "auditor"])
def test_a_member_without_it_is_refused(name: str) -> None:
    """The answer says which role and which permission."""
    with pytest.raises(PermissionDenied, match=f"{name}.*import"):
        ask(name)


def test_another_project_is_as_if_it_were_not_there() -> None:
    """To a member of another project, and to the same words in the address."""
    for address in ("/x/?project=theirs", "/x/?project=none"):
        with pytest.raises(Http404):
            ask("engineer", address)
    assert ask("stranger").content == b"theirs"


def test_whoever_is_not_signed_in_is_led_to_it_and_back() -> None:
    """A page redirects, a fragment tells htmx to, a program gets 401."""
    page = ask(None, "/x/?v=23")
    assert (page.status_code, page["Location"]) == (302, "/accounts/login/?next=/x/%3Fv%3D23")
    fragment = ask(None, "/x/?v=23", **{"HX-Request": "true"})
    assert (fragment.status_code, fragment["HX-Redirect"]) == (401, "/accounts/login/?next=/x/%3Fv%3D23")
    assert ask(None, method="post").status_code == 401


def test_someone_who_was_deactivated_has_no_role() -> None:
    """At once, whatever memberships there are."""
    user = get_user_model().objects.get(username="admin")
    assert role_in(user, "ours") is Role.ADMIN
    user.is_active = False
    assert role_in(user, "ours") is None


def _views(resolver: URLResolver, before: str = "") -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for pattern in resolver.url_patterns:
        address = before + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            found.append((address, pattern.callback))
        else:
            found += _views(pattern, address)
    return found


def test_every_view_declares_who_may_see_it() -> None:
    """A view that declares nothing would be refused at run time; here it fails by name."""
    views = _views(get_resolver())
    undeclared = [
        address for address, view in views if getattr(view, "nagare_permission", None) not in (PUBLIC, *Permission)
    ]
    assert undeclared == []
    public = {address for address, view in views if getattr(view, "nagare_permission", None) == PUBLIC}
    api = {"api/docs/", "api/schema/", "metrics"}
    assert public == {"accounts/login/", "accounts/logout/", "embed/<str:token>/", "healthz", "readyz", *api}


@pytest.mark.parametrize("slug", ["", "Ours", "a b", "-a", "x" * 65, "é"])
def test_a_project_has_a_name_an_address_carries(slug: str) -> None:
    """Lower case, digits, dashes."""
    with pytest.raises(ProjectRefused):
        add_project(slug)


def test_a_project_is_made_once() -> None:
    """The second time it is refused, not silently found."""
    with pytest.raises(ProjectRefused, match="exists"):
        add_project("ours")


def test_a_generated_password_works_and_is_given_once() -> None:
    """Whoever exists already keeps theirs."""
    user, password = add_user("new", role=Role.VIEWER, project="ours")
    assert password
    assert user.check_password(password)
    assert add_user("new", role=Role.ADMIN, project="ours")[1] is None
    assert role_in(user, "ours") is Role.ADMIN


def test_a_token_is_stored_as_a_digest_and_revoked_at_once() -> None:
    """The database holds nothing that could be used."""
    new = create_token(user="engineer", project="ours", scopes=["ingest"])
    stored = ApiToken.objects.values().get()
    assert new.secret not in str(stored)
    assert stored["digest"] == digest(new.secret)
    assert revoke_token(new.row.id).revoked_at is not None


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"scopes": ["everything"]}, "everything"),
        ({"scopes": []}, "missing"),
        ({"user": "nobody"}, "no user"),
        ({"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, "past"),
    ],
)
def test_a_token_that_makes_no_sense_is_refused(arguments: dict[str, object], reason: str) -> None:
    """Unknown scopes, none, unknown people, an expiry that is over."""
    with pytest.raises(TokenRefused, match=reason):
        create_token(**{"user": "engineer", "project": "ours", "scopes": ["read"], **arguments})  # type: ignore[arg-type]


def test_a_token_needs_a_member() -> None:
    """Nobody makes a token for a project they are not in."""
    with pytest.raises(NotPermitted):
        create_token(user="engineer", project="theirs", scopes=["read"])

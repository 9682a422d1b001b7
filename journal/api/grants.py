"""Who asks and what they may do: a token, or the session of somebody who is signed in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, cast

import msgspec
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import PermissionDenied as CsrfFailed
from rest_framework.request import Request

from journal.access import Permission, bearer_of, may
from journal.access.projects import project_of
from journal.api.refusals import NoSuchThing, NotSignedIn
from journal.errors import NotPermitted

_LONGEST_SECRET: Final = 200


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """One project, and what may be done in it. `holder` names whoever asks, for counting and for messages."""

    project: str
    user_id: int
    permissions: frozenset[Permission]
    holder: str
    who: str
    by: str = ""
    """The account."""

    def check(self, permission: Permission) -> None:
        """Let through whoever has a permission.

        Raises:
            NotPermitted: they have it not.
        """
        if permission not in self.permissions:
            raise NotPermitted(who=self.who, permission=permission.value, project=self.project)


class Access(BaseAuthentication):
    """A bearer token where there is one, else the session; writing by a session needs its CSRF token.

    A token's project is its own: naming another one is asking for what is not there.
    """

    def authenticate(self, request: Request) -> tuple[Any, Grant] | None:
        """Return who asks, None where nobody says."""
        given = request.headers.get("Authorization", "")
        user, grant = _by_token(request._request, given) if given else _by_session(request)  # noqa: SLF001 - DRF's name for Django's request
        return (user, grant) if grant is not None else None

    def authenticate_header(self, request: Request) -> str:
        """Return what a 401 asks for."""
        return 'Bearer realm="nagare"'


def token_grant(request: HttpRequest) -> Grant:
    """Return what a request's bearer token gives. A session counts for nothing here.

    Raises:
        NotSignedIn: there is no token, or it does not count.
        NoSuchThing: the address names a project that is not the token's.
    """
    given = request.headers.get("Authorization", "")
    _, grant = _by_token(request, given) if given else (None, None)
    if grant is None:
        raise NotSignedIn("there is no token")
    return grant


def _by_token(request: HttpRequest, given: str) -> tuple[Any, Grant | None]:
    scheme, _, secret = given.partition(" ")
    if scheme.casefold() != "bearer":
        raise NotSignedIn("the Authorization header holds no bearer token")
    found = bearer_of(secret.strip()[:_LONGEST_SECRET], now=datetime.now(UTC))
    if found is None:
        raise NotSignedIn("the token is unknown, expired or revoked")
    if request.GET.get("project", found.project) != found.project:
        raise NoSuchThing(kind="project", name=request.GET["project"][:80])
    grant = Grant(
        project=found.project,
        user_id=found.user.pk,
        permissions=found.permissions,
        holder=f"token:{found.id}",
        who=f"token {found.prefix}…",
        by=found.user.get_username(),
    )
    request.nagare_grant = grant  # type: ignore[attr-defined]  # what the access log says of this request
    return found.user, grant


def _by_session(request: Request) -> tuple[Any, Grant | None]:
    asked: HttpRequest = request._request  # noqa: SLF001 - DRF's name for Django's request
    if not asked.user.is_authenticated or not asked.user.is_active:
        return None, None
    try:
        SessionAuthentication().enforce_csrf(cast(Request, asked))  # Django's, so that no parser looks at the body
    except CsrfFailed as error:
        raise PermissionDenied("writing by a session needs its CSRF token, in the header X-CSRFToken") from error
    found = project_of(asked)
    if found is None:
        raise NoSuchThing(kind="project", name=asked.GET.get("project", "")[:80])
    project, role = found
    grant = Grant(
        project=project.slug,
        user_id=asked.user.pk,
        permissions=frozenset(one for one in Permission if may(role, one)),
        holder=f"user:{asked.user.pk}",
        who=f"your role {role.value}",
        by=asked.user.get_username(),
    )
    asked.nagare_grant = grant  # type: ignore[attr-defined]
    return asked.user, grant

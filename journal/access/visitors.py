"""Who is at the other end of a connection that outlives a request: asked when it begins, and again and again after.

A web page is let in by its session, a program by its token, as over HTTP. Nothing is remembered from one asking to the
next, so that a session that ended, a token that was revoked and a membership that was taken away are found out.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from urllib.parse import urlencode

import msgspec
from django.http import HttpRequest, QueryDict

from journal.access.permissions import Permission, may
from journal.access.projects import project_of
from journal.access.sessions import SessionStore, account_of
from journal.access.tokens import bearer_of

_LONGEST_SECRET = 200


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What a connection brought: the Authorization header, and the key in the session's cookie."""

    authorization: str = ""
    session_key: str = ""


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who may do what was asked for, in one project."""

    project: str
    user_id: int
    by: str = ""
    via: str = "browser"


class Turned(StrEnum):
    """Why somebody is turned away. No member of a project is told the same as where there is none."""

    NOT_SIGNED_IN = "sign in, or send a token that counts"
    NOT_PERMITTED = "your role or the token's scopes do not include that"
    NO_SUCH_PROJECT = "there is no such project"


def visitor(brought: Credentials, *, project: str | None, needs: Permission, now: datetime) -> Visitor | Turned:
    """Return who it is, or why they may not. A header counts before a cookie; without a project, it is their own."""
    if brought.authorization:
        return _by_token(brought.authorization, project, needs, now)
    return _by_session(brought.session_key, project, needs)


def _by_token(given: str, project: str | None, needs: Permission, now: datetime) -> Visitor | Turned:
    scheme, _, secret = given.partition(" ")
    found = bearer_of(secret.strip()[:_LONGEST_SECRET], now=now) if scheme.casefold() == "bearer" else None
    if found is None:
        return Turned.NOT_SIGNED_IN
    if project not in (None, found.project):
        return Turned.NO_SUCH_PROJECT
    if needs not in found.permissions:
        return Turned.NOT_PERMITTED
    via = f"token {found.prefix}…"
    return Visitor(project=found.project, user_id=found.user.pk, by=found.user.get_username(), via=via)


def _by_session(key: str, project: str | None, needs: Permission) -> Visitor | Turned:
    request = HttpRequest()
    request.session = SessionStore(key or None)
    account = account_of(request) if key else None
    if account is None:
        return Turned.NOT_SIGNED_IN
    request.user = account
    if project is not None:
        request.GET = QueryDict(urlencode({"project": project}))
    found = project_of(request)
    if found is None:
        return Turned.NO_SUCH_PROJECT
    chosen, role = found
    if not may(role, needs):
        return Turned.NOT_PERMITTED
    return Visitor(project=chosen.slug, user_id=account.pk, by=account.get_username())

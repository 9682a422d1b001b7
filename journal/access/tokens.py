"""API tokens: 256 random bits shown once, kept as SHA-256 (a fast hash is right for a random key)."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import OuterRef, Subquery
from uuid_utils.compat import uuid7

from journal.access.permissions import Permission, Role, may, role_in
from journal.access.recording import record_access
from journal.domain.access_log import AccessKind
from journal.errors import NotPermitted, Refused
from journal.models import ApiToken, Membership

if TYPE_CHECKING:
    from django.contrib.auth.models import User

SCOPES: Final = ("ingest", "read", "audit", "admin")
_PREFIX: Final = "ngr"
_SCOPE_NEEDS: Final = {
    "ingest": Permission.IMPORT,
    "read": Permission.READ,
    "audit": Permission.AUDIT,
    "admin": Permission.ADMIN,
}
_SCOPE_GIVES: Final = {
    "ingest": frozenset({Permission.IMPORT}),
    "read": frozenset({Permission.READ, Permission.EXPORT}),
    "audit": frozenset({Permission.READ, Permission.EXPORT, Permission.AUDIT}),
    "admin": frozenset(Permission),
}
_SCOPES_GIVE_TOGETHER: Final = frozenset({Permission.ANNOTATE, Permission.GRADE})
"""With both `read` and `ingest` a token may do what an engineer may."""

USE_NOTED_EVERY: Final = timedelta(minutes=1)
LONGEST_OVERLAP: Final = timedelta(days=30)


class TokenRefused(Refused):
    """A token that cannot be made or found."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NewToken:
    """A token with its secret: the only time it is seen."""

    secret: str
    row: ApiToken


def create_token(*, user: str, project: str, scopes: Sequence[str], expires_at: datetime | None = None) -> NewToken:
    """Make a token for a user in a project.

    Raises:
        TokenRefused: a scope is unknown, the expiry is past, or there is no such user.
        NotPermitted: the user is no member of the project.
    """
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        raise TokenRefused(f"scope {', '.join(unknown) or 'missing'}: use one or more of {', '.join(SCOPES)}")
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise TokenRefused(f"expires {expires_at.isoformat()}, which is past")
    owner = get_user_model().objects.filter(username=user).first()
    if owner is None:
        raise TokenRefused(f"there is no user {user!r}; `nagare user add {user}` makes one")
    if role_in(owner, project) is None:
        raise NotPermitted(who=f"user {user!r}", permission="token", project=project)
    secret = f"{_PREFIX}_{secrets.token_urlsafe(32)}"
    row = ApiToken.objects.create(
        id=str(uuid7()),
        user=owner,
        project_id=project,
        digest=digest(secret),
        prefix=secret[:10],
        scopes=list(dict.fromkeys(scopes)),
        expires_at=expires_at,
    )
    detail = f"{', '.join(row.scopes)}, for {user}"
    record_access(project, AccessKind.TOKEN, "token made", of=f"{row.prefix}…", detail=detail)
    return NewToken(secret=secret, row=row)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bearer:
    """A token that counts, and what it may do: what its scopes give, as far as its owner may do that still."""

    id: str
    prefix: str
    project: str
    user: User
    permissions: frozenset[Permission]


def bearer_of(secret: str, *, now: datetime) -> Bearer | None:
    """Return the token of a secret. None for one that is unknown, expired or revoked, or whose owner is gone.

    One query. When it was used is noted once a minute, so that reading does not write each time.
    """
    row = next(iter(_with_role().filter(digest=digest(secret))[:1]), None)
    if row is None or _state(row, now) != "valid" or not row.user.is_active or row.role is None:
        return None
    if row.last_used_at is None or now - row.last_used_at >= USE_NOTED_EVERY:
        ApiToken.objects.filter(id=row.id, last_used_at=row.last_used_at).update(last_used_at=now)
    return Bearer(
        id=row.id,
        prefix=row.prefix,
        project=row.project_id,
        user=row.user,
        permissions=permissions_of(row.scopes, Role(row.role)),
    )


@cache
def _with_role() -> Any:
    """Return the tokens with their owners and the roles of these, put together once: each request asks for one."""
    owners_role = Membership.objects.filter(user=OuterRef("user"), project=OuterRef("project")).values("role")[:1]
    return ApiToken.objects.annotate(role=Subquery(owners_role)).select_related("user")


def permissions_of(scopes: Sequence[str], role: Role) -> frozenset[Permission]:
    """Return what a token with these scopes may do while its owner has this role."""
    given = frozenset[Permission]().union(*(_SCOPE_GIVES.get(scope, frozenset()) for scope in scopes))
    if {"read", "ingest"} <= set(scopes):
        given |= _SCOPES_GIVE_TOGETHER
    return frozenset(permission for permission in given if may(role, permission))


def rotate_token(token_id: str, *, keep_until: datetime, now: datetime) -> NewToken:
    """Make a token that may do the same, and let the old one live until `keep_until`, or its own end before that.

    The new one lives as long as the old one was made for, counted from now.

    Raises:
        TokenRefused: there is no such token, it counts no more, or the overlap is past or too long.
        NotPermitted: its owner is no member of the project any more.
    """
    if not now <= keep_until <= now + LONGEST_OVERLAP:
        raise TokenRefused(f"both can live side by side for {LONGEST_OVERLAP.days} days at most, from now on")
    with transaction.atomic():
        row = ApiToken.objects.select_for_update().select_related("user").filter(id=token_id).first()
        if row is None:
            raise TokenRefused(f"there is no token {token_id!r}; `nagare token list` shows those there are")
        if (state := _state(row, now)) != "valid":
            raise TokenRefused(f"token {row.prefix}… is {state}: make a new one")
        new = create_token(
            user=row.user.get_username(),
            project=row.project_id,
            scopes=row.scopes,
            expires_at=now + (row.expires_at - row.created_at) if row.expires_at else None,
        )
        row.expires_at = min(row.expires_at, keep_until) if row.expires_at else keep_until
        row.save(update_fields=["expires_at"])
    until = f"the old one goes on until {keep_until:%Y-%m-%d %H:%M} UTC"
    record_access(row.project_id, AccessKind.TOKEN, "token made anew", of=f"{row.prefix}…", detail=until)
    return new


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenLine:
    """A token as a list shows it; its secret is not kept anywhere. `state` is valid, expired or revoked."""

    id: str
    prefix: str
    owner: str
    is_own: bool
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    state: str


def scopes_of(role: Role) -> tuple[str, ...]:
    """Return the scopes that a role may give to a token: no more than it may itself."""
    return tuple(scope for scope in SCOPES if may(role, _SCOPE_NEEDS[scope]))


def tokens_of(project: str, *, user_id: int, role: Role, now: datetime) -> list[TokenLine]:
    """Return the tokens somebody may see in a project, newest first: their own, or as an admin everybody's."""
    rows = ApiToken.objects.filter(project_id=project).select_related("user").order_by("-created_at", "id")
    if not may(role, Permission.ADMIN):
        rows = rows.filter(user_id=user_id)
    return [_line(row, user_id, now) for row in rows]


def _line(row: ApiToken, user_id: int, now: datetime) -> TokenLine:
    return TokenLine(
        id=row.id,
        prefix=row.prefix,
        owner=row.user.get_username(),
        is_own=row.user_id == user_id,
        scopes=tuple(row.scopes),
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        state=_state(row, now),
    )


def _state(row: ApiToken, now: datetime) -> str:
    has_expired = row.expires_at is not None and row.expires_at <= now
    return "revoked" if row.revoked_at else "expired" if has_expired else "valid"


def revoke_token(token_id: str) -> ApiToken:
    """Revoke a token at once.

    Raises:
        TokenRefused: there is no such token.
    """
    row = ApiToken.objects.filter(id=token_id).first()
    if row is None:
        raise TokenRefused(f"there is no token {token_id!r}; `nagare token list` shows those there are")
    if row.revoked_at is None:
        row.revoked_at = datetime.now(UTC)
        row.save(update_fields=["revoked_at"])
        record_access(row.project_id, AccessKind.TOKEN, "token revoked", of=f"{row.prefix}…")
    return row


def digest(secret: str) -> str:
    """Return what is stored for a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()

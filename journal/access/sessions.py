"""Who is asking, in one query: session, user and memberships of a request are read together.

Nothing of it is kept between requests, so that a session that was ended, a user who was switched off and a membership
that was taken away count from the very next request on.

Source: Django's "Extending database-backed session engines", which is how a session comes to know its user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from django.conf import settings
from django.contrib import auth
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.sessions.backends import db
from django.db.models import F
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.functional import SimpleLazyObject

from journal.models import Membership, Project, Session

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User
    from django.http import HttpRequest

_BACKEND: Final = f"{ModelBackend.__module__}.{ModelBackend.__qualname__}"


class SessionStore(db.SessionStore):
    """Sessions in the database, each with its user. What else the request needs of that user is read beside it."""

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key)
        self.account: User | None = None
        self.memberships: tuple[Membership, ...] = ()

    @classmethod
    def get_model_class(cls) -> type[Session]:
        """Return the model with the user's column."""
        return Session

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        """Put the user's key, which stands in the session's data, into its column too."""
        row = cast(Session, super().create_model_instance(data))
        row.user_id = int(data[auth.SESSION_KEY]) if auth.SESSION_KEY in data else None
        return row

    def _get_session_from_db(self) -> Session | None:
        """Read the session with its user and that user's memberships: a row for each, one where there is none."""
        rows = list(
            Session.objects.filter(session_key=self.session_key, expire_date__gt=timezone.now())
            .select_related("user")
            .annotate(
                project=F("user__memberships__project_id"),
                project_name=F("user__memberships__project__name"),
                role=F("user__memberships__role"),
            )
            .order_by("project")
        )
        if not rows:
            self._session_key = None
            return None
        self.account = rows[0].user
        self.memberships = tuple(_membership(row) for row in rows if row.project is not None)
        return rows[0]


def _membership(row: Any) -> Membership:
    project = Project(slug=row.project, name=row.project_name)
    return Membership(user_id=row.user_id, project=project, role=row.role)


class Authentication(AuthenticationMiddleware):
    """Django's, but that a user who was read with the session is not read once more."""

    def process_request(self, request: HttpRequest) -> None:
        """Find the user when it is first asked for."""
        super().process_request(request)
        request.user = SimpleLazyObject(lambda: _user_of(request))  # type: ignore[assignment]


def _user_of(request: HttpRequest) -> User | AnonymousUser:
    """Return the request's user. What is not as usual, such as an older signing key, Django's own way decides."""
    known = getattr(request, "_cached_user", None)
    if known is None:
        known = account_of(request) or auth.get_user(request)
        request._cached_user = known  # type: ignore[attr-defined]  # noqa: SLF001 - where Django keeps it too
    return known


def account_of(request: HttpRequest) -> User | None:
    """Return the user who was read with the session, where all that `auth.get_user` checks holds."""
    session = request.session
    user_key, backend = session.get(auth.SESSION_KEY), session.get(auth.BACKEND_SESSION_KEY)
    account = getattr(session, "account", None)
    if account is None or str(account.pk) != user_key or not account.is_active:
        return None
    if backend != _BACKEND or backend not in settings.AUTHENTICATION_BACKENDS:
        return None
    told = session.get(auth.HASH_SESSION_KEY)
    return account if told and constant_time_compare(told, account.get_session_auth_hash()) else None


def memberships_of(request: HttpRequest) -> list[Membership]:
    """Return what the request's user is a member of, by project: as read with the session, or in a query."""
    account = getattr(getattr(request, "session", None), "account", None)
    if account is not None and account.pk == request.user.pk:
        return list(request.session.memberships)  # type: ignore[attr-defined]
    mine = Membership.objects.filter(user_id=request.user.pk or 0)
    return list(mine.select_related("project").order_by("project_id"))

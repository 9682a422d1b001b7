"""Projects and their members: made by commands, chosen in the browser."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Final

from django.contrib.auth import get_user_model
from django.db import transaction

from journal.access.permissions import Role
from journal.access.recording import record_access
from journal.access.sessions import memberships_of
from journal.domain.access_log import AccessKind
from journal.errors import JournalError
from journal.models import Membership, Project

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.http import HttpRequest

DEFAULT_PROJECT: Final = "default"
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_CHOSEN = "project"


class ProjectRefused(JournalError):
    """A project that cannot be made, or is not there."""

    def __init__(self, *, slug: str, reason: str) -> None:
        self.slug = slug
        self.reason = reason
        super().__init__(f"project {slug!r}: {reason}")


def is_slug(text: str) -> bool:
    """Return whether a project may have this name."""
    return _SLUG.fullmatch(text) is not None


def add_project(slug: str, *, name: str = "") -> Project:
    """Make a project.

    Raises:
        ProjectRefused: the slug is taken or is none.
    """
    if not is_slug(slug):
        raise ProjectRefused(slug=slug, reason="use lower-case letters, digits and dashes, 64 at most")
    project, is_new = Project.objects.get_or_create(slug=slug, defaults={"name": name or slug})
    if not is_new:
        raise ProjectRefused(slug=slug, reason="it exists already")
    return project


def slugs() -> list[str]:
    """Return every project's slug."""
    return list(Project.objects.order_by("slug").values_list("slug", flat=True))


def ensure_project(slug: str) -> Project:
    """Return the project, making the default one where it is asked for first.

    Raises:
        ProjectRefused: there is no project of that name.
    """
    if slug == DEFAULT_PROJECT:
        return Project.objects.get_or_create(slug=slug, defaults={"name": "Default"})[0]
    found = Project.objects.filter(slug=slug).first()
    if found is None:
        raise ProjectRefused(slug=slug, reason=f"there is none; `nagare project add {slug}` makes it")
    return found


def add_user(name: str, *, role: Role, project: str, password: str | None = None) -> tuple[User, str | None]:
    """Make a user, or give one that exists a role in a project.

    Returns the user and the password that was generated, None where one was given or the user existed.
    """
    users = get_user_model()
    with transaction.atomic():
        target = ensure_project(project)
        user = users.objects.filter(username=name).first()
        generated = None
        what = "role given" if user else "account made"
        if user is None:
            generated = None if password else secrets.token_urlsafe(12)
            user = users.objects.create_user(username=name, password=password or generated)
        Membership.objects.update_or_create(user=user, project=target, defaults={"role": role.value})
    record_access(project, AccessKind.MEMBERS, what, of=user.get_username(), detail=role.value)
    return user, generated


def projects_of(request: HttpRequest) -> list[Project]:
    """Return the projects the request's user is a member of, by name."""
    return [membership.project for membership in memberships_of(request)]


def chosen_project(request: HttpRequest) -> tuple[Project, Role] | None:
    """Return the project the page is about and the user's role there.

    `?project=` wins and is remembered in the session; without either, the first by name. None where the user is no
    member of the one that was asked for, or of any.
    """
    found = project_of(request)
    asked = request.GET.get("project")
    if found is not None and asked and request.session.get(_CHOSEN) != asked:
        request.session[_CHOSEN] = asked
    return found


def project_of(request: HttpRequest) -> tuple[Project, Role] | None:
    """Return the same, and remember nothing: what a program asks for does not move the person's pages."""
    asked = request.GET.get("project")
    found = memberships_of(request)
    wanted = asked or request.session.get(_CHOSEN)
    chosen = next((membership for membership in found if membership.project_id == wanted), None)
    if chosen is None and asked is None:
        chosen = found[0] if found else None
    return None if chosen is None else (chosen.project, Role(chosen.role))

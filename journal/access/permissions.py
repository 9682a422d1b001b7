"""What a role may do."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from journal.models import Membership

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
    from django.db.models import QuerySet


class Permission(StrEnum):
    """Something a view or command may ask for, always within one project."""

    READ = "read"
    IMPORT = "import"
    ANNOTATE = "annotate"
    GRADE = "grade"
    """Save rules, start re-grades and bisects of the journal, keep schedules."""
    EXPORT = "export"
    AUDIT = "audit"
    ADMIN = "admin"


class Role(StrEnum):
    """What a member is in a project."""

    VIEWER = "viewer"
    ENGINEER = "engineer"
    AUDITOR = "auditor"
    ADMIN = "admin"


_GRANTED: Final[dict[Role, frozenset[Permission]]] = {
    Role.VIEWER: frozenset({Permission.READ}),
    Role.ENGINEER: frozenset(
        {
            Permission.READ,
            Permission.IMPORT,
            Permission.ANNOTATE,
            Permission.GRADE,
            Permission.EXPORT,
        }
    ),
    Role.AUDITOR: frozenset({Permission.READ, Permission.EXPORT, Permission.AUDIT}),
    Role.ADMIN: frozenset(Permission),
}


def may(role: Role, permission: Permission) -> bool:
    """Return whether the role includes the permission."""
    return permission in _GRANTED[role]


def role_in(user: AbstractBaseUser | AnonymousUser, project: str) -> Role | None:
    """Return the user's role in a project, None where they are no member."""
    if not user.is_authenticated or not user.is_active:
        return None
    found = Membership.objects.filter(user_id=user.pk, project_id=project).values_list("role", flat=True).first()
    return Role(found) if found else None


def holders(project: str, permission: Permission) -> QuerySet[Membership]:
    """Return the memberships of a project whose role includes a permission, for use in another query."""
    roles = [role.value for role in Role if may(role, permission)]
    return Membership.objects.filter(project_id=project, role__in=roles)


def administers(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Return whether the user is an admin of some project: those also see how the installation as a whole does."""
    if not user.is_authenticated or not user.is_active:
        return False
    return Membership.objects.filter(user_id=user.pk, role=Role.ADMIN.value).exists()

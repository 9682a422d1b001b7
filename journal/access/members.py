"""Who is in a project, seen and changed by its admins. Accounts themselves are made by `nagare user add`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.db import transaction

from journal.access.permissions import Role
from journal.access.recording import record_access
from journal.domain.access_log import AccessKind
from journal.errors import Refused
from journal.models import Membership

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


class MemberRefused(Refused):
    """A change of members that cannot be."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A person and their role in a project."""

    name: str
    role: Role
    is_active: bool


def members_of(project: str) -> list[Member]:
    """Return a project's members by name."""
    rows = Membership.objects.filter(project_id=project).select_related("user").order_by("user__username")
    return [Member(name=row.user.get_username(), role=Role(row.role), is_active=row.user.is_active) for row in rows]


def set_role(project: str, name: str, role: Role) -> None:
    """Give somebody who has an account a role in a project.

    Raises:
        MemberRefused: there is no such account, or the project would be without an admin.
    """
    with transaction.atomic():
        user = get_user_model().objects.filter(username=name).first()
        if user is None:
            way = f"`nagare user add {name} --role {role} --project {project}` makes one"
            raise MemberRefused(f"there is no account {name!r}; {way}")
        if role is not Role.ADMIN:
            _refuse_last_admin(project, user)
        Membership.objects.update_or_create(project_id=project, user=user, defaults={"role": role.value})
    record_access(project, AccessKind.MEMBERS, "role given", of=user.get_username(), detail=role.value)


def remove_member(project: str, name: str) -> None:
    """Take somebody out of a project; their account and what they did stay.

    Raises:
        MemberRefused: they are no member, or the only admin.
    """
    with transaction.atomic():
        row = Membership.objects.filter(project_id=project, user__username=name).select_related("user").first()
        if row is None:
            raise MemberRefused(f"{name!r} is no member of {project}")
        _refuse_last_admin(project, row.user)
        row.delete()
    record_access(project, AccessKind.MEMBERS, "role taken", of=row.user.get_username(), detail=row.role)


def _refuse_last_admin(project: str, user: AbstractBaseUser) -> None:
    """Locks the admins' rows, so that two of them cannot step down past each other.

    By account and not by the name that was typed: some databases find a name in other letters, capital or small.
    """
    admins = Membership.objects.select_for_update().filter(project_id=project, role=Role.ADMIN.value)
    if [row.user_id for row in admins] == [user.pk]:
        raise MemberRefused(f"{user.get_username()!r} is the only admin of {project}; make somebody else one first")

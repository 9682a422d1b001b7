"""Sign-ins, told to the access log of each project that the account is a member of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import UUID, uuid5

from django.contrib.auth import get_user_model, user_logged_in, user_login_failed
from django.http import HttpRequest

from journal.access.acting import Actor, actor
from journal.access.recording import Record, note_access, record_access
from journal.access.watching import DEFAULT_PROJECT
from journal.domain.access_log import AccessKind
from journal.models import Membership, Project

_UNKNOWN: Final = "a name that no account has"


def listen() -> None:
    """Record sign-ins from now on."""
    user_logged_in.connect(_signed_in, dispatch_uid="access-log")
    user_login_failed.connect(_failed, dispatch_uid="access-log")


def _signed_in(*, user: Any, request: HttpRequest | None, **_: Any) -> None:
    if request is None:
        return
    who = _who(user.get_username())
    for project in Membership.objects.filter(user_id=user.pk).values_list("project_id", flat=True):
        record_access(project, AccessKind.SIGN_IN, "signed in", who=who)


def _failed(*, credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    if request is not None:
        name = str(credentials.get("username", ""))
        note_access(
            DEFAULT_PROJECT, AccessKind.SIGN_IN, "sign-in failed", outcome="refused", who=_who(name), resolve=_whose
        )


def _who(name: str) -> Actor:
    known = actor()
    return Actor(by=name, via=known.via, origin=known.origin, correlation=known.correlation)


def _whose(record: Record) -> Sequence[Record]:
    """Return a failed sign-in for each project of the account. Of a name that none has, nothing is kept.

    People type passwords where names go.
    """
    user = get_user_model().objects.filter(username=record.said["by"]).first()
    if user is None:
        slug = Project.objects.filter(slug=record.project).values_list("slug", flat=True).first()
        known = slug or Project.objects.order_by("slug").values_list("slug", flat=True).first()
        nobody = {**record.said, "by": "", "detail": _UNKNOWN}
        return [replace(record, project=known, said=nobody, resolve=None)] if known else []
    of = Membership.objects.filter(user_id=user.pk).values_list("project_id", flat=True)
    return [replace(record, id=str(uuid5(UUID(record.id), slug)), project=slug, resolve=None) for slug in of]

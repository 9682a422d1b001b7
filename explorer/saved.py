"""Saved views: who may keep, share, change and drop them."""

from __future__ import annotations

from typing import Final

from django.db import IntegrityError, transaction

from explorer.models import SavedView
from explorer.query_language import MAX_LENGTH, parse
from journal.access import Permission, Role, may
from journal.errors import Refused

LONGEST_NAME: Final = 60
MOST: Final = 50
"""Views that one person keeps in one project."""


class ViewRefused(Refused):
    """A view that cannot be kept."""


def may_share(role: Role) -> bool:
    """Whether a role may put a tab before everybody in the project: whoever may add words to what all see."""
    return may(role, Permission.ANNOTATE)


def may_change(*, is_own: bool, is_shared: bool, role: Role) -> bool:
    """Whether somebody may change or drop a view: its owner, and admins where it is everybody's.

    What everybody sees is its owner's to change only for as long as they may share: a role may be taken away.
    """
    if is_shared and may(role, Permission.ADMIN):
        return True
    return is_own and (not is_shared or may_share(role))


def save(project: str, *, user_id: int, name: str, query: str, shared: bool) -> SavedView:
    """Keep a new view.

    Raises:
        ViewRefused: the name is missing, too long or taken, the query is none, or there are too many.
    """
    if SavedView.objects.filter(project=project, owner_id=user_id).count() >= MOST:
        raise ViewRefused(f"You have {MOST} views in {project}, which is the most. Delete one first.")
    return _kept(SavedView(project=project, owner_id=user_id), name=name, query=query, shared=shared)


def change(view: SavedView, *, name: str, query: str, shared: bool) -> SavedView:
    """Give a view another name or query, or show it to others or no longer.

    Raises:
        ViewRefused: as `save` does.
    """
    return _kept(view, name=name, query=query, shared=shared)


def _kept(view: SavedView, *, name: str, query: str, shared: bool) -> SavedView:
    view.name, view.query, view.shared = _checked_name(name), _checked_query(query), shared
    try:
        with transaction.atomic():
            view.save()
    except IntegrityError as taken:
        raise ViewRefused(f"You have a view called {view.name} already. Choose another name.") from taken
    return view


def _checked_name(name: str) -> str:
    plain = " ".join(name.replace("\x00", "").split())
    if not plain:
        raise ViewRefused("A view needs a name.")
    if len(plain) > LONGEST_NAME:
        raise ViewRefused(f"The name has {len(plain)} characters; {LONGEST_NAME} are the most.")
    return plain


def _checked_query(query: str) -> str:
    plain = " ".join(query.replace("\x00", "").split())[: MAX_LENGTH + 1]
    if problem := next(iter(parse(plain).problems), None):
        raise ViewRefused(f"The query is not understood: {problem.message}")
    return plain

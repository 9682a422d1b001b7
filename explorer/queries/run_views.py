"""The tabs of the run list: views that come with it, and those that people saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from django.db.models import Q

from explorer.models import SavedView
from explorer.query_language import Query, parse

_SAVED_SHOWN: Final = 24


@dataclass(frozen=True, kw_only=True)
class View:
    """A query that has a tab of its own. `id` is None for those that come with the list."""

    slug: str
    name: str
    query: str
    id: int | None = None
    owner: str = ""
    is_own: bool = False
    is_shared: bool = False

    @property
    def can_be_counted(self) -> bool:
        """Whether a count of it is cheap: a search for words is not, and a query that is none has no count."""
        query = parse(self.query)
        return not query.problems and all(term.key != "text" for term in query.terms)

    @property
    def address(self) -> str:
        """The tab's address."""
        return f"?{urlencode({'view': self.slug})}" if self.query or self.id else ""


BUILT_IN: Final = (
    View(slug="all", name="All runs", query=""),
    View(slug="tool-failures", name="With tool failures", query="errors:>0"),
    View(slug="running", name="Running", query="status:running"),
    View(slug="over-1", name="Over $1", query="cost:>1"),
    View(slug="aborted", name="Aborted", query="status:aborted"),
)


@dataclass(frozen=True, kw_only=True)
class Tab:
    """A view as its tab shows it; `count` is of the newest runs, with a plus where there are more, or empty."""

    view: View
    count: str
    is_here: bool
    is_changed: bool = False


def views_of(project: str, user_id: int) -> list[View]:
    """Return the views somebody sees in a project: those that come with the list, their own, and shared ones."""
    mine_or_shared = Q(owner_id=user_id) | Q(shared=True)
    rows = SavedView.objects.filter(mine_or_shared, project=project).select_related("owner").order_by("name", "id")
    return [*BUILT_IN, *(_as_view(row, user_id) for row in rows[:_SAVED_SHOWN])]


def _as_view(row: SavedView, user_id: int) -> View:
    return View(
        slug=str(row.pk), name=row.name, query=row.query, id=row.pk, owner=row.owner.get_username(),
        is_own=row.owner_id == user_id, is_shared=row.shared,
    )  # fmt: skip


def tabs(views: list[View], query: Query, asked: str, counts: Mapping[str, str]) -> list[Tab]:
    """Return the tabs. The reader is in the view that was asked for, changed or not; else where the query is one's."""
    typed = " ".join(query.text.split())
    here = next((view for view in views if view.slug == asked and (view.id or view.query == typed)), None)
    here = here or next((view for view in views if view.query == typed), None)
    return [
        Tab(
            view=view, count=counts.get(view.slug, ""), is_here=view is here,
            is_changed=view is here and view.query != typed,
        )
        for view in views
    ]  # fmt: skip

"""The live page: the newest events, which its script goes on with over a socket."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from explorer.numbers import whole
from explorer.queries import live as queries
from explorer.query_language import MAX_LENGTH
from journal.access import Permission, ProjectRequest, requires

_DIGITS = 18


@never_cache
@require_safe
@requires(Permission.READ)
def page(request: ProjectRequest) -> HttpResponse:
    """Show the newest events, or those past a position."""
    project = request.project.slug
    q = _asked(request, "q")[: MAX_LENGTH + 1]
    found = queries.live_page(project, q=q, after=whole(_asked(request, "after"), digits=_DIGITS))
    context = {
        "page": found,
        "runs": queries.open_runs(project, timezone.now()),
        "shows_runs": _asked(request, "show") == "runs",
    }
    return render(request, "explorer/live/page.html", context)


@never_cache
@require_safe
@requires(Permission.READ)
def runs(request: ProjectRequest) -> HttpResponse:
    """Show the runs under way: what the page asks for again and again."""
    found = queries.open_runs(request.project.slug, timezone.now())
    return render(request, "explorer/live/_runs.html", {"runs": found})


def _asked(request: ProjectRequest, name: str) -> str:
    """Return a word of the address. Databases take no NUL in text."""
    return request.GET.get(name, "").replace("\x00", "")

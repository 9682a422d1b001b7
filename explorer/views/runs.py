"""The run list, and what stands there before the first run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseClientRefresh

from explorer.queries import runs as queries
from explorer.views.imports import drop_context
from journal.access import Permission, ProjectRequest, may, requires

_BUILDING: Final = "building"
"""The element that asks again and again whether there are rows now."""

if TYPE_CHECKING:
    from django_htmx.middleware import HtmxDetails

    class RunsRequest(ProjectRequest):
        """A request of this page."""

        htmx: HtmxDetails


@require_safe
@requires(Permission.READ)
def home(request: HttpRequest) -> HttpResponse:
    """Lead to the run list."""
    query = request.GET.urlencode()
    return HttpResponseRedirect(reverse("explorer:runs") + (f"?{query}" if query else ""))


@require_safe
@requires(Permission.READ)
def listing(request: RunsRequest) -> HttpResponse:
    """Show a page of the project's runs, or only its rows where htmx asks for them."""
    page = queries.run_page(
        request.project.slug,
        q=_query(request),
        before=request.GET.get("before", ""),
        after=request.GET.get("after", ""),
        now=timezone.now(),
    )
    context = {"page": page, "may_import": may(request.role, Permission.IMPORT), "now": timezone.now()}
    if not page.counted:
        return _nothing_yet(request, context)
    if request.htmx and request.htmx.target == _BUILDING:
        return HttpResponseClientRefresh()
    wants_part = request.htmx and not request.htmx.history_restore_request
    template = "explorer/runs/page.html#update" if wants_part else "explorer/runs/page.html"
    response = render(request, template, {**context, "is_update": wants_part})
    patch_vary_headers(response, ("HX-Request",))
    return response


def _nothing_yet(request: RunsRequest, context: dict[str, Any]) -> HttpResponse:
    """Show how to begin; or that the list is being built, where the journal holds events that it does not show yet."""
    if not queries.has_events(request.project.slug):
        return render(request, "explorer/runs/first.html", {**context, **drop_context(request)})
    if request.htmx:
        return HttpResponse(status=204)
    return render(request, "explorer/runs/building.html", context)


def _query(request: HttpRequest) -> str:
    """Return what was typed, or else the query of the view that is asked for. Databases take no NUL in text."""
    typed = request.GET.get("q")
    if typed is None:
        slug = request.GET.get("view", "")
        typed = next((view.query for view in queries.VIEWS if view.slug == slug), "")
    return typed.replace("\x00", "")

"""The run list, and what stands there before the first run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseClientRefresh

from explorer import saved
from explorer.numbers import whole
from explorer.preferences import preferences_of
from explorer.queries import run_peek
from explorer.queries import runs as queries
from explorer.queries.run_values import completions
from explorer.queries.run_views import View, views_of
from explorer.query_language import MAX_LENGTH
from explorer.views.imports import drop_context
from journal.access import Permission, ProjectRequest, may, reader_id, requires

_BUILDING: Final = "building"
"""The element that asks again and again whether there are rows now."""

_OTEL: Final = """\
OTEL_EXPORTER_OTLP_ENDPOINT={}
OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer%20$NAGARE_TOKEN"
"""
_RECORD: Final = """\
from journal import recorder
with recorder.run(prompt=prompt, model="orion-3") as run: …
"""

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
    views = views_of(request.project.slug, reader_id(request))
    asked = _asked(request, "view")
    page = queries.run_page(
        request.project.slug,
        q=_query(request, views, asked),
        before=_asked(request, "before"),
        after=_asked(request, "after"),
        now=timezone.now(),
        views=views,
        view=asked if any(view.slug == asked for view in views) else "",
    )
    context = {"page": page, "may_import": may(request.role, Permission.IMPORT), "now": timezone.now()}
    if not page.counted:
        return _nothing_yet(request, context)
    if request.htmx and request.htmx.target == _BUILDING:
        return HttpResponseClientRefresh()
    return _list(request, {**context, **_beside(request, page), "no_view": asked and not page.view})


def _list(request: RunsRequest, context: dict[str, Any]) -> HttpResponse:
    wants_part = request.htmx and not request.htmx.history_restore_request
    template = "explorer/runs/page.html#update" if wants_part else "explorer/runs/page.html"
    response = render(request, template, {**context, "is_update": wants_part})
    patch_vary_headers(response, ("HX-Request",))
    return response


def _beside(request: RunsRequest, page: queries.RunPage) -> dict[str, Any]:
    """Return what stands around the rows: the run that is peeked at, and what the reader may do with the view."""
    peeked = _asked(request, "peek")
    tab = page.tab
    view = tab.view if tab is not None else None
    return {
        "peek": run_peek.peek(request.project.slug, peeked) if peeked else None,
        "may_share": saved.may_share(request.role),
        "may_change": bool(
            view and view.id and saved.may_change(is_own=view.is_own, is_shared=view.is_shared, role=request.role)
        ),
        "preferences": preferences_of(request),
    }


@require_safe
@requires(Permission.READ)
def peek(request: RunsRequest, stream: str) -> HttpResponse:
    """Show a run at a glance: the panel that the list has beside it."""
    found = run_peek.peek(request.project.slug, stream)
    if found is None:
        raise Http404("no such run")
    return render(request, "explorer/runs/_peek.html", {"peek": found})


@require_safe
@requires(Permission.READ)
def complete(request: RunsRequest) -> HttpResponse:
    """Offer what could come next in the query line."""
    text = _asked(request, "q")[:MAX_LENGTH]
    caret = whole(_asked(request, "at"), digits=len(str(MAX_LENGTH)))
    options = completions(request.project.slug, text, len(text) if caret is None else caret, timezone.now())
    return render(request, "explorer/runs/_complete.html", {"options": options})


def _nothing_yet(request: RunsRequest, context: dict[str, Any]) -> HttpResponse:
    """Show how to begin; or that the list is being built, where the journal holds events that it does not show yet."""
    if not queries.has_events(request.project.slug):
        ways = {
            "otel_command": _OTEL.format(request.build_absolute_uri("/").rstrip("/")).strip(),
            "record_code": _RECORD.strip(),
        }
        return render(request, "explorer/runs/first.html", {**context, **drop_context(request), **ways})
    if request.htmx:
        return HttpResponse(status=204)
    return render(request, "explorer/runs/building.html", context)


def _query(request: HttpRequest, views: Sequence[View], asked: str) -> str:
    """Return what was typed, or else the query of the view that is asked for."""
    if "q" in request.GET:
        return _asked(request, "q")
    return next((view.query for view in views if view.slug == asked), "")


def _asked(request: HttpRequest, name: str) -> str:
    """Return a word of the address. Databases take no NUL in text."""
    return request.GET.get(name, "").replace("\x00", "")

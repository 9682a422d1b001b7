"""Saved views: made from the run list, changed on a page of their own."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from explorer import saved
from explorer.models import SavedView
from journal.access import Permission, ProjectRequest, reader_id, requires

_HIGHEST_ID = 2**63 - 1


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.READ)
def new(request: ProjectRequest) -> HttpResponse:
    """Keep the query of the run list under a name; without one, ask for it."""
    if request.method != "POST":
        return _form(request, {"query": request.GET.get("q", "")})
    said = _said(request)
    try:
        view = saved.save(request.project.slug, user_id=reader_id(request), **said)
    except saved.ViewRefused as refused:
        return _form(request, said, refusal=refused.reason)
    return _to(view)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.READ)
def change(request: ProjectRequest, view_id: int) -> HttpResponse:
    """Rename, share, change or delete a view."""
    view = _own(request, view_id)
    if request.method != "POST":
        kept = {"name": view.name, "shared": view.shared, "query": request.GET.get("q", view.query)}
        return _form(request, kept, view=view)
    if request.POST.get("do") == "delete":
        view.delete()
        return HttpResponseRedirect(reverse("explorer:runs"))
    said = _said(request, before=view)
    try:
        return _to(saved.change(view, **said))
    except saved.ViewRefused as refused:
        return _form(request, said, view=view, refusal=refused.reason)


def _own(request: ProjectRequest, view_id: int) -> SavedView:
    """Return a view that the reader may change; to everybody else it is not there."""
    rows = SavedView.objects.filter(project=request.project.slug, id=min(view_id, _HIGHEST_ID))
    view = rows.select_related("owner").first()
    if view is None or not saved.may_change(
        is_own=view.owner_id == reader_id(request), is_shared=view.shared, role=request.role
    ):
        raise Http404("no such view")
    return view


def _said(request: ProjectRequest, before: SavedView | None = None) -> dict[str, Any]:
    """Return what the form says. Who may not share leaves that as it is."""
    shares = bool(request.POST.get("shared")) if saved.may_share(request.role) else bool(before and before.shared)
    return {"name": request.POST.get("name", ""), "query": request.POST.get("query", ""), "shared": shares}


def _form(
    request: ProjectRequest, said: dict[str, Any], *, view: SavedView | None = None, refusal: str = ""
) -> HttpResponse:
    context = {
        "said": said, "view": view, "refusal": refusal, "may_share": saved.may_share(request.role),
        "longest": saved.LONGEST_NAME,
    }  # fmt: skip
    return render(request, "explorer/runs/view.html", context, status=400 if refusal else 200)


def _to(view: SavedView) -> HttpResponse:
    return HttpResponseRedirect(f"{reverse('explorer:runs')}?view={view.pk}")

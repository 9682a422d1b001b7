"""Whether a run is as it was sealed."""

from __future__ import annotations

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from explorer.queries import run_intact
from journal.access import Permission, ProjectRequest, requires

_TEMPLATE = "explorer/run/intact.html"


@never_cache
@require_safe
@requires(Permission.READ)
def page(request: ProjectRequest, stream: str) -> HttpResponse:
    """Check a run against the signed log now, and say what was found: a page, or the mark in the debugger's header."""
    found = run_intact.intact(request.project.slug, stream)
    if found is None:
        raise Http404("no such run")
    template = f"{_TEMPLATE}#mark" if request.headers.get("HX-Request") == "true" else _TEMPLATE
    response = render(request, template, {"intact": found})
    patch_vary_headers(response, ["HX-Request"])
    return response

"""Received spans of which there is no run: which, why, and trying them again."""

from __future__ import annotations

from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from explorer.queries import spans as queries
from journal.access import Permission, ProjectRequest, may, requires
from journal.ingest import span_untold


@never_cache
@require_safe
@requires(Permission.READ)
def page(request: ProjectRequest) -> HttpResponse:
    """List the project's traces without a run."""
    found = queries.spans_page(request.project.slug, may_act=may(request.role, Permission.IMPORT))
    return render(request, "explorer/ops/spans.html", {"page": found})


@require_POST
@requires(Permission.IMPORT)
def again(request: ProjectRequest, trace: str) -> HttpResponse:
    """Let a trace that could not be told be tried again."""
    if not span_untold.try_again(request.project.slug, trace.replace("\x00", ""), now=timezone.now()):
        raise Http404("no such trace waits")
    return HttpResponseRedirect(reverse("explorer:ops_spans"))

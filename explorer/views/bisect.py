"""Bisecting one run, by a rule or by a person."""

from __future__ import annotations

from typing import Final

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from explorer.queries import run_bisect, run_manual
from journal.access import Permission, ProjectRequest, requires

_NO_RUN: Final = "no such run"


@require_safe
@requires(Permission.READ)
def run(request: ProjectRequest, stream: str) -> HttpResponse:
    """Ask where a run first breaks a rule, and show the answer: the page, or what an htmx request swaps of it."""
    page = run_bisect.bisect_page(request.project.slug, run_bisect.Ask.of(stream, request.GET.dict()))
    if page is None:
        raise Http404(_NO_RUN)
    part = "#update" if request.headers.get("HX-Request") == "true" else ""
    response = render(request, f"explorer/bisect/run.html{part}", {"page": page, "is_update": bool(part)})
    patch_vary_headers(response, ("HX-Request",))
    return response


@require_safe
@requires(Permission.READ)
def manual(request: ProjectRequest, stream: str) -> HttpResponse:
    """Let a person search: the event to look at next, and three links that say what they saw."""
    ask = run_bisect.Ask.of(stream, request.GET.dict())
    page = run_manual.manual_page(request.project.slug, ask, request.GET.get("said", ""))
    if page is None:
        raise Http404(_NO_RUN)
    return render(request, "explorer/bisect/manual.html", {"page": page, "at": page.at})

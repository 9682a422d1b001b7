"""An answer walked back to its input, for a person to judge."""

from __future__ import annotations

from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from explorer.queries import answer_walk
from explorer.queries.answer_walk import Story
from explorer.queries.run_address import Address
from explorer.streaming import streamed
from journal.access import Permission, ProjectRequest, requires


@require_safe
@requires(Permission.READ)
def page(request: ProjectRequest, stream: str, version: int) -> HttpResponse:
    """Tell the story, and ask for a verdict."""
    context = {"story": _story(request, stream, version), "choices": answer_walk.CHOICES}
    return render(request, "explorer/walk/page.html", context)


@require_safe
@requires(Permission.READ)
def as_markdown(request: ProjectRequest, stream: str, version: int) -> HttpResponseBase:
    """Give the story as text to paste elsewhere."""
    told = _story(request, stream, version)
    address = request.build_absolute_uri(reverse("explorer:walk", args=[told.line.run.stream, version]))
    pieces = (piece.encode(errors="replace") for piece in answer_walk.markdown(told, address))
    return streamed(request, pieces, content_type="text/markdown; charset=utf-8")


def _story(request: ProjectRequest, stream: str, version: int) -> Story:
    told = answer_walk.story(request.project.slug, Address.of(stream, {}).stream, version)
    if told is None:
        raise Http404("no such event")
    return told

"""The causal graph of one event over all runs, and what rests on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from explorer import blast_export
from explorer.numbers import whole
from explorer.queries import blast as blasts
from explorer.queries import lineage as graphs
from explorer.queries import reach_page
from explorer.queries.run_address import Address
from explorer.streaming import streamed
from journal.access import Permission, ProjectRequest, requires
from journal.errors import VersionNotFound

_NO_EVENT: Final = "no such event"
_DIGITS: Final = 6
_VERSION_DIGITS: Final = 15


@require_safe
@requires(Permission.READ)
def page(request: ProjectRequest, stream: str, version: int) -> HttpResponse:
    """Draw everything that led to an event and that it led to."""
    found = graphs.lineage_page(request.project.slug, Address.of(stream, request.GET), version)
    if found is None:
        raise Http404(_NO_EVENT)
    return render(request, "explorer/lineage/page.html", {"page": found})


@require_safe
@requires(Permission.READ)
def reach(request: ProjectRequest, stream: str, version: int) -> HttpResponse:
    """Count and list what rests on an event; to a program that asks for JSON, all of it."""
    return _reach(request, _blast(request, [(stream, version)]))


@require_safe
@requires(Permission.READ)
def reach_of(request: ProjectRequest) -> HttpResponse:
    """Count and list what rests on any of several events, as a bisect or a re-grade found them."""
    events = _events(request)
    if not events:
        most = blasts.MOST_ORIGINS
        return render(request, "explorer/reach/which.html", {"refusal": request.GET.get("of", ""), "most": most})
    return _reach(request, _blast(request, events), is_of_several=True)


def _reach(request: ProjectRequest, found: blasts.Blast, *, is_of_several: bool = False) -> HttpResponse:
    if request.get_preferred_type(["text/html", "application/json"]) == "application/json":
        response: HttpResponse = JsonResponse(blasts.as_json(found))
    else:
        shown = reach_page.page_of(
            found,
            show=request.GET.get("show", ""),
            number=whole(request.GET.get("page", ""), digits=_DIGITS) or 1,
            chosen=_values(request),
            project=request.GET.get("project", ""),
            is_of_several=is_of_several,
        )
        response = render(request, "explorer/reach/page.html", {"page": shown})
    patch_vary_headers(response, ["Accept"])
    return response


@require_safe
@requires(Permission.EXPORT)
def reach_export(request: ProjectRequest, stream: str, version: int, form: str) -> HttpResponseBase:
    """Give all that rests on an event as a file: JSON Lines with each event as the journal holds it, or CSV."""
    return _export(request, [(stream, version)], form, name=str(version))


@require_safe
@requires(Permission.EXPORT)
def reach_of_export(request: ProjectRequest, form: str) -> HttpResponseBase:
    """Give all that rests on any of several events as such a file."""
    return _export(request, _events(request), form, name="several")


def _export(request: ProjectRequest, events: Sequence[tuple[str, int]], form: str, *, name: str) -> HttpResponseBase:
    if form not in blast_export.FORMS:
        raise Http404("no such format")
    found = _blast(request, events)
    content_type, write = blast_export.FORMS[form]
    response = streamed(request, write(request.project.slug, found), content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="reach-of-{name}.{form}"'
    return response


def _events(request: HttpRequest) -> list[tuple[str, int]]:
    """Return the events that the address names, `stream@version` each; what names none is passed over."""
    found = []
    for text in request.GET.getlist("of"):
        stream, _, digits = text.strip().rpartition("@")
        version = whole(digits, digits=_VERSION_DIGITS)
        if stream and version:
            found.append((stream, version))
    return found


def _blast(request: ProjectRequest, events: Sequence[tuple[str, int]]) -> blasts.Blast:
    clean = [(stream.replace("\x00", ""), version) for stream, version in events]
    try:
        found = blasts.blast_of(request.project.slug, clean, values=_values(request))
    except VersionNotFound as missing:
        raise Http404(_NO_EVENT) from missing
    if found is None:
        raise Http404(_NO_EVENT)
    return found


def _values(request: HttpRequest) -> list[str] | None:
    """Return the values that the address names; None where it leaves the choice to us, empty where it wants none."""
    if "value" not in request.GET and "chosen" not in request.GET:
        return None
    return [text for text in request.GET.getlist("value") if text.strip()][: blasts.CHOSEN]

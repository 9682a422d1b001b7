"""The run debugger and the permanent addresses of events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_GET

from explorer.queries import notes, run_edge, run_steps
from explorer.queries import run as debugger
from explorer.queries.run_address import Address
from explorer.views.payload import DOWNLOADS, download
from journal.access import Permission, ProjectRequest, requires
from journal.domain.codec import on_the_wire
from journal.store import get_store

if TYPE_CHECKING:
    from journal.domain.event import RecordedEvent

_TEMPLATE: Final = "explorer/run/page.html"
_NO_RUN: Final = "no such run"


@requires(Permission.READ)
@require_GET
def page(request: HttpRequest, stream: str) -> HttpResponse:
    """Show a run at an event: the whole page, or the part of it that an htmx request names."""
    project = cast(ProjectRequest, request).project.slug
    address = Address.of(stream, request.GET)
    part = request.GET.get("part", "") if request.headers.get("HX-Request") == "true" else None
    if part == "edge":
        return _edge(request, project, address)
    if part == "window":
        return _window(request, project, address)
    found = debugger.find(project, address)
    if found is None:
        raise Http404(_NO_RUN)
    shown, banner = found
    response = _whole(request, shown, banner) if part is None else _fragment(request, shown, part)
    patch_vary_headers(response, ["HX-Request"])
    return response


def _whole(request: HttpRequest, shown: debugger.Inspector, banner: str) -> HttpResponse:
    page = debugger.page(shown, banner, timezone.now())
    noted = notes.on_page(shown.run, shown.version)
    return render(request, _TEMPLATE, {"page": page, "at": shown, "window": page.window, "noted": noted})


def _fragment(request: HttpRequest, shown: debugger.Inspector, part: str) -> HttpResponse:
    """Answer a cursor move: the inspector and what hangs on it, and the list where the row is not in view."""
    window = debugger.window(shown) if part == "list" else None
    return render(request, f"{_TEMPLATE}#move", {"at": shown, "window": window, "is_move": True})


def _window(request: HttpRequest, project: str, address: Address) -> HttpResponse:
    """Answer an end of the list coming into view."""
    edge = request.GET.get("edge", "")
    found = debugger.edge(project, address, edge)
    if found is None:
        raise Http404(_NO_RUN)
    run, window = found
    return render(request, f"{_TEMPLATE}#window", {"window": window, "address": address, "run": run, "edge": edge})


def _edge(request: HttpRequest, project: str, address: Address) -> HttpResponse:
    """Answer a page that follows its run: how the run stands now, and the rows that the page does not have yet."""
    rows, with_map = request.GET.get("edge", ""), request.GET.get("map") == "1"
    edge = run_edge.edge_of(project, address, rows=rows, with_map=with_map)
    if edge is None:
        raise Http404(_NO_RUN)
    return render(request, f"{_TEMPLATE}#edge", {"edge": edge, "address": address})


@requires(Permission.READ)
@require_GET
def permalink(request: HttpRequest, stream: str, version: int) -> HttpResponse:
    """Lead to the debugger at an event; to a program that asks for JSON, give the event as it is on the wire."""
    project = cast(ProjectRequest, request).project.slug
    address = Address.of(stream, request.GET)
    name = request.GET.get("download", "")
    if name in DOWNLOADS:
        number = request.GET.get("n", "")
        return download(_event(project, address.stream, version), name, int(number[:9]) if number.isdecimal() else 0)
    if request.get_preferred_type(["text/html", "application/json"]) == "application/json":
        response: HttpResponse = JsonResponse(on_the_wire(_event(project, address.stream, version)))
    elif run_steps.run_of(project, stream) is None:
        raise Http404(_NO_RUN)
    else:
        response = HttpResponseRedirect(address.at(version))
    patch_vary_headers(response, ["Accept"])
    return response


def _event(project: str, stream: str, version: int) -> RecordedEvent:
    largest = 2**62
    wanted = get_store(project).read_stream(stream, after=version - 1, until=version) if 0 < version < largest else ()
    event = next(iter(wanted), None)
    if event is None:
        raise Http404("no such event")
    return event

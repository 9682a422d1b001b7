"""Finding in a run: a part of the page for its script; without one, the way to the first hit."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from explorer.queries import run_find, run_steps
from explorer.queries.run_address import Address
from explorer.queries.run_lines import WINDOW
from journal.access import Permission, ProjectRequest, requires


@require_safe
@requires(Permission.READ)
def find(request: HttpRequest, stream: str) -> HttpResponse:
    """Look for `q=` in a run, from the event `v=` on.

    A form that was sent leads to the first hit from there on, after the last one to the first. A script gets the bar,
    the ticks, and the passages of the rows from `from=` to `to=` that it shows.
    """
    run = run_steps.run_of(cast(ProjectRequest, request).project.slug, stream)
    if run is None:
        raise Http404("no such run")
    address = Address.of(stream, request.GET)
    version = max(1, min(address.asked or 1, run.events))
    found = run_find.find(run, address, version)
    if request.headers.get("HX-Request") == "true":
        if found is not None and (rows := _rows(request)):
            found = replace(found, rows=run_find.in_rows(run, address, after=rows[0] - 1, until=rows[1]))
        response: HttpResponse = render(
            request, "explorer/run/_find.html", {"find": found, "address": address, "is_part": True}
        )
    else:
        hit = None if found is None else version if found.at else found.after or found.first
        response = HttpResponseRedirect(address.at(hit or version))
    patch_vary_headers(response, ["HX-Request"])
    return response


def _rows(request: HttpRequest) -> tuple[int, int] | None:
    """Return the rows that the page shows; never more than a page does."""
    first, last = request.GET.get("from", ""), request.GET.get("to", "")
    if not (first.isascii() and first.isdecimal() and last.isascii() and last.isdecimal()):
        return None
    begin = min(int(first[:12]), 2**40)
    return begin, min(int(last[:12]), begin + 2 * WINDOW)

"""In from any tracing tool: an address made of what a span knows of itself."""

from __future__ import annotations

from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_safe

from explorer.queries.run_address import Address
from explorer.queries.traces import trace_page
from journal.access import Permission, ProjectRequest, requires
from journal.domain.trace import is_span_id, is_trace_id


@require_safe
@requires(Permission.READ)
def by_trace(request: ProjectRequest, trace_id: str, span_id: str) -> HttpResponse:
    """Lead to the first event that a span appended.

    Where it appended none, as a span above or below the appending one, list the events of its trace.
    """
    trace_id, span_id = trace_id.lower(), span_id.lower()
    if not (is_trace_id(trace_id) and is_span_id(span_id)):
        raise Http404("no trace and span id: 32 and 16 hexadecimal digits")
    page = trace_page(request.project.slug, trace_id, span_id)
    if page.of_span is not None:
        stream = page.of_span.run.stream
        return HttpResponseRedirect(Address.of(stream, request.GET).at(page.of_span.version))
    if not page.lines:
        raise Http404("no event of this project was appended in this trace")
    return render(request, "explorer/traces/page.html", {"page": page})

"""The page of the access log, for auditors and admins, and the log as a file."""

from __future__ import annotations

from datetime import UTC, datetime

from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from audits import access_queries as queries
from journal.access import Permission, ProjectRequest, requires
from journal.api.streaming import streamed
from journal.domain.access_log import AccessKind
from journal.runtime import log_rows


@never_cache
@require_safe
@requires(Permission.AUDIT)
def page(request: ProjectRequest) -> HttpResponse:
    """Show who did what, the newest first."""
    found = queries.page(request.project.slug, request.GET.dict(), now=datetime.now(UTC))
    log = log_rows.newest(request.project.slug)
    context = {
        "page": found,
        "kinds": list(AccessKind),
        "outcomes": queries.OUTCOMES,
        "sealed": log.size if log is not None else 0,
    }
    return render(request, "audits/access.html", context, status=400 if found.refusal else 200)


@never_cache
@require_safe
@requires(Permission.AUDIT)
def export(request: ProjectRequest, form: str) -> HttpResponseBase:
    """Give the records that a filter leaves, the oldest first, as a file."""
    if form not in queries.FORMS:
        raise Http404("no such format")
    try:
        asked = queries.filter_of(queries.cleaned(request.GET.dict()))
    except ValueError as refused:
        return HttpResponse(f"{refused}\n", status=400, content_type="text/plain; charset=utf-8")
    queries.settle()
    content_type, write = queries.FORMS[form]
    response = streamed(request, write(queries.every(request.project.slug, asked)), content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="access-{request.project.slug}.{form}"'
    return response

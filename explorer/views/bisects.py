"""Bisecting the journal: the form, the list, and what one bisect found."""

from __future__ import annotations

from typing import Final

from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_http_methods

from explorer.queries import bisects as queries
from journal.access import Permission, ProjectRequest, may, requires
from journal.errors import JournalError
from journal.runtime import bisects
from journal.runtime import job as job_rows
from journal.tasks import wake

_NO_BISECT: Final = "no such bisect"


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.READ)
def listing(request: ProjectRequest) -> HttpResponse:
    """Show the form and the list; start a bisect."""
    zone = timezone.get_current_timezone()
    if request.method != "POST":
        return _form(request, queries.Ask.of(request.GET.dict(), zone))
    if not may(request.role, Permission.GRADE):
        return _form(request, queries.Ask(), refusal=_refused(request), status=403)
    ask = queries.Ask.of(request.POST.dict(), zone)
    if ask.problem:
        return _form(request, ask, refusal=ask.problem, status=400)
    try:
        job = bisects.submit(project=request.project.slug, user_id=request.user.pk, **ask.asked)
    except JournalError as error:
        return _form(request, ask, refusal=str(error), status=400)
    wake(job.id, kind=job.kind)
    return HttpResponseRedirect(reverse("explorer:bisect", args=[job.id]))


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.READ)
def bisect(request: ProjectRequest, job_id: str) -> HttpResponse:
    """Show what a bisect found, or how far it is; cancel it."""
    page = queries.bisect_page(request.project.slug, job_id, timezone.get_current_timezone())
    if page is None:
        raise Http404(_NO_BISECT)
    if request.method == "POST":
        if may(request.role, Permission.GRADE):
            job_rows.cancel(page.id)
        return HttpResponseRedirect(reverse("explorer:bisect", args=[page.id]))
    part = "#update" if request.headers.get("HX-Request") == "true" else ""
    context = {"page": page, "at": page.at, "is_update": bool(part), "may_grade": may(request.role, Permission.GRADE)}
    response = render(request, f"explorer/bisects/bisect.html{part}", context)
    patch_vary_headers(response, ("HX-Request",))
    return response


def _form(request: ProjectRequest, ask: queries.Ask, *, refusal: str = "", status: int = 200) -> HttpResponse:
    page = queries.bisects_page(request.project.slug, ask, timezone.get_current_timezone())
    context = {"page": page, "refusal": refusal, "may_grade": may(request.role, Permission.GRADE)}
    return render(request, "explorer/bisects/page.html", context, status=status)


def _refused(request: ProjectRequest) -> str:
    return f"Your role in {request.project.slug} is {request.role}: engineers and admins start bisects of the journal."

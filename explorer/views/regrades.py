"""Re-grades: the form with what it would cost, the list, and one job."""

from __future__ import annotations

from typing import Final

from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_http_methods

from explorer.queries import regrades as queries
from explorer.queries.regrade_report import regrade_page
from explorer.queries.regrade_scope import Scope
from journal.access import Permission, ProjectRequest, may, requires
from journal.errors import JournalError
from journal.runtime import regrade as jobs
from journal.tasks import wake

_NO_REGRADE: Final = "no such re-grade"


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.READ)
def listing(request: ProjectRequest) -> HttpResponse:
    """Show the form with what a re-grade would look at, and the list; start one."""
    zone = timezone.get_current_timezone()
    if request.method != "POST":
        wants_sample = "sample" in request.GET and may(request.role, Permission.GRADE)
        return _form(request, Scope.of(request.GET.dict(), zone), with_sample=wants_sample)
    scope = Scope.of(request.POST.dict(), zone)
    if not may(request.role, Permission.GRADE):
        return _form(request, scope, refusal=_refused(request), status=403)
    if scope.problem:
        return _form(request, scope, refusal=scope.problem, status=400)
    try:
        job = jobs.submit(project=request.project.slug, user_id=request.user.pk, force=scope.force, **scope.asked)
    except JournalError as error:
        return _form(request, scope, refusal=str(error), status=400)
    wake(job.id, kind=job.kind)
    return HttpResponseRedirect(reverse("explorer:regrade", args=[job.id]))


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.READ)
def regrade(request: ProjectRequest, job_id: str) -> HttpResponse:
    """Show how far a re-grade is, and what came of it; cancel it, or let it go on."""
    if request.method == "POST":
        return _act(request, job_id)
    page = regrade_page(request.project.slug, job_id, request.GET.dict(), timezone.get_current_timezone())
    if page is None:
        raise Http404(_NO_REGRADE)
    part = "#update" if request.headers.get("HX-Request") == "true" else ""
    context = {"page": page, "is_update": bool(part), "may_grade": may(request.role, Permission.GRADE)}
    response = render(request, f"explorer/regrades/regrade.html{part}", context)
    patch_vary_headers(response, ("HX-Request",))
    return response


def _act(request: ProjectRequest, job_id: str) -> HttpResponse:
    job = jobs.find(job_id.replace("\x00", ""), project=request.project.slug)
    if job is None:
        raise Http404(_NO_REGRADE)
    if may(request.role, Permission.GRADE):
        if request.POST.get("do") == "cancel":
            jobs.cancel(job)
        elif request.POST.get("do") == "resume" and jobs.resume(job):
            wake(job.id, kind=job.kind)
    return HttpResponseRedirect(reverse("explorer:regrade", args=[job.id]))


def _form(
    request: ProjectRequest, scope: Scope, *, with_sample: bool = False, refusal: str = "", status: int = 200
) -> HttpResponse:
    zone = timezone.get_current_timezone()
    part = "#preview" if request.headers.get("HX-Request") == "true" else ""
    page = queries.regrades_page(request.project.slug, scope, zone, with_sample=with_sample)
    context = {"page": page, "refusal": refusal, "may_grade": may(request.role, Permission.GRADE)}
    response = render(request, f"explorer/regrades/page.html{part}", context, status=status)
    patch_vary_headers(response, ("HX-Request",))
    return response


def _refused(request: ProjectRequest) -> str:
    return f"Your role in {request.project.slug} is {request.role}: engineers and admins start re-grades."

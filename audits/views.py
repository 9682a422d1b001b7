"""The pages of audits: a form with what it would cover, a preview, and the files."""

from __future__ import annotations

from csp.constants import SELF
from csp.decorators import csp_replace, csp_update
from django.core.files.storage import default_storage
from django.db import transaction
from django.http import FileResponse, Http404, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_http_methods, require_safe

from audits import jobs, making, pages
from audits.pages import Draft
from audits.render import shown
from audits.selection import AuditRefused
from journal import tasks
from journal.access import Permission, ProjectRequest, reader_id, requires
from journal.errors import JournalError
from journal.runtime import job as work

_FILES = {jobs.REPORT: "application/pdf", jobs.BUNDLE: "application/zip", jobs.TRAIL: "application/jsonl"}


@never_cache
@csp_update({"frame-src": [SELF]})
@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.AUDIT)
def listing(request: ProjectRequest) -> HttpResponse:
    """Show the project's audits and the form, with what it would cover; make one."""
    if request.method != "POST":
        return _page(request, Draft.of(request.GET.dict()))
    draft = Draft.of(request.POST.dict())
    try:
        query = draft.query(request.project.slug)
    except AuditRefused as refused:
        return _page(request, draft, refusal=str(refused))
    by = request.user.get_username()
    with transaction.atomic():
        job = jobs.submit(query, user_id=reader_id(request), by=by, purpose=draft.purpose)
        tasks.wake(job.id, kind=jobs.KIND)
    return HttpResponseRedirect(reverse("audits:audit", args=[job.id]))


def _page(request: ProjectRequest, draft: Draft, *, refusal: str = "") -> HttpResponse:
    page = pages.page(request.project.slug, draft, refusal=refusal)
    return render(request, "audits/page.html", {"page": page}, status=400 if page.refusal else 200)


@never_cache
@xframe_options_sameorigin
@csp_replace({"frame-ancestors": [SELF]})
@require_safe
@requires(Permission.AUDIT)
def preview(request: ProjectRequest) -> HttpResponse:
    """Show the report as it would be printed, by the same template. Nothing is kept, and nothing is journalled."""
    draft = Draft.of(request.GET.dict())
    try:
        evidence = making.gathered(draft.query(request.project.slug))
    except JournalError as refused:
        return _page(request, draft, refusal=str(refused))
    report = making.made_report(evidence, by=request.user.get_username(), purpose=draft.purpose)
    return render(request, "audits/report/page.html", shown(report))


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.AUDIT)
def audit(request: ProjectRequest, audit_id: str) -> HttpResponse:
    """Show how far an audit is, and its files; stop it."""
    job = _found(request, audit_id)
    if request.method == "POST":
        work.cancel(job.id)
        return HttpResponseRedirect(reverse("audits:audit", args=[job.id]))
    part = "#audit" if request.headers.get("HX-Request") else ""
    return render(request, f"audits/audit.html{part}", {"audit": pages.line(job), "is_update": bool(part)})


@never_cache
@require_safe
@requires(Permission.AUDIT)
def file(request: ProjectRequest, audit_id: str, name: str) -> HttpResponseBase:
    """Hand a file of an audit over."""
    job = _found(request, audit_id)
    path = jobs.place(job.id, name)
    if name not in _FILES or job.status != "done" or not default_storage.exists(path):
        raise Http404("this audit has no such file")
    kind = name.rpartition(".")[2]
    return FileResponse(
        default_storage.open(path), as_attachment=True, filename=f"audit-{job.id}.{kind}", content_type=_FILES[name]
    )


def _found(request: ProjectRequest, audit_id: str):  # type: ignore[no-untyped-def]  # noqa: ANN202 - a row of another layer
    job = jobs.find(audit_id.replace("\x00", ""), project=request.project.slug)
    if job is None:
        raise Http404("no such audit")
    return job

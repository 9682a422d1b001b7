"""Import: files dropped or chosen in the browser, and how far the work on them is."""

from __future__ import annotations

import shlex
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_http_methods

from explorer import sample as samples
from explorer.queries import imports as queries
from journal.access import Permission, ProjectRequest, requires
from journal.errors import ImportRefused
from journal.ingest import jobs as import_jobs
from journal.ingest import load_formats
from journal.runtime import job as job_rows
from journal.tasks import wake


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.IMPORT)
def page(request: ProjectRequest) -> HttpResponse:
    """Show the drop zone; take files."""
    if request.method == "POST":
        return _take(request)
    return _form(request)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.IMPORT)
def progress(request: ProjectRequest, job_id: str) -> HttpResponse:
    """Show how far an import is, or stop it after the file it is reading."""
    job = queries.import_job(request.project.slug, job_id.replace("\x00", ""))  # which databases do not take
    if job is None:
        raise Http404("no such import")
    if request.method == "POST":
        job_rows.cancel(job.id, now=timezone.now())
        return HttpResponseRedirect(reverse("explorer:import_job", args=[job.id]))
    part = "#job" if request.headers.get("HX-Request") == "true" else ""
    context = {"job": job, "is_page": not part, **drop_context(request)}
    response = render(request, f"explorer/imports/job.html{part}", context)
    patch_vary_headers(response, ("HX-Request",))
    return response


@require_http_methods(["POST"])
@requires(Permission.IMPORT)
def sample(request: ProjectRequest) -> HttpResponse:
    """Import the sample run and open it at the event that is worth looking at."""
    stream = samples.install(request.project.slug)
    return HttpResponseRedirect(f"{reverse('explorer:run', args=[stream])}?v={samples.VERSION}")


def drop_context(request: ProjectRequest) -> dict[str, Any]:
    """Return what the drop zone and the words beside it need."""
    project = request.project.slug
    into = f" --project {shlex.quote(project)}" if project != "default" else ""
    return {
        "command": f"nagare import runs/{into}",
        "demo_command": f"nagare demo{into}",
        "formats": [known.name for known in load_formats()],
    }


def _form(request: ProjectRequest, *, refusal: str = "", status: int = 200) -> HttpResponse:
    context = {"jobs": queries.recent_imports(request.project.slug), "refusal": refusal, **drop_context(request)}
    return render(request, "explorer/imports/page.html", context, status=status)


def _take(request: ProjectRequest) -> HttpResponse:
    """Keep the files, wake a worker, and lead to the page of the job."""
    try:
        job = import_jobs.submit(
            project=request.project.slug,
            user_id=request.user.pk,
            uploads=[*request.FILES.getlist("files"), *request.FILES.getlist("folder")],
            paths=request.POST.getlist("paths"),
        )
        wake(job.id, kind=job.kind)
    except ImportRefused as refused:
        return _refuse(request, str(refused))
    href = reverse("explorer:import_job", args=[job.id])
    return (
        JsonResponse({"id": job.id, "href": href}, status=201) if _wants_json(request) else HttpResponseRedirect(href)
    )


def _refuse(request: ProjectRequest, reason: str) -> HttpResponse:
    if not _wants_json(request):
        return _form(request, refusal=reason, status=400)
    detail = {"type": "about:blank", "title": "Nothing was imported", "status": 400, "detail": reason}
    return JsonResponse(detail, status=400, content_type="application/problem+json")


def _wants_json(request: HttpRequest) -> bool:
    return request.headers.get("Accept") == "application/json"

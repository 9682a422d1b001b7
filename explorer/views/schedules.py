"""Schedules: the list with a form, and what is done to one."""

from __future__ import annotations

from typing import Final

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from explorer.queries import schedules as queries
from explorer.queries.schedules import Draft
from journal import tasks
from journal.access import Permission, ProjectRequest, Role, may, requires
from journal.errors import Refused
from journal.runtime import schedules
from journal.runtime.schedule_kinds import needs
from journal.runtime.schedules import Scheduled, ScheduleRefused

_NO_SCHEDULE: Final = "no such schedule"


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.READ)
def listing(request: ProjectRequest) -> HttpResponse:
    """Show the project's schedules; add one."""
    if request.method != "POST":
        return _page(request)
    draft = Draft.of(request.POST.dict())
    if not _may_keep(request):
        return _page(request, refusal=_refused(request), status=403)
    try:
        if not may(request.role, needs(draft.kind)):
            return _page(request, draft=draft, refusal=_refused(request, draft.kind), status=403)
        schedules.add(
            project=request.project.slug,
            name=draft.name,
            kind=draft.kind,
            cron=draft.cron,
            timezone=draft.timezone,
            arguments=draft.arguments,
            by=_by(request),
        )
    except Refused as refused:
        return _page(request, draft=draft, refusal=str(refused), field=_field(refused), status=400)
    return HttpResponseRedirect(reverse("explorer:schedules"))


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.READ)
def schedule(request: ProjectRequest, schedule_id: str) -> HttpResponse:
    """Change a schedule, run it now, pause it, let it go on, delete it: whoever may start such work by hand."""
    known = schedules.find(schedule_id.replace("\x00", ""), project=request.project.slug)
    if known is None:
        raise Http404(_NO_SCHEDULE)
    if not may(request.role, needs(known.kind)):
        raise PermissionDenied(_refused(request, known.kind))
    if request.method != "POST":
        return _page(request, edited=known)
    draft = Draft.of(request.POST.dict())
    try:
        _do(request, known, draft)
    except Refused as refused:
        return _page(request, edited=known, draft=draft, refusal=str(refused), field=_field(refused), status=400)
    return HttpResponseRedirect(reverse("explorer:schedules"))


def _do(request: ProjectRequest, known: Scheduled, draft: Draft) -> None:
    project, by = request.project.slug, _by(request)
    match request.POST.get("do"):
        case "pause":
            schedules.pause(known.id, project=project, by=by)
        case "run":
            job = schedules.run_now(known.id, project=project, by=by)
            tasks.wake(job.id, kind=job.kind)
        case "go-on":
            schedules.go_on(known.id, project=project, by=by)
        case "delete":
            schedules.delete(known.id, project=project, by=by)
        case _:
            changed = {name: getattr(draft, name) for name in ("name", "cron", "timezone", "arguments")}
            schedules.change(known.id, project=project, by=by, **changed)


def _page(  # noqa: PLR0913 - what came of the form
    request: ProjectRequest,
    *,
    draft: Draft | None = None,
    edited: Scheduled | None = None,
    refusal: str = "",
    field: str = "",
    status: int = 200,
) -> HttpResponse:
    page = queries.schedules_page(
        request.project.slug,
        timezone.get_current_timezone(),
        role=request.role,
        draft=draft,
        edited=edited,
        refusal=refusal,
        field=field,
    )
    context = {"page": page, "may_keep": _may_keep(request)}
    return render(request, "explorer/schedules/page.html", context, status=status)


def _field(refused: Refused) -> str:
    return refused.field if isinstance(refused, ScheduleRefused) else ""


def _by(request: ProjectRequest) -> str:
    return f"user:{request.user.get_username()}"


def _may_keep(request: ProjectRequest) -> bool:
    """Return whether the reader may keep schedules of some kind."""
    return any(may(request.role, needs(kind)) for kind in schedules.kinds())


def _refused(request: ProjectRequest, kind: str = "") -> str:
    needed = needs(kind) if kind else Permission.GRADE
    roles = " and ".join(f"{role}s" for role in Role if may(role, needed))
    what = f"schedules of a {kind}" if kind else "schedules"
    return f"Your role in {request.project.slug} is {request.role}: {roles} keep {what}."

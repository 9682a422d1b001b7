"""Schedules: the list with a form, and what is done to one."""

from __future__ import annotations

from typing import Final

from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from explorer.queries import schedules as queries
from explorer.queries.schedules import Draft
from journal.access import Permission, ProjectRequest, may, requires
from journal.errors import Refused
from journal.runtime import schedules
from journal.runtime.schedules import Scheduled, ScheduleRefused

_NO_SCHEDULE: Final = "no such schedule"
_NOT_SUCH: Final = "Your role does not make audits, and a schedule that does so is not yours to keep."


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.READ)
def listing(request: ProjectRequest) -> HttpResponse:
    """Show the project's schedules; add one."""
    if request.method != "POST":
        return _page(request)
    if not may(request.role, Permission.GRADE):
        return _page(request, refusal=_refused(request), status=403)
    draft = Draft.of(request.POST.dict())
    if not _may_keep(request, draft.kind):
        return _page(request, draft=draft, refusal=_NOT_SUCH, status=403)
    try:
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
@requires(Permission.GRADE)
def schedule(request: ProjectRequest, schedule_id: str) -> HttpResponse:
    """Change a schedule, pause it, let it go on, delete it."""
    known = schedules.find(schedule_id.replace("\x00", ""), project=request.project.slug)
    if known is None:
        raise Http404(_NO_SCHEDULE)
    if request.method != "POST":
        return _page(request, edited=known)
    draft = Draft.of(request.POST.dict())
    if not _may_keep(request, known.kind):
        return _page(request, edited=known, draft=draft, refusal=_NOT_SUCH, status=403)
    try:
        _do(request, known, draft)
    except Refused as refused:
        return _page(request, edited=known, draft=draft, refusal=str(refused), field=_field(refused), status=400)
    return HttpResponseRedirect(reverse("explorer:schedules"))


def _may_keep(request: ProjectRequest, kind: str) -> bool:
    """Whether somebody who keeps schedules may keep one of a kind: audits are for those who may make them."""
    return kind not in schedules.kinds() or may(request.role, schedules.needs(kind))


def _do(request: ProjectRequest, known: Scheduled, draft: Draft) -> None:
    project, by = request.project.slug, _by(request)
    match request.POST.get("do"):
        case "pause":
            schedules.pause(known.id, project=project, by=by)
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
        draft=draft,
        edited=edited,
        refusal=refusal,
        field=field,
    )
    context = {"page": page, "may_grade": may(request.role, Permission.GRADE)}
    return render(request, "explorer/schedules/page.html", context, status=status)


def _field(refused: Refused) -> str:
    return refused.field if isinstance(refused, ScheduleRefused) else ""


def _by(request: ProjectRequest) -> str:
    return f"user:{request.user.get_username()}"


def _refused(request: ProjectRequest) -> str:
    return f"Your role in {request.project.slug} is {request.role}: engineers and admins keep schedules."

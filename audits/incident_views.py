"""The pages of incidents: the list, the form of a new one, and one with its clocks and what was done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from audits import incident_pages, incidents
from audits.duties import duties
from audits.incident_pages import Draft
from audits.incidents import IncidentRefused, NoIncident
from journal.access import Permission, ProjectRequest, may, requires


@never_cache
@require_safe
@requires(Permission.READ)
def listing(request: ProjectRequest) -> HttpResponse:
    """Show the project's incidents, open ones first."""
    lines = incident_pages.lines(request.project.slug, now=timezone.now())
    context = {
        "lines": lines,
        "open": sum(line.incident.status == "open" for line in lines),
        "late": sum(line.late for line in lines if line.incident.status == "open"),
        "may_open": may(request.role, Permission.AUDIT),
        "disclaimer": duties().disclaimer,
    }
    return render(request, "audits/incidents/list.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.AUDIT)
def new(request: ProjectRequest) -> HttpResponse:
    """Show the form of a new incident; open one."""
    zone = timezone.get_current_timezone()
    if request.method != "POST":
        draft = Draft.of({"aware": incident_pages.in_browser(timezone.now(), zone), **request.GET.dict()})
        if request.GET.getlist("run"):
            draft = Draft.of({"aware": draft.aware, "concerns": "\n".join(request.GET.getlist("run"))})
        return _form(request, draft)
    draft = Draft.of(request.POST.dict(), request.POST.getlist("clock"))
    try:
        ident = incidents.open_incident(
            request.project.slug,
            title=draft.title,
            noticed=draft.noticed,
            aware_at=incident_pages.moment(draft.aware, zone, name="aware"),
            concerns=draft.concerns.split("\n"),
            clocks=request.POST.getlist("clock"),
            hold=bool(draft.hold),
            by=request.user.get_username(),
        )
    except IncidentRefused as refused:
        return _form(request, draft, refused)
    return HttpResponseRedirect(reverse("audits:incident", args=[ident]))


def _form(request: ProjectRequest, draft: Draft, refused: IncidentRefused | None = None) -> HttpResponse:
    context = {
        "draft": draft,
        "groups": incident_pages.groups(),
        "refusal": refused.reason if refused else "",
        "field": refused.field if refused else "",
        "disclaimer": duties().disclaimer,
    }
    return render(request, "audits/incidents/new.html", context, status=400 if refused else 200)


@never_cache
@require_safe
@requires(Permission.READ)
def incident(request: ProjectRequest, incident_id: str) -> HttpResponse:
    """Show an incident: its clocks, what it is about, what was done. A page that asks again gets the clocks alone."""
    return _page(request, incident_id)


@never_cache
@require_http_methods(["POST"])
@requires(Permission.AUDIT)
def change(request: ProjectRequest, incident_id: str, what: str) -> HttpResponse:
    """Record a step or a note, add what is concerned, hold or release its runs, close it."""
    if what not in _CHANGES:
        raise Http404("nothing of that name can be done to an incident")
    try:
        _CHANGES[what](request, incident_id)
    except NoIncident as missing:
        raise Http404(str(missing)) from missing
    except IncidentRefused as refused:
        return _page(request, incident_id, refused)
    return HttpResponseRedirect(reverse("audits:incident", args=[incident_id]))


def _page(request: ProjectRequest, incident_id: str, refused: IncidentRefused | None = None) -> HttpResponse:
    try:
        page = incident_pages.one(
            request.project.slug,
            incident_id,
            now=timezone.now(),
            zone=timezone.get_current_timezone(),
            refused=refused,
            typed=request.POST.dict() if refused else None,
        )
    except NoIncident as missing:
        raise Http404(str(missing)) from missing
    template = "audits/incidents/page.html"
    if request.headers.get("HX-Request"):
        template += "#clocks"
    context = {"page": page, "may_audit": may(request.role, Permission.AUDIT), "disclaimer": duties().disclaimer}
    return render(request, template, context, status=400 if refused else 200)


def _step(request: ProjectRequest, incident_id: str) -> None:
    clock, _, step = request.POST.get("step", "").partition("/")
    at = request.POST.get("done", "")
    incidents.do(
        request.project.slug,
        incident_id,
        clock=clock,
        step=step,
        done_at=incident_pages.moment(at, timezone.get_current_timezone(), name="done") if at else None,
        account=request.POST.get("account", ""),
        by=request.user.get_username(),
    )


def _note(request: ProjectRequest, incident_id: str) -> None:
    by = request.user.get_username()
    incidents.note(request.project.slug, incident_id, text=request.POST.get("text", ""), by=by)


def _widen(request: ProjectRequest, incident_id: str) -> None:
    incidents.widen(
        request.project.slug,
        incident_id,
        concerns=request.POST.get("concerns", "").split("\n"),
        clocks=request.POST.getlist("clock"),
        by=request.user.get_username(),
    )


def _hold(request: ProjectRequest, incident_id: str) -> None:
    by = request.user.get_username()
    incidents.hold_runs(request.project.slug, incident_id, reason=request.POST.get("reason", ""), by=by)


def _release(request: ProjectRequest, incident_id: str) -> None:
    by = request.user.get_username()
    incidents.release(request.project.slug, incident_id, reason=request.POST.get("reason", ""), by=by)


def _close(request: ProjectRequest, incident_id: str) -> None:
    by = request.user.get_username()
    incidents.close(request.project.slug, incident_id, account=request.POST.get("account", ""), by=by)


_CHANGES: Final[dict[str, Callable[[ProjectRequest, str], None]]] = {
    "step": _step,
    "note": _note,
    "widen": _widen,
    "hold": _hold,
    "release": _release,
    "close": _close,
}

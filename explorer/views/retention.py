"""Retention: how long payloads are kept, what would go, what is held, and erasures with their certificates."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec
from django.db import transaction
from django.http import Http404, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from explorer.queries import retention as queries
from explorer.queries.retention import Draft
from journal import tasks
from journal.access import Permission, ProjectRequest, reader_id, requires
from journal.domain.moment import in_utc
from journal.domain.retention import HoldKind
from journal.errors import EventNotFound, JournalError
from journal.runtime import certificates, retention, withdrawal_jobs
from journal.runtime.erasing import Plan
from journal.runtime.retention import RetentionRefused

_KINDS: Final[dict[str, HoldKind]] = {"legal": "legal", "incident": "incident"}
_FORMS: Final = ("txt", "json")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.ADMIN)
def page(request: ProjectRequest) -> HttpResponse:
    """Show the page; do what one of its forms asks for.

    Who is to be erased comes in a body alone: addresses stand in browsers' histories and servers' logs.
    """
    if request.method != "POST":
        return _page(request, Draft(), before=request.GET.get("before", ""))
    draft = Draft.of(request.POST.dict())
    try:
        return _do(request, draft)
    except JournalError as refused:
        return _page(request, draft, before=draft.get("before"), refusal=str(refused), status=400)


def _do(request: ProjectRequest, draft: Draft) -> HttpResponse:
    project, by = request.project.slug, f"user:{request.user.get_username()}"
    match draft.do:
        case "policy":
            ceiling = draft.get("ceiling")
            retention.set_policy(
                project,
                floor_days=_days(draft.get("floor"), "floor"),
                ceiling_days=_days(ceiling, "ceiling") if ceiling else None,
                reason=draft.get("reason"),
                by=by,
            )
            return _back("policy")
        case "hold":
            on = {"subject" if draft.get("what") == "subject" else "stream": draft.get("on")}
            kind = _KINDS.get(draft.get("kind"), "legal")
            retention.add_hold(project, kind=kind, reason=draft.get("reason"), by=by, **on)
            return _back("holds")
        case "release":
            retention.release_hold(project, hold_id=draft.get("hold"), reason=draft.get("reason"), by=by)
            return _back("holds")
        case "look":
            return _page(request, draft, plan=_looked(project, draft))
        case "purge":
            return _purge(request, draft, by)
        case "erase":
            return _erase(request, draft, by)
    raise RetentionRefused("the form says nothing that can be done here")


def _looked(project: str, draft: Draft) -> Plan:
    if not draft.get("subject"):
        raise RetentionRefused("name the subject whose data is to be erased", field="subject")
    return queries.plan_of(project, draft.get("subject"))


def _purge(request: ProjectRequest, draft: Draft, by: str) -> HttpResponse:
    if draft.get("confirm") != request.project.slug:
        raise RetentionRefused(f"type the project’s name, {request.project.slug}, to purge", field="confirm")
    job = withdrawal_jobs.submit_purge(
        request.project.slug, before=_moment(draft.get("before")), by=by, user_id=reader_id(request)
    )
    with transaction.atomic():
        tasks.wake(job.id, kind=job.kind)
    return _back("work")


def _erase(request: ProjectRequest, draft: Draft, by: str) -> HttpResponse:
    project, subject = request.project.slug, draft.get("subject")
    if draft.get("confirm") != subject:
        return _page(
            request,
            draft,
            plan=_looked(project, draft),
            refusal="What was typed to confirm is not the subject’s id.",
            status=400,
        )
    job = withdrawal_jobs.submit_erasure(
        project, subject=subject, ground=draft.get("ground"), by=by, user_id=reader_id(request)
    )
    with transaction.atomic():
        tasks.wake(job.id, kind=job.kind)
    return _back("work")


@never_cache
@require_safe
@requires(Permission.ADMIN)
def certificate(request: ProjectRequest, erasure_id: str, form: str) -> HttpResponse:
    """Hand a certificate over."""
    if form not in _FORMS:
        raise Http404("no such form")
    try:
        made = certificates.certificate(request.project.slug, erasure_id.replace("\x00", ""))
    except EventNotFound as missing:
        raise Http404("no such erasure") from missing
    response: HttpResponse
    if form == "json":
        response = JsonResponse(msgspec.to_builtins(made), json_dumps_params={"indent": 2})
    else:
        response = HttpResponse(made.text, content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="erasure-{made.request}.{form}"'
    return response


def _page(  # noqa: PLR0913 - what came of the form
    request: ProjectRequest,
    draft: Draft,
    *,
    before: str = "",
    plan: Plan | None = None,
    refusal: str = "",
    status: int = 200,
) -> HttpResponse:
    at = None
    if before:
        try:
            at = _moment(before)
        except RetentionRefused as refused:
            refusal, status = refusal or str(refused), 400
    shown = queries.retention_page(request.project.slug, draft=draft, before=at, plan=plan, refusal=refusal)
    return render(request, "explorer/settings/retention.html", {"page": shown}, status=status)


def _back(to: str) -> HttpResponse:
    return HttpResponseRedirect(f"{reverse('explorer:retention')}#{to}")


def _days(text: str, field: str) -> int:
    if not text.isdecimal() or len(text) > 6:  # noqa: PLR2004 - no number of days is longer
        raise RetentionRefused(f"the {field} is a number of days", field=field)
    return int(text)


def _moment(text: str) -> datetime:
    try:
        return in_utc(text)
    except ValueError as error:
        raise RetentionRefused(f"{text[:40]!r} is no date, such as 2026-01-31", field="before") from error

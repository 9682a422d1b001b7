"""What-ifs on a run: asked by a form, shown at an address of their own, kept and shared. The journal is only read."""

from __future__ import annotations

from typing import Any, Final

from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from explorer import whatifs
from explorer.models import RunSummary, WhatIf
from explorer.numbers import whole
from explorer.queries import run_whatif
from explorer.queries.run_steps import run_of
from explorer.whatif_forms import edits_from
from journal.access import Permission, ProjectRequest, reader_id, requires
from journal.domain.whatif_edits import Edit, EditsRefused
from journal.errors import Refused
from journal.store import get_store

_DIGITS: Final = 18


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.READ)
def asking(request: ProjectRequest, stream: str) -> HttpResponse:
    """Show what can be asked of an event and the what-ifs on the run; begin one, or add to one, with what is asked."""
    run = _run(request, stream)
    if request.method != "POST":
        return _form(request, run)
    version = min(_number(request.POST.get("v", "")) or 0, run.events)
    into = _into(request, run)
    edit = _number(request.POST.get("edit", ""))
    try:
        asked = edits_from(request.POST.dict(), run_whatif.event_at(run.project, stream, version), version)
        newest = get_store(run.project).stream_version(stream)
        if into is None:
            into = whatifs.begin(run.project, stream, asked, newest=newest, user_id=reader_id(request))
        else:
            whatifs.change(into, _with(whatifs.edits_of(into), asked, edit), newest=newest)
    except Refused as refused:
        return _form(request, run, refusal=refused.reason)
    return HttpResponseRedirect(f"{_address(into)}?v={max(1, version)}")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.READ)
def shown(request: ProjectRequest, stream: str, what_if_id: str) -> HttpResponse:
    """Show a what-if at an event; name, share, shorten or delete it."""
    run = _run(request, stream)
    kept = whatifs.found(request.project.slug, run.stream, what_if_id, reader_id(request))
    if kept is None:
        raise Http404("no such what-if")
    if request.method != "POST":
        return _page(request, run, kept)
    return _act(request, run, kept)


def _act(request: ProjectRequest, run: RunSummary, kept: WhatIf) -> HttpResponse:
    user_id, doing = reader_id(request), request.POST.get("do", "")
    if doing == "delete" and whatifs.may_delete(kept, user_id=user_id, role=request.role):
        kept.delete()
        return HttpResponseRedirect(reverse("explorer:whatifs", args=[run.stream]))
    if not whatifs.may_change(kept, user_id=user_id):
        raise Http404("no such what-if")
    try:
        if doing == "take-out":
            _take_out(kept, _number(request.POST.get("edit", "")), run)
        elif doing == "keep":
            shares = bool(request.POST.get("shared")) if whatifs.may_share(request.role) else kept.shared
            whatifs.keep(kept, name=request.POST.get("name", ""), shared=shares)
    except Refused as refused:
        return _page(request, run, kept, refusal=refused.reason)
    version = _number(request.POST.get("v", ""))
    return HttpResponseRedirect(_address(kept) + (f"?v={version}" if version else ""))


def _take_out(kept: WhatIf, at: int | None, run: RunSummary) -> None:
    edits = whatifs.edits_of(kept)
    if at is not None and 0 < at <= len(edits):
        left = [edit for place, edit in enumerate(edits, 1) if place != at]
        whatifs.change(kept, left, newest=get_store(run.project).stream_version(run.stream))


def _with(edits: tuple[Edit, ...], asked: tuple[Edit, ...], place: int | None) -> list[Edit]:
    """Return edits with others behind them, or in the place of one of them."""
    if place is None or not 0 < place <= len(edits):
        return [*edits, *asked]
    return [*edits[: place - 1], *asked, *edits[place:]]


def _page(request: ProjectRequest, run: RunSummary, kept: WhatIf, refusal: str = "") -> HttpResponse:
    user_id = reader_id(request)
    try:
        page = run_whatif.page(run.project, run, kept, _number(request.GET.get("v", "")))
    except EditsRefused as refused:
        return _form(request, run, refusal=f"The what-if cannot be made of this run any more. {refused.reason}")
    context = {
        "page": page,
        "run": run,
        "is_own": whatifs.may_change(kept, user_id=user_id),
        "may_share": whatifs.may_share(request.role),
        "may_delete": whatifs.may_delete(kept, user_id=user_id, role=request.role),
        "link": request.build_absolute_uri(_address(kept)),
        "longest": whatifs.LONGEST_NAME,
        "refusal": refusal,
    }
    return render(request, "explorer/whatif/page.html", context, status=400 if refusal else 200)


def _form(request: ProjectRequest, run: RunSummary, refusal: str = "") -> HttpResponse:
    said = request.POST if request.method == "POST" else request.GET
    into = _into(request, run)
    version = _number(said.get("v", ""))
    edit = _number(said.get("edit", ""))
    page = run_whatif.ask(run.project, run.stream, version=version, into=into, edit=edit, user_id=reader_id(request))
    context: dict[str, Any] = {"page": page, "run": run, "refusal": refusal, "said": request.POST.dict()}
    return render(request, "explorer/whatif/ask.html", context, status=400 if refusal else 200)


def _into(request: ProjectRequest, run: RunSummary) -> WhatIf | None:
    """Return the what-if that another edit goes into; to others than its owner it is not there."""
    named = request.POST.get("in", "") or request.GET.get("in", "")
    if not named:
        return None
    kept = whatifs.found(run.project, run.stream, named, reader_id(request))
    if kept is None or not whatifs.may_change(kept, user_id=reader_id(request)):
        raise Http404("no such what-if")
    return kept


def _run(request: ProjectRequest, stream: str) -> RunSummary:
    found = run_of(request.project.slug, stream)
    if found is None:
        raise Http404("no such run")
    return found


def _address(kept: WhatIf) -> str:
    return reverse("explorer:whatif", args=[kept.stream, kept.pk])


def _number(text: str) -> int | None:
    return whole(text, digits=_DIGITS)

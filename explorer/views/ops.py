"""Ops: how the installation does, and the few things that a person does about it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from django.db import transaction
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from explorer.queries import ops as queries
from journal.access import Permission, ProjectRequest, requires
from journal.runtime import job as jobs
from journal.runtime import outbox as dispatches
from journal.runtime import parked as parked_events
from journal.runtime import rebuilds, status
from journal.runtime.outbox import NoSuchDispatch
from journal.tasks import wake

_HIGHEST_ID: Final = 2**63 - 1
"""What the database's numbers end at."""


@never_cache
@require_safe
@requires(Permission.READ)
def page(request: ProjectRequest) -> HttpResponse:
    """Show the status, or only what changes of it where the page asks again by itself."""
    is_update = request.headers.get("HX-Request") == "true"
    found = queries.ops_page(request, since=request.GET.get("since", ""))
    context = {"page": found, "is_update": is_update, "is_still": "still" in request.GET}
    response = render(request, "explorer/ops/page.html" + ("#update" if is_update else ""), context)
    patch_vary_headers(response, ("HX-Request",))
    return response


@never_cache
@require_safe
@requires(Permission.READ)
def outbox(request: ProjectRequest) -> HttpResponse:
    """List the project's dispatches."""
    found = queries.outbox_page(request, state=_asked(request, "state"), effect=_asked(request, "effect"))
    return render(request, "explorer/ops/outbox.html", {"page": found, "states": queries.STATES})


@require_POST
@requires(Permission.ADMIN)
def requeue(request: ProjectRequest, dispatch: str) -> HttpResponse:
    """Give a dispatch that was given up a new set of attempts."""
    if not status.is_dispatch_of(request.project.slug, dispatch.replace("\x00", "")):
        raise Http404("no such dispatch")
    try:
        dispatches.requeue(dispatch, now=datetime.now(UTC))
    except NoSuchDispatch as refused:
        found = queries.outbox_page(request, state="", effect="")
        context = {"page": found, "states": queries.STATES, "refusal": str(refused)}
        return render(request, "explorer/ops/outbox.html", context, status=409)
    return HttpResponseRedirect(reverse("explorer:ops_outbox"))


@never_cache
@require_safe
@requires(Permission.READ)
def subscription(request: ProjectRequest, name: str) -> HttpResponse:
    """Show a reader of the journal and what it set aside."""
    return _subscription(request, name)


@require_POST
@requires(Permission.ADMIN)
def parked(request: ProjectRequest, parked_id: int) -> HttpResponse:
    """Let an event be tried again, or give it up; that only where its position is typed."""
    found = status.parked_event(request.project.slug, parked_id) if parked_id <= _HIGHEST_ID else None
    if found is None:
        raise Http404("no such event is set aside")
    name, line = found
    if request.POST.get("do") != "skip":
        parked_events.requeue(line.id, now=datetime.now(UTC))
    elif request.POST.get("confirm", "").replace(",", "").strip() == str(line.position):
        parked_events.skip(line.id)
    else:
        return _subscription(request, name, refusal=f"To skip this event, type its position, {line.position:,}.")
    return HttpResponseRedirect(reverse("explorer:ops_subscription", args=[name]))


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.ADMIN)
def projection(request: ProjectRequest, name: str) -> HttpResponse:
    """Rebuild a read model once its name is typed, or stop the rebuild that is under way."""
    line = queries.projection_line(request, name)
    if line is None:
        raise Http404("no such projection")
    if request.method != "POST":
        return render(request, "explorer/ops/projection.html", {"line": line})
    if request.POST.get("do") == "cancel":
        if line.job is not None:
            jobs.cancel(line.job)
    elif request.POST.get("confirm", "").strip() == line.name:
        _rebuild(request, line.name)
    else:
        refusal = f"Type {line.name} to rebuild it."
        return render(request, "explorer/ops/projection.html", {"line": line, "refusal": refusal}, status=400)
    return HttpResponseRedirect(reverse("explorer:ops"))


@never_cache
@require_safe
@requires(Permission.READ)
def processes(request: ProjectRequest) -> HttpResponse:
    """List the project's newest processes."""
    manager = _asked(request, "manager")
    found = queries.process_list(request.project.slug, manager)
    return render(request, "explorer/ops/processes.html", {"processes": found, "manager": manager})


@never_cache
@require_safe
@requires(Permission.READ)
def process(request: ProjectRequest, stream: str) -> HttpResponse:
    """Show one process: its state, what it waits for, and how it got there."""
    found = queries.process_page(request.project.slug, stream.replace("\x00", ""))
    if found is None:
        raise Http404("no such process")
    return render(request, "explorer/ops/process.html", {"page": found})


def _subscription(request: ProjectRequest, name: str, *, refusal: str = "") -> HttpResponse:
    found = queries.subscription_page(request, name)
    if found is None:
        raise Http404("no such subscription")
    context = {"page": found, "refusal": refusal}
    return render(request, "explorer/ops/subscription.html", context, status=400 if refusal else 200)


def _rebuild(request: ProjectRequest, name: str) -> None:
    with transaction.atomic():
        job = rebuilds.submit(name, user_id=request.user.pk)
        wake(job.id, kind=job.kind)


def _asked(request: ProjectRequest, name: str) -> str:
    """Return a word of the address. Databases take no NUL in text."""
    return request.GET.get(name, "").replace("\x00", "")

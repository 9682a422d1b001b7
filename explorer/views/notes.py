"""Notes and grades that people write on a run: list, write, change, take back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from explorer import notes
from explorer.models import NoteRow
from explorer.notes import NoteRefused
from explorer.numbers import whole
from explorer.queries import notes as listed
from explorer.queries.run_address import Address
from journal.access import Permission, ProjectRequest, may, requires
from journal.runtime import saved_rules

_DIGITS: Final = 15
_TEMPLATE: Final = "explorer/notes/page.html"


@require_safe
@requires(Permission.READ)
def page(request: ProjectRequest, stream: str) -> HttpResponse:
    """Show the notes of a run; to a script that names an event with `at`, those on it alone."""
    stream = Address.of(stream, {}).stream
    if request.headers.get("HX-Request") == "true" and (at := _number(request.GET, "at")):
        found = listed.at_event(request.project.slug, stream, at)
        response = render(request, "explorer/notes/_here.html", {"here": found, "stream": stream, "version": at})
    else:
        response = _page(request, stream, asked=request.GET)
    patch_vary_headers(response, ["HX-Request"])
    return response


@require_POST
@requires(Permission.ANNOTATE)
def new(request: ProjectRequest, stream: str) -> HttpResponse:
    """Write a note, or a grade where the form says so, and lead back to where it was written."""
    stream = Address.of(stream, {}).stream
    form, at = request.POST, _number(request.POST, "v")
    is_grade = form.get("kind") == "grade"

    def write() -> None:
        if is_grade:
            notes.grade(
                request.project.slug,
                stream,
                by=_by(request),
                rule=form.get("rule", ""),
                verdict=form.get("verdict", ""),
                at_version=at,
                message=form.get("text", ""),
            )
        else:
            notes.annotate(
                request.project.slug,
                stream,
                by=_by(request),
                text=form.get("text", ""),
                at_version=at,
                label=form.get("label", ""),
            )

    return _done(request, stream, write)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.ANNOTATE)
def one(request: ProjectRequest, stream: str, number: int) -> HttpResponse:
    """Show a note to be changed; change it, or take it back with `do=retract`."""
    stream = Address.of(stream, {}).stream
    found = listed.one(request.project.slug, stream, number) if number < 10**_DIGITS else None
    if found is None:
        raise Http404("no such note")
    if request.method != "POST":
        return _page(request, stream, editing=found)
    form, by = request.POST, _by(request)

    def write() -> None:
        if form.get("do") == "retract":
            is_admin = may(request.role, Permission.ADMIN)
            notes.retract(request.project.slug, stream, number, by=by, reason=form.get("reason", ""), is_admin=is_admin)
        else:
            notes.change(
                request.project.slug,
                stream,
                number,
                by=by,
                text=form.get("text"),
                label=form.get("label"),
                verdict=form.get("verdict"),
            )

    return _done(request, stream, write, editing=found)


def _done(
    request: ProjectRequest, stream: str, write: Callable[[], None], *, editing: NoteRow | None = None
) -> HttpResponse:
    try:
        write()
    except NoteRefused as refused:
        return _page(request, stream, asked=request.POST, editing=editing, refusal=refused.reason, status=400)
    at = _number(request.POST, "v") or (editing.at_version if editing else None)
    if at and request.POST.get("next") == "walk":
        return HttpResponseRedirect(reverse("explorer:walk", args=[stream, at]) + "#verdict")
    if at and request.POST.get("next") == "event":
        return HttpResponseRedirect(f"{reverse('explorer:run', args=[stream])}?v={at}#notes-here")
    return HttpResponseRedirect(reverse("explorer:notes", args=[stream]))


def _page(  # noqa: PLR0913 - what the page may have to say
    request: ProjectRequest,
    stream: str,
    *,
    asked: Mapping[str, str] | None = None,
    editing: NoteRow | None = None,
    refusal: str = "",
    status: int = 200,
) -> HttpResponse:
    found = listed.of_run(request.project.slug, stream)
    if found is None:
        raise Http404("no such run")
    given = asked or {}
    context: dict[str, Any] = {
        "found": found,
        "run": found.run,
        "editing": editing,
        "is_mine": editing is not None and editing.by == _by(request),
        "refusal": refusal,
        "asked": {name: given.get(name, "") for name in ("v", "text", "label", "rule", "verdict", "kind")},
        "user": request.user.get_username(),
        "is_admin": may(request.role, Permission.ADMIN),
        "rules": [rule.name for rule in saved_rules.listing(request.project.slug)],
    }
    return render(request, _TEMPLATE, context, status=status)


def _by(request: HttpRequest) -> str:
    return request.user.get_username()


def _number(form: Mapping[str, str], name: str) -> int | None:
    """Return a version of the form, None where it names none, for the whole run; what is no number is 0."""
    text = form.get(name, "").strip().replace(",", "")
    return (whole(text, digits=_DIGITS) or 0) if text else None

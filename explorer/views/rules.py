"""Rules: the list, one rule, and the editor of those that people save."""

from __future__ import annotations

from typing import Any, Final

from django.http import Http404, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from explorer.numbers import whole
from explorer.queries import rule_editor
from explorer.queries import rules as queries
from explorer.queries.agreement import agreement
from explorer.queries.regrades import uses
from explorer.queries.rule_editor import LONGEST, Draft
from journal.access import Permission, ProjectRequest, may, requires
from journal.domain.rule import complete as completions
from journal.errors import RuleNotFound
from journal.runtime import saved_rules
from journal.runtime.saved_rules import RuleRefused

_NO_RULE: Final = "no such rule"
_OFFERED: Final = 12


@require_safe
@requires(Permission.READ)
def listing(request: ProjectRequest) -> HttpResponse:
    """Show every rule of the project."""
    page = queries.rules_page(request.project.slug)
    return render(request, "explorer/rules/page.html", {"page": page, "may_grade": _may_grade(request)})


@require_safe
@requires(Permission.READ)
def rule(request: ProjectRequest, name: str) -> HttpResponse:
    """Show a rule: what it says, its versions, and what changed between two of them."""
    page = queries.rule_page(request.project.slug, _named(name), request.GET.dict())
    if page is None:
        raise Http404(_NO_RULE)
    project, zone = request.project.slug, timezone.get_current_timezone()
    context = {
        "page": page,
        "may_grade": _may_grade(request),
        "agreement": agreement(project, page.rule.name, rule_version=page.rule.version),
        "uses": uses(project, page.rule.name, zone),
    }
    return render(request, "explorer/rules/rule.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.GRADE)
def new(request: ProjectRequest) -> HttpResponse:
    """Write a rule, try it on recent runs, save it."""
    return _edit(request, "")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.GRADE)
def edit(request: ProjectRequest, name: str) -> HttpResponse:
    """Change a saved rule: saving makes a new version, those before stay."""
    return _edit(request, _named(name))


@require_POST
@requires(Permission.GRADE)
def retire(request: ProjectRequest, name: str) -> HttpResponse:
    """Offer a saved rule no longer. Its versions and verdicts stay."""
    try:
        saved_rules.retire(project=request.project.slug, name=_named(name), by=_by(request))
    except RuleNotFound as missing:
        raise Http404(_NO_RULE) from missing
    return HttpResponseRedirect(reverse("explorer:rules"))


@require_POST
@requires(Permission.GRADE)
def check(request: ProjectRequest) -> HttpResponse:
    """Say what is wrong with an expression while it is typed."""
    draft = Draft.of(request.POST.dict(), "")
    problems = rule_editor.marked(draft.expression)
    return render(request, "explorer/rules/edit.html#problems", {"problems": problems})


@require_POST
@requires(Permission.GRADE)
def complete(request: ProjectRequest) -> JsonResponse:
    """Offer how an expression may go on where the caret stands."""
    text = request.POST.get("text", "")[:LONGEST]
    caret = whole(request.POST.get("at", ""), digits=len(str(LONGEST)))
    at = len(text) if caret is None else min(caret, len(text))
    found = completions(text, at)[:_OFFERED]
    return JsonResponse({"options": [{"start": one.start, "text": one.text, "kind": one.kind} for one in found]})


def _edit(request: ProjectRequest, name: str) -> HttpResponse:
    if request.method != "POST":
        return _editor(request, name, None)
    draft = Draft.of(request.POST.dict(), name)
    todo = request.POST.get("do", "try")
    if todo not in ("save", "save-regrade"):
        return _editor(request, name, draft, with_trial=True)
    try:
        saved = saved_rules.save(
            project=request.project.slug,
            name=draft.name,
            description=draft.description,
            expression=draft.expression,
            monotone=draft.monotone,
            by=_by(request),
        )
    except RuleRefused as refused:
        return _editor(request, name, draft, status=400, refusal=str(refused), field=refused.field)
    if todo == "save-regrade":
        return HttpResponseRedirect(f"{reverse('explorer:regrades')}?rule={saved.name}")
    return HttpResponseRedirect(reverse("explorer:rule", args=[saved.name]))


def _editor(
    request: ProjectRequest, name: str, draft: Draft | None, *, status: int = 200, **given: Any
) -> HttpResponse:
    page = rule_editor.editor_page(request.project.slug, name, draft, **given)
    if page is None:
        raise Http404(_NO_RULE)
    part = "#tried" if request.headers.get("HX-Request") == "true" else ""
    return render(request, f"explorer/rules/edit.html{part}", {"page": page, "problems": page.problems}, status=status)


def _by(request: ProjectRequest) -> str:
    return f"user:{request.user.get_username()}"


def _may_grade(request: ProjectRequest) -> bool:
    return may(request.role, Permission.GRADE)


def _named(name: str) -> str:
    return name.replace("\x00", "")

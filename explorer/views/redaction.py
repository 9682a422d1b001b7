"""What a project replaces in payloads on their way in: its kinds, its own patterns, and a box to try them in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from explorer.numbers import whole
from journal.access import Permission, ProjectRequest, record_access, requires
from journal.domain.access_log import AccessKind
from journal.domain.redaction_kinds import PERSONAL, SECRETS
from journal.domain.redaction_rules import OwnPattern, RulesSaved
from journal.runtime import redacting
from journal.runtime.redacting import MOST_PATTERNS, RedactionRefused

_SPARE: Final = 3
"""Empty rows for more patterns."""

_LONGEST_TRIAL: Final = 100_000


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A kind, and whether it is replaced."""

    name: str
    title: str
    is_on: bool


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What was pasted, and what would be stored of it."""

    stored: str
    found: list[tuple[str, int]]

    @property
    def total(self) -> int:
        """How many places were replaced."""
        return sum(count for _, count in self.found)


@never_cache
@sensitive_post_parameters("text")
@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.ADMIN)
def page(request: ProjectRequest) -> HttpResponse:
    """Show the rules; try others on a text, of which nothing is kept; save them as the next version."""
    project = request.project.slug
    now = redacting.current(project)
    if request.method != "POST":
        return _page(request, now.saved, version=now.version)
    draft = _draft(request)
    text = request.POST.get("text", "").replace("\x00", "")[:_LONGEST_TRIAL]
    try:
        redacting.compiled(draft.patterns)
        if request.POST.get("do") == "save":
            return _saved(request, draft)
        return _page(request, draft, version=now.version, text=text, trial=_tried(project, draft, text))
    except RedactionRefused as refused:
        return _page(request, draft, version=now.version, text=text, refusal=refused.reason)


def _saved(request: ProjectRequest, draft: RulesSaved) -> HttpResponse:
    project = request.project.slug
    expected = whole(request.POST.get("version", ""), digits=18) or 0
    number = redacting.save(project, draft, expected_version=expected)
    record_access(project, AccessKind.SETTING, "redaction rules", detail=f"version {number}")
    return HttpResponseRedirect(f"{reverse('explorer:settings_redaction')}?kept=1")


def _draft(request: HttpRequest) -> RulesSaved:
    given = request.POST
    names, patterns = given.getlist("name")[: 2 * MOST_PATTERNS], given.getlist("pattern")[: 2 * MOST_PATTERNS]
    own = [
        OwnPattern(name=name.replace("\x00", "").strip(), pattern=pattern.replace("\x00", ""))
        for name, pattern in zip(names, patterns, strict=False)
        if name.strip() or pattern
    ]
    kept = set(given.getlist("kind"))
    return RulesSaved(
        off=tuple(kind.name for kind in SECRETS if kind.name not in kept),
        on=tuple(kind.name for kind in PERSONAL if kind.name in kept),
        patterns=tuple(own),
        by=request.user.get_username(),
    )


def _tried(project: str, rules: RulesSaved, text: str) -> Trial:
    """Replace as at ingest: a text that is JSON as JSON, any other as a string."""
    redactor = redacting.in_use().by(project, rules)
    plain = text.encode(errors="replace")
    try:
        is_json = isinstance(msgspec.json.decode(plain), dict | list)
    except msgspec.MsgspecError:
        is_json = False
    if is_json:
        done = redactor.json(plain)
        stored, found = (done.raw.decode(), done.found) if done is not None else (text, {})
    else:
        stored, found = redactor.text(plain.decode())
    titles = {kind.name: kind.title for kind in (*SECRETS, *PERSONAL)}
    return Trial(stored=stored, found=[(titles.get(kind, kind), count) for kind, count in sorted(found.items())])


def _page(  # noqa: PLR0913 - what the page shows
    request: ProjectRequest,
    rules: RulesSaved,
    *,
    version: int,
    text: str = "",
    trial: Trial | None = None,
    refusal: str = "",
) -> HttpResponse:
    spare = [OwnPattern(name="", pattern="")] * max(0, min(_SPARE, MOST_PATTERNS - len(rules.patterns)))
    context: dict[str, Any] = {
        "secrets": [Choice(name=kind.name, title=kind.title, is_on=kind.name not in rules.off) for kind in SECRETS],
        "personal": [Choice(name=kind.name, title=kind.title, is_on=kind.name in rules.on) for kind in PERSONAL],
        "patterns": [*rules.patterns, *spare],
        "version": version,
        "text": text,
        "trial": trial,
        "refusal": refusal,
        "is_kept": "kept" in request.GET,
    }
    return render(request, "explorer/settings/redaction.html", context, status=400 if refusal else 200)

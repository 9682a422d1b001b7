"""Settings: how the pages look to one reader, their tokens, and for admins who and what the project lets in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from explorer import embeds, preferences
from journal.access import (
    MemberRefused,
    NewToken,
    Permission,
    ProjectRequest,
    Role,
    TokenRefused,
    create_token,
    may,
    members_of,
    reader_id,
    remove_member,
    requires,
    revoke_token,
    rotate_token,
    scopes_of,
    set_role,
    tokens_of,
)

_OVERLAP: Final = timedelta(days=1)
_TOKEN_DAYS: Final = {"30": 30, "90": 90, "365": 365, "": None}


@never_cache
@require_safe
@requires(Permission.READ)
def page(request: ProjectRequest) -> HttpResponse:
    """Show the settings: everybody's own, and the project's to its admins."""
    return _page(request)


@require_POST
@requires(Permission.READ)
def look(request: ProjectRequest) -> HttpResponse:
    """Keep how the reader likes the pages, in their browser, and lead back to where they were."""
    said = {name: value for name, value in request.POST.items() if isinstance(value, str)}
    to = said.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(to, {request.get_host()}, require_https=request.is_secure())
    response = HttpResponseRedirect(to if is_ours else reverse("explorer:settings") + "?kept=1")
    preferences.keep(response, preferences.read(said, preferences.preferences_of(request)))
    return response


@never_cache
@require_POST
@requires(Permission.READ)
def token_new(request: ProjectRequest) -> HttpResponse:
    """Make a token for the reader; the answer to this request is the only page that shows its secret."""
    scopes = [scope for scope in request.POST.getlist("scope") if scope in scopes_of(request.role)]
    days = _TOKEN_DAYS.get(request.POST.get("days", "90"), 90)
    try:
        new = create_token(
            user=request.user.get_username(),
            project=request.project.slug,
            scopes=scopes,
            expires_at=datetime.now(UTC) + timedelta(days=days) if days else None,
        )
    except TokenRefused:
        return _page(request, refusal="A token needs at least one thing that it may do.", status=400)
    return _page(request, new=new)


@require_POST
@requires(Permission.READ)
def token_revoke(request: ProjectRequest, token_id: str) -> HttpResponse:
    """Revoke a token that the reader can see: their own, or as an admin anybody's of the project."""
    if token_id not in {token.id for token in _tokens(request)}:
        raise Http404("no such token")
    revoke_token(token_id)
    return _back("tokens")


@never_cache
@require_POST
@requires(Permission.READ)
def token_rotate(request: ProjectRequest, token_id: str) -> HttpResponse:
    """Make a token of the reader's own anew; the old one goes on for a day, so that programs can be told."""
    if token_id not in {token.id for token in _tokens(request) if token.is_own}:
        raise Http404("no such token")
    now = datetime.now(UTC)
    try:
        new = rotate_token(token_id, keep_until=now + _OVERLAP, now=now)
    except TokenRefused as refused:
        return _page(request, refusal=refused.reason, status=400)
    return _page(request, new=new, rotated=True)


@require_POST
@requires(Permission.ADMIN)
def member(request: ProjectRequest) -> HttpResponse:
    """Give somebody a role in the project, or take them out of it."""
    name = request.POST.get("name", "").replace("\x00", "").strip()
    try:
        if request.POST.get("do") == "remove":
            remove_member(request.project.slug, name)
        else:
            set_role(request.project.slug, name, Role(request.POST.get("role", "")))
    except MemberRefused as refused:
        return _page(request, refusal=refused.reason, status=400)
    except ValueError:
        return _page(request, refusal=f"There is no role of that name; there are {', '.join(Role)}.", status=400)
    return _back("members")


@require_POST
@requires(Permission.ADMIN)
def embedding(request: ProjectRequest) -> HttpResponse:
    """Allow or forbid that runs are shown in pages of other sites, and say of which."""
    try:
        embeds.allow(
            request.project.slug,
            is_allowed=bool(request.POST.get("allowed")),
            origins=request.POST.get("origins", "").replace("\x00", ""),
        )
    except embeds.EmbedRefused as refused:
        return _page(request, refusal=refused.reason, status=400)
    return _back("embedding")


def _back(to: str) -> HttpResponse:
    return HttpResponseRedirect(f"{reverse('explorer:settings')}#{to}")


def _tokens(request: ProjectRequest) -> list[Any]:
    return cast(
        list[Any],
        tokens_of(request.project.slug, user_id=reader_id(request), role=request.role, now=datetime.now(UTC)),
    )


def _page(
    request: ProjectRequest,
    *,
    new: NewToken | None = None,
    rotated: bool = False,
    refusal: str = "",
    status: int = 200,
) -> HttpResponse:
    is_admin, project = may(request.role, Permission.ADMIN), request.project.slug
    context = {
        "preferences": preferences.preferences_of(request),
        "zones": preferences.zones(),
        "tokens": _tokens(request),
        "scopes": scopes_of(request.role),
        "new": new,
        "is_rotated": rotated,
        "is_admin": is_admin,
        "members": members_of(project) if is_admin else [],
        "roles": list(Role),
        "embedding": embeds.embedding_of(project) if is_admin else None,
        "links": embeds.links_of(project, now=datetime.now(UTC)) if is_admin else [],
        "refusal": refusal,
        "is_kept": "kept" in request.GET,
    }
    return render(request, "explorer/settings/page.html", context, status=status)

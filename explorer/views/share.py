"""A run taken elsewhere: as Markdown, as a file, as a link that shows it in another site's page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from msgspec.structs import replace

from explorer import embeds
from explorer.markdown import Range, markdown
from explorer.models import RunSummary
from explorer.numbers import whole
from explorer.queries import run_embed
from explorer.queries.run_steps import run_of
from explorer.streaming import streamed
from journal.access import Permission, ProjectRequest, may, note_access, public, reader_id, requires
from journal.access.acting import actor
from journal.domain.access_log import AccessKind
from journal.exports import EXPORTS
from journal.store import get_store

_TYPES: Final = {"jsonl": ("application/x-ndjson", "jsonl"), "atif": ("application/json", "atif.json")}
_AGENT_RUN: Final = "agent_run"
_LARGEST: Final = 2**62
_DIGITS: Final = len(str(_LARGEST))


@require_safe
@requires(Permission.READ)
def as_markdown(request: ProjectRequest, stream: str) -> HttpResponseBase:
    """Give an event (`v=`), a range (`after=`, `until=`) or the whole run as Markdown, explanations included."""
    summary = _run(request, stream)
    version = _number(request, "v")
    after = version - 1 if version else _number(request, "after") or 0
    until = min(version or _number(request, "until") or summary.events, summary.events)
    if after >= until:
        return _plain(
            f"{stream} has the events 1 to {summary.events:,}; there is none after {after:,} up to {until:,}.\n"
        )
    asked = Range(after=after, until=until, address=request.build_absolute_uri(reverse("explorer:run", args=[stream])))
    events = get_store(request.project.slug).read_stream(stream, after=after, until=until)
    return streamed(request, _pieces(markdown(summary, events, asked)), content_type="text/markdown; charset=utf-8")


@require_safe
@requires(Permission.EXPORT)
def download(request: ProjectRequest, stream: str, form: str) -> HttpResponseBase:
    """Give a run as a file: `jsonl` loses nothing and can be imported again, `atif` is read by other tools."""
    if form not in _TYPES:
        raise Http404("no such format")
    summary = _run(request, stream)
    if form == "atif" and summary.category != _AGENT_RUN:
        return _plain(
            f"{stream} is no agent's run, and ATIF describes nothing else. As jsonl every stream can be had:"
            f" {reverse('explorer:download', args=[stream, 'jsonl'])}\n",
            status=409,
        )
    content_type, ending = _TYPES[form]
    events = get_store(request.project.slug).read_stream(stream)
    response = streamed(request, EXPORTS[form](events), content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{_file_name(stream)}.{ending}"'
    return response


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.EXPORT)
def embed(request: ProjectRequest, stream: str) -> HttpResponse:
    """Show the links to a run that other sites' pages may hold; make one."""
    summary, refusal, status = _run(request, stream), "", 200
    now = datetime.now(UTC)
    if request.method == "POST":
        days = _number(request, "days") or 0
        try:
            embeds.make_link(request.project.slug, stream, user_id=reader_id(request), days=days, now=now)
            return HttpResponseRedirect(reverse("explorer:embed", args=[stream]))
        except embeds.EmbedRefused as refused:
            refusal, status = refused.reason, 400
    links = embeds.links_of(request.project.slug, now=now, stream=stream)
    context: dict[str, Any] = {
        "run": summary,
        "embedding": embeds.embedding_of(request.project.slug),
        "links": [(link, request.build_absolute_uri(_address(link))) for link in links],
        "is_admin": may(request.role, Permission.ADMIN),
        "refusal": refusal,
    }
    return render(request, "explorer/embed/links.html", context, status=status)


@require_POST
@requires(Permission.EXPORT)
def embed_revoke(request: ProjectRequest, stream: str, link_id: str) -> HttpResponse:
    """Make a link show nothing any more: who made it may, and admins."""
    links = embeds.links_of(request.project.slug, now=datetime.now(UTC), stream=stream)
    link = next((link for link in links if link.pk == link_id), None)
    if link is None or not (link.by_id == request.user.pk or may(request.role, Permission.ADMIN)):
        raise Http404("no such link")
    embeds.revoke_link(request.project.slug, link_id, now=datetime.now(UTC))
    if request.POST.get("next") == "settings":
        return HttpResponseRedirect(f"{reverse('explorer:settings')}#embedding")
    return HttpResponseRedirect(reverse("explorer:embed", args=[stream]))


@never_cache
@xframe_options_exempt
@require_safe
@public
def embedded(request: HttpRequest, token: str) -> HttpResponse:
    """Show the run of a link to whoever has it: read-only, without a way anywhere else."""
    shown = embeds.shown_by(token, now=datetime.now(UTC))
    page = run_embed.page(shown, request.GET) if shown is not None else None
    if shown is None or page is None:
        response = render(request, "explorer/embed/gone.html", status=404)
        return _in_frames(response, ())
    reader = replace(actor(), by="", via="an embedded link")
    note_access(shown.project, AccessKind.READ, "embedded run", of=shown.stream, who=reader)
    response = render(request, "explorer/embed/page.html", {"page": page, "shown": shown, "token": token})
    return _in_frames(response, shown.origins)


def _in_frames(response: HttpResponse, origins: tuple[str, ...]) -> HttpResponse:
    """Say which sites may frame the answer; where there is none, that no one may. It runs no script."""
    policy = {"frame-ancestors": list(origins) or ["'none'"], "script-src": ["'none'"], "form-action": ["'none'"]}
    response._csp_replace = policy  # type: ignore[attr-defined]  # noqa: SLF001 - what django-csp's decorator sets
    if not origins:
        response["X-Frame-Options"] = "DENY"
    response["Referrer-Policy"] = "no-referrer"  # the address is the key
    response["X-Robots-Tag"] = "noindex, nofollow"
    return response


def _address(link: Any) -> str:
    return reverse("explorer:embedded", args=[embeds.token_of(link)])


def _run(request: ProjectRequest, stream: str) -> RunSummary:
    found = run_of(request.project.slug, stream)
    if found is None:
        raise Http404("no such run")
    return found


def _number(request: HttpRequest, name: str) -> int | None:
    """Return a number of the address or the form, None where it is none that a version can be."""
    number = whole(request.POST.get(name) or request.GET.get(name, ""), digits=_DIGITS)
    return None if number is None else min(number, _LARGEST)


def _plain(text: str, status: int = 404) -> HttpResponse:
    return HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")


def _file_name(stream: str) -> str:
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "_" for letter in stream)


def _pieces(text: Iterator[str]) -> Iterator[bytes]:
    return (piece.encode(errors="replace") for piece in text)

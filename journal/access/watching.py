"""What requests leave in the access log: reads of payloads, files taken along, refusals.

It looks at each request once it is answered, so that no view has to think of it: an address that names a run is a read
of that run, whichever view answers, and an answer of 401, 403, 404 or 429 is a refusal. Views that are exports or hand
out reports, or that show payloads of more than one run, stand in the tables below. What people change is recorded by
the functions that change it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final
from uuid import UUID, uuid5

import structlog
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from journal.access.acting import Actor, acting
from journal.access.projects import is_slug
from journal.access.recording import Record, first_project, in_use, note_access, record_access
from journal.access.tokens import digest
from journal.domain.access_log import AccessKind, shortened
from journal.models import ApiToken, EventRow, Project, StreamRow

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

EXPORTS: Final = {
    "explorer:download": "run as a file",
    "explorer:markdown": "run as Markdown",
    "explorer:reach_export": "reach as a file",
    "explorer:walk_markdown": "walk as Markdown",
    "audits:access_export": "access log as a file",
}
REPORTS: Final = {
    "audits:file": "report handed over",
    "audits:preview": "report previewed",
    "api:audit_report": "report handed over",
    "api:audit_bundle": "bundle handed over",
}
READS: Final = {
    "explorer:runs": "run list",
    "explorer:palette": "run list",
    "explorer:live": "live page",
    "explorer:live_runs": "live page",
    "explorer:find": "search in a run",
    "explorer:peek": "first look at a run",
    "explorer:compare": "comparison",
    "explorer:by_trace": "run by its trace",
    "api:stream": "events of a stream",
    "api:events": "events of the journal",
    "api:event": "one event",
    "api:causes": "causes of an event",
    "api:effects": "effects of an event",
    "api:runs": "run list",
    "audits:access": "access log",
    "api:access": "access log",
}
"""Reads that no stream in the address tells, or that have a better name than their view's."""

DEFAULT_PROJECT: Final = "default"
_OK: Final = range(200, 300)
_REFUSALS: Final = {401: "not signed in", 403: "not permitted", 404: "no such thing here", 429: "too many requests"}
_READING: Final = frozenset({"GET", "HEAD"})
_TABS: Final = frozenset({"state", "diff", "payload", "context", "causes"})
_READ_BY_POST: Final = frozenset({"api:whatif"})
_SIDES: Final = {"explorer:compare": ("a", "b"), "api:compare": ("with",)}
"""What in an address's query names runs; elsewhere it is any text at all."""
_LONGEST_SECRET: Final = 200
_NOBODYS: Final = "-"
"""Stands for whatever can be no project's name."""


class AccessLog:
    """Say who acts while a request is answered, and afterwards what it was to the access log."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, then record. What goes wrong with the record is logged, and the answer is given all the same."""
        with acting(partial(actor_of, request)):
            response = self.get_response(request)
            try:
                _look(request, response)
            except Exception as error:  # noqa: BLE001 - no page fails for want of its record
                in_use().failed += 1
                log.warning("access_not_noted", reason=type(error).__name__)
        return response


def actor_of(request: HttpRequest) -> Actor:
    """Return who asks: the account of the session or of the token, and the token's beginning."""
    grant = getattr(request, "nagare_grant", None)
    user = getattr(request, "user", None)
    is_by_token = "Authorization" in request.headers  # it counts before a session, also where it counts for nothing
    by_session = not is_by_token and user is not None and user.is_authenticated
    name = grant.by if grant is not None else user.get_username() if by_session and user is not None else ""
    is_token = grant is not None and grant.holder.startswith("token:")
    return Actor(
        by=name,
        via=grant.who if is_token and grant is not None else "token" if is_by_token else "browser",
        origin=shortened(request.META.get("REMOTE_ADDR", "")),
        correlation=str(structlog.contextvars.get_contextvars().get("correlation_id", "")),
    )


def _look(request: HttpRequest, response: HttpResponseBase) -> None:
    match = request.resolver_match
    if match is None:
        return
    if response.status_code in _REFUSALS:
        _refused(request, response.status_code)
        return
    project, name = _project_of(request), match.view_name or ""
    if not project or response.status_code not in _OK:
        return
    of, kwargs = _object_of(request), match.kwargs
    form = str(kwargs.get("form") or kwargs.get("name") or "")
    if name in EXPORTS and request.method == "GET":
        record_access(project, AccessKind.EXPORT, EXPORTS[name], of=of, detail=form)
    elif name in REPORTS and request.method == "GET":
        record_access(project, AccessKind.REPORT, REPORTS[name], of=of, detail=form)
    elif (request.method in _READING or name in _READ_BY_POST) and (what := _read_of(request, name)):
        note_access(project, AccessKind.READ, what, of=of, version=_version_of(request))


def _project_of(request: HttpRequest) -> str:
    """Return the project that was let into, empty where none was."""
    grant, chosen = getattr(request, "nagare_grant", None), getattr(request, "project", None)
    return str(grant.project if grant is not None else chosen.slug if chosen is not None else "")


def _read_of(request: HttpRequest, name: str) -> str:
    """Return what was read, empty where it was nothing of a payload."""
    if name == "explorer:run":
        tab = request.GET.get("tab", "")
        return f"run, {tab if tab in _TABS else 'explain'} tab"
    if name == "explorer:event":
        return "stored bytes" if request.GET.get("download") else "one event"
    found = READS.get(name, "")
    kwargs = request.resolver_match.kwargs if request.resolver_match else {}
    return found or (f"run, {name.partition(':')[2].replace('_', ' ')}" if "stream" in kwargs else "")


def _object_of(request: HttpRequest) -> str:
    """Return what the address names: a stream, an event, an audit; of a comparison both sides."""
    kwargs = request.resolver_match.kwargs if request.resolver_match else {}
    name = request.resolver_match.view_name if request.resolver_match else ""
    parts = [str(kwargs[key]) for key in ("stream", "event_id", "audit_id", "token_id") if key in kwargs]
    given = [request.GET.get(key, "") for key in _SIDES.get(name or "", ())]
    if all(given):
        parts += [text.rpartition("@")[0] or text for text in given]
    return " ".join(parts)


def _version_of(request: HttpRequest) -> int:
    kwargs = request.resolver_match.kwargs if request.resolver_match else {}
    given = str(kwargs.get("version") or request.GET.get("v") or request.GET.get("version") or "")
    return int(given) if given.isascii() and given.isdecimal() and len(given) < 18 else 0  # noqa: PLR2004 - fits in 63 bits


# --- Refusals ---------------------------------------------------------------------------------------------------------


def _refused(request: HttpRequest, status: int) -> None:
    """Note a refusal in the project it was asked of; without one, in the installation's first."""
    given = request.headers.get("Authorization", "")
    if status == 401 and not given:  # noqa: PLR2004 - nobody was refused: a visitor was told to sign in
        return
    name = request.resolver_match.view_name if request.resolver_match else ""
    known = _project_of(request)
    user = getattr(request, "user", None)
    if not known and not given and not (user is not None and user.is_authenticated):
        return  # a stranger at an address that is nobody's
    secret = given.partition(" ")[2].strip()[:_LONGEST_SECRET]
    asked = _asked(request.GET.get("project", ""))
    resolve = partial(
        _resolved,
        asked=asked,
        own=known or DEFAULT_PROJECT,
        token="" if known or not secret else digest(secret),
        stream=_named(request, "stream") if status == 404 else "",  # noqa: PLR2004 - what is not there may be somebody's
        event_id=_named(request, "event_id"),
    )
    note_access(
        known or DEFAULT_PROJECT,
        AccessKind.REFUSED,
        (name or "").partition(":")[2].replace("_", " ") or "page",
        of=_object_of(request),
        detail=f"{status} {_REFUSALS[status]}" + (f", {digest(secret)[:12]}" if secret and not known else ""),
        outcome="refused",
        resolve=resolve,
        beside=asked,
    )


def note_turned(project: str, what: str, *, why: str, who: Actor) -> None:
    """Note somebody who was turned away from what is no request, such as a socket."""
    asked = _asked(project)
    resolve = partial(_resolved, asked=asked, own=DEFAULT_PROJECT, token="", stream="", event_id="")
    note_access(
        DEFAULT_PROJECT, AccessKind.REFUSED, what, detail=why, outcome="refused", who=who, resolve=resolve, beside=asked
    )


def _asked(project: str) -> str:
    """Return which project was asked for. What can be none's name is all one, and no database is asked for it."""
    return project if not project or is_slug(project) else _NOBODYS


def _named(request: HttpRequest, key: str) -> str:
    """Return what an address names, empty where it has characters that neither streams nor events have."""
    name = str(request.resolver_match.kwargs.get(key, "")) if request.resolver_match else ""
    return name if name.isascii() and name.isprintable() else ""


def _resolved(  # noqa: PLR0913 - what is to be found out
    record: Record, *, asked: str, own: str, token: str, stream: str, event_id: str
) -> Sequence[Record]:
    """Return the record for each project it concerns: whose token it was, whose run, who was knocked at.

    Asked behind the page. What concerns no project is told where the installation's own people look.
    """
    said = dict(record.said)
    projects = dict.fromkeys(Project.objects.filter(slug__in=[asked, own]).values_list("slug", flat=True), "")
    if token:
        row = ApiToken.objects.filter(digest=token).select_related("user").first()
        if row is not None:
            projects = {row.project_id: ""}
            said |= {"by": row.user.get_username(), "via": f"token {row.prefix}…"}
        said["detail"] = said["detail"].rpartition(", ")[0] + (
            ", a token that counts no more" if row else ", unknown token"
        )
    if asked and asked not in projects:
        said["detail"] += ", no such project"
    for found in _foreign(own, stream, event_id):
        projects[found] = ", asked for from another project"
    if not projects:
        projects = {first: ""} if (first := first_project()) else {}
    return [
        replace(
            record,
            id=record.id if at == 0 else _other_id(record.id, slug),
            project=slug,
            said={**said, "detail": said["detail"] + words},
            resolve=None,
        )
        for at, (slug, words) in enumerate(projects.items())
    ]


def _foreign(own: str, stream: str, event_id: str) -> list[str]:
    """Return the other projects that have what was asked for."""
    if not stream and not event_id:
        return []
    others = list(Project.objects.exclude(slug=own).values_list("slug", flat=True))
    found: Any = (
        StreamRow.objects.filter(project__in=others, name=stream)
        if stream
        else EventRow.objects.filter(project__in=others, event_id=event_id)
    )
    return list(found.values_list("project", flat=True).distinct()[:20])


def _other_id(record_id: str, slug: str) -> str:
    return str(uuid5(UUID(record_id), slug))

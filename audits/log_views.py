"""A project's transparency log over HTTP, as C2SP tlog-tiles has it: the newest checkpoint and the tiles of hashes.

Whoever may read the project may read its log, by session or token. There are no entries among it: an entry names
streams and events, which `/api/v1/events/{id}/proof` and bundles hand out one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Final

from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe
from rest_framework.request import Request

from journal.access import Permission
from journal.api.grants import Access
from journal.api.problems import problem_of
from journal.api.refusals import NoSuchThing, NotSignedIn
from journal.domain.merkle import HASH_BYTES, parse_tile_path
from journal.errors import JournalError
from journal.runtime import log_rows

_FOR_GOOD_S: Final = 365 * 24 * 3600
View = Callable[..., HttpResponseBase]


def _for_readers(view: View) -> View:
    """Let through whoever may read the project that the address names; others are told as the API tells them."""

    @wraps(view)
    def checked(request: HttpRequest, project: str, **path: str) -> HttpResponseBase:
        asked = request.GET.copy()
        asked["project"] = project
        request.GET = asked  # type: ignore[assignment]
        try:
            found = Access().authenticate(Request(request))
            if found is None:
                raise NotSignedIn("sign in, or send a token")
            found[1].check(Permission.READ)
            if found[1].project != project:
                raise NoSuchThing(kind="project", name=project)
        except JournalError as refused:
            return problem_of(refused)
        return view(request, project, **path)

    checked.nagare_permission = Permission.READ  # type: ignore[attr-defined]
    return checked


@require_safe
@_for_readers
def checkpoint(_request: HttpRequest, project: str) -> HttpResponse:
    """Give the newest signed checkpoint."""
    log = log_rows.newest(project)
    head = log_rows.head(log) if log is not None else None
    if head is None:
        raise Http404("nothing of this project is sealed yet")
    response = HttpResponse(head.note, content_type="text/plain; charset=utf-8")
    patch_cache_control(response, private=True, max_age=1)
    return response


@require_safe
@_for_readers
def tile(_request: HttpRequest, project: str, path: str) -> HttpResponse:
    """Give a tile of hashes; a partial one as wide as it is asked for, as long as a checkpoint was of that size."""
    place, log = parse_tile_path(path), log_rows.newest(project)
    if place is None or log is None:
        raise Http404("no such tile")
    level, index, width = place
    hashes = log_rows.read_tile(log, level, index, width)[: width * HASH_BYTES]
    if len(hashes) != width * HASH_BYTES:
        raise Http404("the log has no such tile yet")
    response = HttpResponse(hashes, content_type="application/octet-stream")
    patch_cache_control(response, private=True, max_age=_FOR_GOOD_S, immutable=True)
    return response

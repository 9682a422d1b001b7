"""Causes and effects of an event, over all streams of the project."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from django.http.response import HttpResponseBase

from journal.access import Permission
from journal.api import documents
from journal.api.answers import answer
from journal.api.asked import Asked
from journal.api.base import ApiRequest, ApiView, operation
from journal.domain.access_log import is_access
from journal.exports.documents import lineage_document, walked
from journal.runtime.projection import catch_up, named, progress
from journal.store import get_store, lineage

TAG: Final = "Lineage"
_PATIENCE_S: Final = 2.0


class LineageAsked(Asked, frozen=True, kw_only=True):
    """How far to walk."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=lineage.MOST, description="At most so many events.")] = 1_000


def settle(projection: str) -> None:
    """Bring a read model up to date, so that what was just appended is in it; a long way is not waited for."""
    known = named(projection)
    found = progress(known)
    if found.position < found.head:
        catch_up(known, patience_s=_PATIENCE_S)


class Causes(ApiView):
    """What led to an event."""

    @operation(
        needs=Permission.READ, tag=TAG, asked=LineageAsked, answers={200: documents.Lineage}, refusals=(400, 404)
    )
    def get(self, request: ApiRequest, event_id: str, *, asked: LineageAsked) -> HttpResponseBase:
        """Walk up to the causes of an event, and to theirs."""
        return _walked(request, event_id, "up", asked.limit)


class Effects(ApiView):
    """What an event led to."""

    @operation(
        needs=Permission.READ, tag=TAG, asked=LineageAsked, answers={200: documents.Lineage}, refusals=(400, 404)
    )
    def get(self, request: ApiRequest, event_id: str, *, asked: LineageAsked) -> HttpResponseBase:
        """Walk down to the effects of an event, and to theirs."""
        return _walked(request, event_id, "down", asked.limit)


def _walked(request: ApiRequest, event_id: str, direction: Literal["up", "down"], most: int) -> HttpResponseBase:
    store = get_store(request.project)
    start = store.event(event_id)
    if is_access(start.stream):
        request.grant.check(Permission.AUDIT)
    settle("causes")
    walk = lineage.walk(store.project, start.id, direction=direction, most=most)
    return answer(lineage_document(start.id, walk, walked(store, walk), direction))

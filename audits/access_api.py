"""The access log over HTTP."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from django.http.response import HttpResponseBase

from audits import access_queries as queries
from journal.access import Permission
from journal.api import documents
from journal.api.answers import answer, next_address
from journal.api.asked import Asked, Limit, Position, Time, moment
from journal.api.base import ApiRequest, ApiView, operation

TAG: Final = "Audits"
Text = Annotated[str, msgspec.Meta(max_length=300)]
Kind = Literal["read", "export", "report", "removal", "members", "token", "setting", "sign-in", "refused"]


class AccessRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A record. What is not known is left out; with `count`, it stands for that many since `since`."""

    position: int
    id: str
    stream: str
    version: int
    at: documents.Time
    kind: Kind
    outcome: Literal["done", "refused", "failed"]
    count: int
    what: str = ""
    object: str = ""
    by: str = ""
    via: str = ""
    detail: str = ""
    origin: str = ""
    since: documents.Time | msgspec.UnsetType = msgspec.UNSET
    first_version: int = 0
    last_version: int = 0
    correlation_id: str = ""


class AccessRecords(msgspec.Struct, kw_only=True):
    """A page of records, the newest first."""

    items: list[AccessRecord]
    next: str | None


class AccessAsked(Asked, frozen=True, kw_only=True):
    """Which records. All that is given has to hold."""

    user: Annotated[Text | None, msgspec.Meta(description="The account, as it is named.")] = None
    kind: Annotated[Kind | None, msgspec.Meta(description="What was done.")] = None
    object: Annotated[Text | None, msgspec.Meta(description="What it was done to, such as a run.")] = None
    outcome: Annotated[Literal["done", "refused", "failed"] | None, msgspec.Meta(description="How it ended.")] = None
    since: Annotated[Time | None, msgspec.Meta(description="Then or later; ISO 8601.")] = None
    until: Annotated[Time | None, msgspec.Meta(description="Then or earlier; ISO 8601.")] = None
    before: Annotated[Position | None, msgspec.Meta(description="Only records before this position.")] = None
    limit: Limit = 100


class AccessLog(ApiView):
    """Who did what."""

    @operation(needs=Permission.AUDIT, tag=TAG, asked=AccessAsked, answers={200: AccessRecords}, refusals=(400,))
    def get(self, request: ApiRequest, *, asked: AccessAsked) -> HttpResponseBase:
        """Read the access log, the newest first.

        Who read payloads, took data along, made reports, changed who may, signed in or was refused. Nothing of a
        payload is in it. Asking is recorded as well.
        """
        wanted = queries.Filter(
            user=asked.user or "",
            kind=asked.kind or "",
            object=asked.object or "",
            outcome=asked.outcome or "",
            since=moment(asked.since, "since"),
            until=moment(asked.until, "until"),
        )
        queries.settle()
        found = queries.entries(request.project, wanted, before=asked.before, limit=asked.limit + 1)
        more = found[asked.limit - 1].position if len(found) > asked.limit else None
        following = next_address(request.django, before=more) if more is not None else None
        return answer({"items": [entry.to_json() for entry in found[: asked.limit]], "next": following})

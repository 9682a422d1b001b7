"""How long payloads are kept, what is held, and what was purged and erased. For admins alone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from django.db import transaction
from django.http import HttpResponse
from django.http.response import HttpResponseBase

from journal.access import Permission
from journal.api import documents, work
from journal.api.answers import answer
from journal.api.asked import Asked, Time, moment
from journal.api.base import ApiRequest, ApiView, Media, operation
from journal.domain.event import instant
from journal.domain.retention import LONGEST_DAYS, Hold
from journal.runtime import certificates, purging, retention, withdrawal_jobs
from journal.runtime.certificates import Erasure

TAG: Final = "Retention"
_TEXT: Final = "text/plain"
_MOST_RUNS: Final = 1_000

Days = Annotated[int, msgspec.Meta(ge=0, le=LONGEST_DAYS)]
Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]
Named = Annotated[str, msgspec.Meta(max_length=245)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class NewPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Days that payloads are kept at least and at most; a `ceiling_days` of null keeps them until somebody purges."""

    floor_days: Days
    ceiling_days: Days | None = None
    reason: Annotated[str, msgspec.Meta(max_length=2_000)] = ""


class NewHold(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be held: a stream, or all runs that name a subject."""

    stream: Named = ""
    subject: Named = ""
    kind: Literal["legal", "incident"] = "legal"
    reason: Reason


class Release(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a hold ends."""

    reason: Reason


class NewPurge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Runs that ended before a time; without one, before what the ceiling says."""

    before: Moment | None = None


class NewErasure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is to be erased, and on which ground. The ground is kept for good and must not name the subject."""

    subject: Annotated[str, msgspec.Meta(min_length=1, max_length=1_000)]
    ground: Reason


class PurgeAsked(Asked, frozen=True, kw_only=True):
    """Which runs."""

    before: Annotated[Time, msgspec.Meta(description="Runs whose last event occurred before; ISO 8601.")]


class PolicyDocument(msgspec.Struct, kw_only=True):
    """A policy. `number` rises with each change; 0 is the default."""

    number: int
    name: str
    floor_days: int
    ceiling_days: int | None
    set_at: Time | None
    by: str | None


class HoldDocument(msgspec.Struct, kw_only=True):
    """A hold. It binds while `released_at` is null."""

    id: str
    stream: str | None
    subject: str | None
    kind: Literal["legal", "incident"]
    reason: str
    by: str
    added_at: Time
    released_at: Time | None
    release_reason: str | None


class Holds(msgspec.Struct, kw_only=True):
    """Every hold there was, the newest first."""

    items: list[HoldDocument]
    next: None


class PurgeRun(msgspec.Struct, kw_only=True):
    """A run that a purge would take."""

    stream: str
    events: int


class PurgePreview(msgspec.Struct, kw_only=True):
    """What a purge would take. `allowed` is whether the floor lets it; `held` names runs that stay, and why."""

    before: Time
    policy: PolicyDocument
    allowed: bool
    runs: int
    events: int
    items: list[PurgeRun]
    held: dict[str, list[str]]


class ErasureDocument(msgspec.Struct, kw_only=True):
    """An erasure, or one that a hold forbade, which `refused` then says. `subject` is a pseudonym."""

    id: str
    request: str
    subject: str
    ground: str
    by: str
    ordered_at: Time
    done_at: Time | None
    events: int
    streams: int
    refused: str | None


class Erasures(msgspec.Struct, kw_only=True):
    """All of them, the newest first."""

    items: list[ErasureDocument]
    next: None


class CertificateDocument(msgspec.Struct, kw_only=True):
    """A certificate of erasure; the proofs are `.tlog-proof` texts, `text` is all of it for people."""

    request: str
    project: str
    subject: str
    ground: str
    by: str
    ordered_at: Time
    done_at: Time | None
    events: int
    streams: int
    keys: list[str]
    copies: dict[str, int]
    order_event: str
    done_event: str | None
    order_proof: str
    done_proof: str
    text: str


class Policy(ApiView):
    """The policy."""

    @operation(needs=Permission.ADMIN, tag=TAG, answers={200: PolicyDocument})
    def get(self, request: ApiRequest, *, asked: Asked) -> HttpResponseBase:
        """Tell how long the project keeps payloads."""
        return answer(_policy(retention.policy_of(request.project)))

    @operation(
        needs=Permission.ADMIN, tag=TAG, body=NewPolicy, answers={201: PolicyDocument}, refusals=(400, 413, 415, 422)
    )
    def post(self, request: ApiRequest, *, asked: Asked, body: NewPolicy) -> HttpResponseBase:
        """Set how long the project keeps payloads, from now on."""
        policy = retention.set_policy(
            request.project,
            floor_days=body.floor_days,
            ceiling_days=body.ceiling_days,
            reason=body.reason,
            by=_by(request),
        )
        return answer(_policy(policy), status=201)


class HoldList(ApiView):
    """Holds."""

    @operation(needs=Permission.ADMIN, tag=TAG, answers={200: Holds})
    def get(self, request: ApiRequest, *, asked: Asked) -> HttpResponseBase:
        """List the holds, the newest first, with those that were released."""
        items = [_hold(hold) for hold in reversed(retention.holds_of(request.project))]
        return answer({"items": items, "next": None})

    @operation(
        needs=Permission.ADMIN, tag=TAG, body=NewHold, answers={201: HoldDocument}, refusals=(400, 413, 415, 422)
    )
    def post(self, request: ApiRequest, *, asked: Asked, body: NewHold) -> HttpResponseBase:
        """Hold a stream, or all runs that name a subject: it wins over purges and erasures."""
        hold = retention.add_hold(
            request.project,
            stream=body.stream,
            subject=body.subject,
            kind=body.kind,
            reason=body.reason,
            by=_by(request),
        )
        return answer(_hold(hold), status=201)


class ReleaseHold(ApiView):
    """The end of a hold."""

    @operation(
        needs=Permission.ADMIN, tag=TAG, body=Release, answers={200: HoldDocument}, refusals=(400, 404, 413, 415, 422)
    )
    def post(self, request: ApiRequest, hold_id: str, *, asked: Asked, body: Release) -> HttpResponseBase:
        """Release a hold."""
        retention.release_hold(request.project, hold_id=hold_id, reason=body.reason, by=_by(request))
        released = next(hold for hold in retention.holds_of(request.project) if hold.id == hold_id)
        return answer(_hold(released))


class Purges(ApiView):
    """Purges."""

    @operation(needs=Permission.ADMIN, tag=TAG, asked=PurgeAsked, answers={200: PurgePreview}, refusals=(400,))
    def get(self, request: ApiRequest, *, asked: PurgeAsked) -> HttpResponseBase:
        """Tell what a purge would take, and take nothing. `items` are the first thousand runs."""
        before = moment(asked.before, "before") or datetime.now(UTC)
        found = purging.preview(request.project, before=before)
        limit = retention.age_limit(found.policy, datetime.now(UTC))
        return answer(
            {
                "before": instant(before),
                "policy": _policy(found.policy),
                "allowed": before <= limit,
                "runs": len(found.runs),
                "events": found.events,
                "items": [{"stream": run.stream, "events": run.version} for run in found.runs[:_MOST_RUNS]],
                "held": found.held,
            }
        )

    @operation(
        needs=Permission.ADMIN, tag=TAG, body=NewPurge, answers={202: documents.Job}, refusals=(400, 413, 415, 422)
    )
    def post(self, request: ApiRequest, *, asked: Asked, body: NewPurge) -> HttpResponseBase:
        """Purge the payloads of runs that ended before a time. The floor is enforced, and a refusal is journalled."""
        job = withdrawal_jobs.submit_purge(
            request.project, before=body.before, by=_by(request), user_id=request.grant.user_id
        )
        with transaction.atomic():
            return work.submitted(job)


class ErasureList(ApiView):
    """Erasures."""

    @operation(needs=Permission.ADMIN, tag=TAG, answers={200: Erasures})
    def get(self, request: ApiRequest, *, asked: Asked) -> HttpResponseBase:
        """List the erasures, and those that a hold forbade, the newest first."""
        items = [_erasure(one) for one in certificates.erasures_of(request.project)]
        return answer({"items": items, "next": None})

    @operation(
        needs=Permission.ADMIN,
        tag=TAG,
        body=NewErasure,
        answers={202: documents.Job},
        refusals=(400, 404, 409, 413, 415, 422),
    )
    def post(self, request: ApiRequest, *, asked: Asked, body: NewErasure) -> HttpResponseBase:
        """Erase what the journal holds of a subject, with all copies. A hold forbids it; the refusal is journalled."""
        job = withdrawal_jobs.submit_erasure(
            request.project,
            subject=body.subject,
            ground=body.ground,
            by=_by(request),
            user_id=request.grant.user_id,
        )
        with transaction.atomic():
            return work.submitted(job)


class Certificate(ApiView):
    """A certificate."""

    @operation(needs=Permission.ADMIN, tag=TAG, answers={200: CertificateDocument}, refusals=(404,))
    def get(self, request: ApiRequest, erasure_id: str, *, asked: Asked) -> HttpResponseBase:
        """Certify an erasure: what was erased and on which ground, with proofs from the signed log."""
        made = certificates.certificate(request.project, erasure_id)
        return answer({**msgspec.to_builtins(made), "text": made.text})


class CertificateText(ApiView):
    """A certificate as text."""

    @operation(needs=Permission.ADMIN, tag=TAG, answers={200: Media(_TEXT)}, refusals=(404,))
    def get(self, request: ApiRequest, erasure_id: str, *, asked: Asked) -> HttpResponseBase:
        """Certify an erasure, as text to hand over."""
        made = certificates.certificate(request.project, erasure_id)
        return HttpResponse(made.text, content_type=f"{_TEXT}; charset=utf-8")


def _by(request: ApiRequest) -> str:
    return f"user:{request.user.get_username()}"


def _policy(policy: Any) -> dict[str, Any]:
    return {"name": policy.name, **msgspec.to_builtins(policy)}


def _hold(hold: Hold) -> dict[str, Any]:
    known = msgspec.to_builtins(hold)
    empty = ("stream", "subject", "release_reason")
    return {**{name: known[name] for name in HoldDocument.__struct_fields__}, **{n: known[n] or None for n in empty}}


def _erasure(one: Erasure) -> dict[str, Any]:
    return {
        "id": one.id,
        "request": one.request,
        "subject": one.subject,
        "ground": one.ground,
        "by": one.by,
        "ordered_at": instant(one.at),
        "done_at": instant(one.done_at) if one.done_at else None,
        "events": one.events,
        "streams": one.streams,
        "refused": one.refused or None,
    }

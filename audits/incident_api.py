"""The incidents' part of `/api/v1/`. No address ends in a slash."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec
from django.http.response import HttpResponseBase
from django.urls import path, reverse

from audits import clocks, incidents
from audits.aggregates import Incident
from audits.clocks import Standing
from audits.incidents import NoIncident
from journal.access import Permission
from journal.api.answers import answer
from journal.api.asked import Asked
from journal.api.base import ApiRequest, ApiView, operation
from journal.api.documents import Time
from journal.api.refusals import NoSuchThing
from journal.domain.event import instant

TAG: Final = "Incidents"
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Text = Annotated[str, msgspec.Meta(max_length=incidents.LONGEST_TEXT)]


class NewIncident(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An incident to open. `concerns` are runs, `run@version` or event ids; `clocks` those whose deadlines run."""

    title: Annotated[str, msgspec.Meta(min_length=1, max_length=incidents.LONGEST_TITLE)]
    aware_at: Moment
    noticed: Text = ""
    concerns: Annotated[list[str], msgspec.Meta(max_length=incidents.MOST_CONCERNS)] = []
    clocks: Annotated[list[str], msgspec.Meta(max_length=50)] = []
    hold: bool = False


class NewStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A step that was done; without a time, now."""

    clock: Annotated[str, msgspec.Meta(max_length=80)]
    step: Annotated[str, msgspec.Meta(max_length=80)]
    done_at: Moment | None = None
    account: Text = ""


class NewEnd(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The account that an incident is closed with."""

    account: Annotated[str, msgspec.Meta(min_length=1, max_length=incidents.LONGEST_TEXT)]


class ConcernDocument(msgspec.Struct, kw_only=True):
    """A run, or one event of it."""

    stream: str
    version: int | None
    event_id: str | None


class DeadlineDocument(msgspec.Struct, kw_only=True):
    """A step with its deadline. `is_latest`: the step it counts from is not done, so it is due then at the latest."""

    clock: str
    step: str
    regime: str
    article: str
    words: str
    due_at: Time | None
    is_latest: bool
    standing: Standing
    left: str | None
    done_at: Time | None
    by: str | None
    account: str | None


class IncidentDocument(msgspec.Struct, kw_only=True):
    """An incident as it stands."""

    id: str
    stream: str
    version: int
    status: str
    title: str
    noticed: str
    aware_at: Time
    opened_by: str
    concerns: list[ConcernDocument]
    held: list[str]
    is_hold_kept: bool
    deadlines: list[DeadlineDocument]
    account: str | None
    closed_by: str | None


class IncidentsDocument(msgspec.Struct, kw_only=True):
    """The incidents of a project, open ones first."""

    items: list[IncidentDocument]
    next: str | None


class Incidents(ApiView):
    """Incidents of the project."""

    @operation(needs=Permission.READ, tag=TAG, answers={200: IncidentsDocument})
    def get(self, request: ApiRequest, *, asked: Asked) -> HttpResponseBase:
        """List the incidents, open ones first."""
        now = datetime.now(UTC)
        items = [document(one, now=now) for one in incidents.listing(request.project)]
        return answer({"items": items, "next": None})

    @operation(
        needs=Permission.AUDIT,
        tag=TAG,
        body=NewIncident,
        answers={201: IncidentDocument},
        refusals=(400, 413, 415, 422),
    )
    def post(self, request: ApiRequest, *, asked: Asked, body: NewIncident) -> HttpResponseBase:
        """Open an incident. Its deadlines count from `aware_at`, and stay as they are when the duties change."""
        ident = incidents.open_incident(
            request.project,
            title=body.title,
            noticed=body.noticed,
            aware_at=body.aware_at,
            concerns=body.concerns,
            clocks=body.clocks,
            hold=body.hold,
            by=request.user.get_username(),
        )
        return _answer(request, ident, status=201)


class OneIncident(ApiView):
    """One incident."""

    @operation(needs=Permission.READ, tag=TAG, answers={200: IncidentDocument}, refusals=(404,))
    def get(self, request: ApiRequest, incident_id: str, *, asked: Asked) -> HttpResponseBase:
        """Tell how an incident stands, each step with its deadline."""
        return _answer(request, incident_id)


class Steps(ApiView):
    """What was done for an incident."""

    @operation(
        needs=Permission.AUDIT,
        tag=TAG,
        body=NewStep,
        answers={200: IncidentDocument},
        refusals=(400, 404, 413, 415, 422),
    )
    def post(self, request: ApiRequest, incident_id: str, *, asked: Asked, body: NewStep) -> HttpResponseBase:
        """Record that a step was done."""
        try:
            incidents.do(
                request.project,
                incident_id,
                clock=body.clock,
                step=body.step,
                done_at=body.done_at,
                account=body.account,
                by=request.user.get_username(),
            )
        except NoIncident as missing:
            raise NoSuchThing(kind="incident", name=incident_id) from missing
        return _answer(request, incident_id)


class Close(ApiView):
    """The end of an incident."""

    @operation(
        needs=Permission.AUDIT,
        tag=TAG,
        body=NewEnd,
        answers={200: IncidentDocument},
        refusals=(400, 404, 413, 415, 422),
    )
    def post(self, request: ApiRequest, incident_id: str, *, asked: Asked, body: NewEnd) -> HttpResponseBase:
        """Close an incident with an account. What is held for it stays held."""
        try:
            incidents.close(request.project, incident_id, account=body.account, by=request.user.get_username())
        except NoIncident as missing:
            raise NoSuchThing(kind="incident", name=incident_id) from missing
        return _answer(request, incident_id)


def _answer(request: ApiRequest, incident_id: str, *, status: int = 200) -> HttpResponseBase:
    try:
        found = incidents.load(request.project, incident_id)
    except NoIncident as missing:
        raise NoSuchThing(kind="incident", name=incident_id) from missing
    location = reverse("api:incident", args=[incidents.ident_of(found)]) if status == 201 else ""  # noqa: PLR2004 - created
    return answer(document(found, now=datetime.now(UTC)), status=status, location=location)


def document(incident: Incident, *, now: datetime) -> dict[str, Any]:
    """Return an incident as the API and the command show it."""
    return {
        "id": incidents.ident_of(incident),
        "stream": incident.stream,
        "version": incident.version,
        "status": incident.status,
        "title": incident.title,
        "noticed": incident.noticed,
        "aware_at": incident.aware_at,
        "opened_by": incident.opened_by,
        "concerns": [
            {"stream": one.stream, "version": one.version, "event_id": one.event_id} for one in incident.known_concerns
        ],
        "held": list(incident.held),
        "is_hold_kept": incident.is_hold_kept,
        "deadlines": _deadlines(incident, now),
        "account": incident.account or None,
        "closed_by": incident.closed_by or None,
    }


def _deadlines(incident: Incident, now: datetime) -> list[dict[str, Any]]:
    found = []
    for one in incident.deadlines():
        said = incident.steps.get(one.key, {})
        left = clocks.in_words(one.due_at - (one.done_at or now)) if one.due_at else None
        found.append(
            {
                "clock": one.clock.id,
                "step": one.step.id,
                "regime": one.clock.regime,
                "article": one.clock.article,
                "words": one.step.words,
                "due_at": instant(one.due_at) if one.due_at else None,
                "is_latest": one.is_latest,
                "standing": one.standing(now),
                "left": left,
                "done_at": instant(one.done_at) if one.done_at else None,
                "by": said.get("by"),
                "account": said.get("account") or None,
            }
        )
    return found


urlpatterns = [
    path("incidents", Incidents.as_view(), name="incidents"),
    path("incidents/<str:incident_id>", OneIncident.as_view(), name="incident"),
    path("incidents/<str:incident_id>/steps", Steps.as_view(), name="incident_steps"),
    path("incidents/<str:incident_id>/close", Close.as_view(), name="incident_close"),
]

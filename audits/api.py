"""The audits' part of `/api/v1/`. No address ends in a slash."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from django.core.files.storage import default_storage
from django.db import transaction
from django.http import FileResponse
from django.http.response import HttpResponseBase
from django.urls import path, reverse

from audits import incident_api, jobs
from audits.access_api import AccessLog
from audits.selection import Query
from journal import tasks
from journal.access import Permission
from journal.api import documents
from journal.api.answers import answer
from journal.api.asked import Asked
from journal.api.base import ApiRequest, ApiView, Media, operation
from journal.api.refusals import NoSuchThing
from journal.api.work import job_document

TAG: Final = "Audits"
_PDF: Final = "application/pdf"
_ZIP: Final = "application/zip"
_JSONL: Final = "application/jsonl"
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class NewAudit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A subject or a correlation id, and what narrows it. The period is inclusive and looks at `occurred_at`."""

    subject: Name | None = None
    correlation: Name | None = None
    since: Moment | None = None
    until: Moment | None = None
    agent: Name | None = None
    tool: Name | None = None
    purpose: Annotated[str, msgspec.Meta(max_length=200)] = ""


class Audits(ApiView):
    """Audits of the project."""

    @operation(
        needs=Permission.AUDIT,
        tag=TAG,
        body=NewAudit,
        answers={202: documents.Job},
        refusals=(400, 413, 415, 422),
    )
    def post(self, request: ApiRequest, *, asked: Asked, body: NewAudit) -> HttpResponseBase:
        """Make an audit: a job, whose files are there once it is done."""
        query = Query(
            project=request.project,
            subject=body.subject,
            correlation=body.correlation,
            since=body.since,
            until=body.until,
            agent=body.agent,
            tool=body.tool,
        )
        by = str(request.user)
        with transaction.atomic():
            job = jobs.submit(query, user_id=request.grant.user_id, by=by, purpose=body.purpose)
            tasks.wake(job.id, kind=jobs.KIND)
        job.refresh_from_db()
        return answer(job_document(job), status=202, location=reverse("api:audit", args=[job.id]))


class OneAudit(ApiView):
    """One audit."""

    @operation(needs=Permission.AUDIT, tag=TAG, answers={200: documents.Job}, refusals=(404,))
    def get(self, request: ApiRequest, audit_id: str, *, asked: Asked) -> HttpResponseBase:
        """Tell how far an audit is, and what it covers once it is made."""
        return answer(job_document(_found(request, audit_id)))


class Report(ApiView):
    """The report."""

    @operation(needs=Permission.AUDIT, tag=TAG, answers={200: Media(_PDF, is_binary=True)}, refusals=(404,))
    def get(self, request: ApiRequest, audit_id: str, *, asked: Asked) -> HttpResponseBase:
        """Hand over an audit as PDF, with the evidence attached."""
        return _file(request, audit_id, jobs.REPORT, _PDF)


class Bundle(ApiView):
    """The bundle."""

    @operation(needs=Permission.AUDIT, tag=TAG, answers={200: Media(_ZIP, is_binary=True)}, refusals=(404,))
    def get(self, request: ApiRequest, audit_id: str, *, asked: Asked) -> HttpResponseBase:
        """Hand over an audit's evidence: events, proofs, checkpoint, and the program that checks them."""
        return _file(request, audit_id, jobs.BUNDLE, _ZIP)


class Trail(ApiView):
    """The trail."""

    @operation(needs=Permission.AUDIT, tag=TAG, answers={200: Media(_JSONL, is_binary=True)}, refusals=(404,))
    def get(self, request: ApiRequest, audit_id: str, *, asked: Asked) -> HttpResponseBase:
        """Hand over an audit's actions as an agent audit trail, an Internet-Draft: chained records, no payloads."""
        return _file(request, audit_id, jobs.TRAIL, _JSONL)


def _found(request: ApiRequest, audit_id: str) -> Any:
    job = jobs.find(audit_id, project=request.project)
    if job is None:
        raise NoSuchThing(kind="audit", name=audit_id)
    return job


def _file(request: ApiRequest, audit_id: str, name: str, media: str) -> HttpResponseBase:
    job = _found(request, audit_id)
    place = jobs.place(job.id, name)
    if job.status != "done" or not default_storage.exists(place):
        raise NoSuchThing(kind="file", name=name)
    ending = name.rpartition(".")[2]
    return FileResponse(
        default_storage.open(place), as_attachment=True, filename=f"audit-{job.id}.{ending}", content_type=media
    )


urlpatterns = [
    path("access", AccessLog.as_view(), name="access"),
    path("audits", Audits.as_view(), name="audits"),
    path("audits/<str:audit_id>", OneAudit.as_view(), name="audit"),
    path("audits/<str:audit_id>/report.pdf", Report.as_view(), name="audit_report"),
    path("audits/<str:audit_id>/bundle.zip", Bundle.as_view(), name="audit_bundle"),
    path("audits/<str:audit_id>/trail.jsonl", Trail.as_view(), name="audit_trail"),
    *incident_api.urlpatterns,
]

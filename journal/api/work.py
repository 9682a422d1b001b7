"""The work behind the journal: projections, status and jobs."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.http.response import HttpResponseBase
from django.urls import reverse

from journal import tasks
from journal.access import Permission, administers
from journal.api import documents
from journal.api.answers import answer
from journal.api.asked import Asked
from journal.api.base import ApiRequest, ApiView, operation
from journal.api.refusals import NoSuchThing
from journal.domain.event import instant
from journal.exports.documents import projection_document
from journal.models import Job
from journal.runtime import bisects, rebuilds, regrade, status
from journal.runtime import job as jobs
from journal.runtime.projection import progress, registered
from journal.runtime.status import Scope

TAG: Final = "Work"
_CANCELS: Final = {
    "import": Permission.IMPORT,
    rebuilds.KIND: Permission.ADMIN,
    bisects.KIND: Permission.GRADE,
    regrade.KIND: Permission.GRADE,
    "audit": Permission.AUDIT,
}


class Projections(ApiView):
    """The read models."""

    @operation(needs=Permission.READ, tag=TAG, answers={200: documents.Projections})
    def get(self, request: ApiRequest, *, asked: Asked) -> HttpResponseBase:
        """List the read models and how far they are behind the journal."""
        return answer({"items": [projection_document(progress(one)) for one in registered()], "next": None})


class Rebuild(ApiView):
    """A rebuild of a read model."""

    @operation(needs=Permission.ADMIN, tag=TAG, answers={202: documents.Job}, refusals=(404,))
    def post(self, request: ApiRequest, name: str, *, asked: Asked) -> HttpResponseBase:
        """Rebuild a read model.

        It is built beside the one that answers meanwhile. A rebuild that is under way already is not begun again: its
        job is the answer.
        """
        try:
            with transaction.atomic():
                job = rebuilds.submit(name, user_id=request.grant.user_id)
                tasks.wake(job.id, kind=job.kind)
        except KeyError as error:
            raise NoSuchThing(kind="projection", name=name) from error
        return job_answer(job, status=202)


class Status(ApiView):
    """The installation."""

    @operation(needs=Permission.READ, tag=TAG, answers={200: dict[str, Any]})
    def get(self, request: ApiRequest, *, asked: Asked) -> HttpResponseBase:
        """Tell who holds what, how far everybody is, and what waits.

        Leases, subscriptions and projections are the installation's; outbox, process managers and jobs the project's.
        """
        scope = Scope(projects=frozenset({request.project}), sees_others=administers(request.user))
        return answer(status.read(scope))


class OneJob(ApiView):
    """One job."""

    @operation(needs=Permission.READ, tag=TAG, answers={200: documents.Job}, refusals=(404,))
    def get(self, request: ApiRequest, job_id: str, *, asked: Asked) -> HttpResponseBase:
        """Tell how far a job is, and its result once it is done."""
        return job_answer(job_of(request, job_id))


class Cancel(ApiView):
    """The end of a job."""

    @operation(needs=Permission.READ, tag=TAG, answers={200: documents.Job}, refusals=(403, 404))
    def post(self, request: ApiRequest, job_id: str, *, asked: Asked) -> HttpResponseBase:
        """Cancel a job.

        Whoever may start such a job may stop it. One that has ended stays as it is.
        """
        job = job_of(request, job_id)
        request.grant.check(_CANCELS.get(job.kind, Permission.ADMIN))
        if job.kind == regrade.KIND:
            regrade.cancel(job)
        else:
            jobs.cancel(job.id)
        job.refresh_from_db()
        return job_answer(job)


def job_of(request: ApiRequest, job_id: str) -> Job:
    """Return a job of the project, or one on the whole journal, which is everybody's.

    Raises:
        NoSuchThing: there is none.
    """
    job = Job.objects.filter(id=job_id).first()
    if job is None or job.project_id not in (None, request.project):
        raise NoSuchThing(kind="job", name=job_id)
    return job


def submitted(job: Job) -> HttpResponseBase:
    """Wake a worker for a job, and answer with it."""
    tasks.wake(job.id, kind=job.kind)
    return job_answer(job, status=202)


def job_answer(job: Job, *, status: int = 200) -> HttpResponseBase:
    """Return a job, and where to ask for it again."""
    return answer(job_document(job), status=status, location=reverse("api:job", args=[job.id]) if status > 200 else "")  # noqa: PLR2004 - OK


def job_document(job: Job) -> dict[str, Any]:
    """Return a job as the API shows it; the result of a bisect or a re-grade is what its command prints."""
    return {
        "id": job.id,
        "kind": job.kind,
        "status": job.status,
        "progress": {"done": job.done, "total": job.total, "unit": job.unit},
        "result": _result(job),
        "error": job.error or None,
        "created_at": _time(job.created_at),
        "finished_at": _time(job.finished_at),
    }


def _result(job: Job) -> Any:
    if job.kind == bisects.KIND:
        found = bisects.result(job)
        return found.answer if found else None
    if job.kind == regrade.KIND:
        return regrade.as_json(job) if job.status == "done" else None
    return job.result


def _time(moment: datetime | None) -> str | None:
    return instant(moment) if moment else None

"""What a live connection tells of work: jobs as the API shows them, those that run or have just ended."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.db.models import Q

from journal.api.work import job_document
from journal.models import Job

MOST: Final = 50
_UNDER_WAY: Final = ("queued", "running")


def jobs_of(project: str, *, ended_since: datetime, only: str = "") -> list[dict[str, Any]]:
    """Return the project's jobs, and the whole journal's, that are under way or ended since; the oldest first.

    `only` is the id of the one that is asked for.
    """
    of_project = Q(project=project) | Q(project=None)
    lately = Q(status__in=_UNDER_WAY) | Q(finished_at__gte=ended_since)
    asked = Q(id=only) if only else Q()
    newest = Job.objects.filter(of_project, lately, asked).order_by("-created_at")[:MOST]
    return [job_document(job) for job in reversed(newest)]

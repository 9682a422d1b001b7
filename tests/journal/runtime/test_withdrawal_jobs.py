"""Jobs that erase: however they end, they leave nobody's id behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from audits import making
from audits.events import AuditMade
from journal.access.projects import ensure_project
from journal.domain.stream import ANY_VERSION
from journal.models import Job
from journal.runtime import erasing, log_keys, retention, withdrawal_jobs
from journal.runtime import job as jobs
from journal.runtime.log_keys import KeyPlace
from journal.store import get_store
from tests.access import recorder, records
from tests.builders import event, started

__all__ = ["recorder"]

pytestmark = pytest.mark.django_db

WHO = "user-42"


@pytest.fixture(autouse=True)
def _installation(tmp_path: Path, settings: Any) -> Iterator[None]:
    """A key and a media folder of the test's own, and a run."""
    before = log_keys.in_use()
    log_keys.use(KeyPlace(tmp_path, host="nagare.example"))
    settings.MEDIA_ROOT = tmp_path / "media"
    ensure_project("default")
    get_store().append("agent_run-1", [event(started(), subjects=(WHO,))], expected_version=ANY_VERSION)
    yield
    log_keys.use(before)


def erased(subject: str = WHO) -> Job:
    """Do a job that was let through when it was asked for."""
    asked = {"subject": subject, "ground": "Art. 17", "by": "user:ann"}
    job = jobs.enqueue(kind=withdrawal_jobs.ERASE, project="default", user_id=None, arguments=asked, unit="events")
    withdrawal_jobs.run(job.id)
    job.refresh_from_db()
    return job


def test_a_job_that_was_refused_forgets_whom_it_was_about() -> None:
    """By a hold, or since there is nothing of them: neither its arguments nor its words name them."""
    retention.add_hold("default", subject=WHO, reason="case 4", by="user:ann")
    for subject in (WHO, "user-7"):
        job = erased(subject)
        assert job.status == "failed"
        assert job.arguments == {"subject": retention.pseudonym("default", subject)}
        assert subject not in job.error


def test_an_erasure_takes_the_person_out_of_jobs_that_ended_before() -> None:
    """Also where it is asked for by the command, and not of one that is still to come."""
    asked = {"subject": WHO, "ground": "Art. 17", "by": "user:ann"}
    old, waiting, other = (
        jobs.enqueue(kind=withdrawal_jobs.ERASE, project="default", user_id=None, arguments=given, unit="events")
        for given in (asked, asked, {**asked, "subject": "user-7"})
    )
    Job.objects.filter(id__in=[old.id, other.id]).update(status="failed", error="RuntimeError")
    erasing.erase("default", subject=WHO, ground="Art. 17", by="user:ann")
    found = {job.id: job.arguments["subject"] for job in Job.objects.filter(kind=withdrawal_jobs.ERASE)}
    assert found == {old.id: retention.pseudonym("default", WHO), waiting.id: WHO, other.id: "user-7"}


@pytest.mark.usefixtures("recorder")
def test_nothing_in_the_journal_names_who_was_erased(django_capture_on_commit_callbacks: Any) -> None:
    """Not the access log either, which tells of reports that were made of them."""
    query = {"subject": WHO, "correlation": ""}
    made = AuditMade(query=query, events=3, checkpoint="", file="report.pdf", sha256="0" * 64, by="judge", purpose="")
    with django_capture_on_commit_callbacks(execute=True):
        making.tell("default", made)
    assert [said.detail for _, said in records() if said.what == "report made"] == [f"3 events, SHA-256 {'0' * 16}…"]
    assert erased().status == "done"
    assert not [one.stream for one in get_store().read_all() if WHO.encode() in one.data + one.metadata]

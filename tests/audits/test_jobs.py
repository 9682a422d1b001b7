"""Audits as jobs: what is erased while one is made is not in its files."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage

from audits import jobs, making, render
from audits.events import stream_of
from audits.selection import Query
from journal.access.projects import ensure_project
from journal.models import Job
from journal.runtime import erasing, log_keys, projection, sealer
from journal.runtime.log_keys import KeyPlace
from journal.store import get_store
from tests.builders import event, started

pytestmark = pytest.mark.django_db

WHO, SECRET = "user-42", "4 Hidden Lane"


@pytest.fixture(autouse=True)
def _installation(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A key and a media folder of the test's own, nothing to lay out pages with, and two runs of one correlation."""
    before = log_keys.in_use()
    log_keys.use(KeyPlace(tmp_path, host="nagare.example"))
    settings.MEDIA_ROOT = tmp_path / "media"
    monkeypatch.setattr(render, "available", lambda: "no pages here")
    ensure_project("default")
    for stream, subject in (("agent_run-1", WHO), ("agent_run-2", "user-7")):
        made = event(started(prompt=f"{SECRET} of {subject}"), subjects=(subject,), correlation_id="c")
        get_store().append(stream, [made], expected_version=0)
    sealer.catch_up()
    projection.catch_up_all()
    yield
    log_keys.use(before)


def erasing_behind(target: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Let somebody be erased behind the first call of a function; return all that came of its calls."""
    real, found = getattr(target, name), []

    def erases(*args: Any) -> Any:
        found.append(real(*args))
        if len(found) == 1:
            erasing.erase("default", subject=WHO, ground="Art. 17", by="user:ann", compact=False)
        return found[-1]

    monkeypatch.setattr(target, name, erases)
    return found


def made(query: Query) -> Job:
    """Make an audit."""
    job = jobs.submit(query, user_id=None, by="judge")
    jobs.run(job.id)
    return Job.objects.get(id=job.id)


def test_what_is_erased_while_an_audit_is_made_is_not_in_its_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made again, of what is left."""
    found = erasing_behind(making, "bundle", monkeypatch)
    job = made(Query(project="default", correlation="c"))
    assert (job.status, job.error, len(found)) == ("done", "", 2)
    with default_storage.open(jobs.place(job.id, jobs.BUNDLE)) as file, zipfile.ZipFile(file) as bundle:
        lines = bundle.read("events.jsonl")
    assert f"{SECRET} of user-7".encode() in lines
    assert f"{SECRET} of {WHO}".encode() not in lines


def test_what_is_erased_while_files_are_kept_takes_them_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that are kept behind: the audit ends with what an erasure says of one that was made."""
    found = erasing_behind(default_storage, "save", monkeypatch)
    job = made(Query(project="default", correlation="c"))
    assert len(found) == 3
    assert job.status == "cancelled"
    assert str((job.result or {}).get("withdrawn")).startswith("Its files held what was erased on ")
    assert not any(default_storage.exists(name) for name in found)
    assert get_store().stream_version(stream_of("default")) == 0


def test_an_audit_of_somebody_who_is_erased_meanwhile_names_them_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in what it was asked for nor in what the journal tells of it."""
    erasing_behind(making, "bundle", monkeypatch)
    job = made(Query(project="default", subject=WHO))
    assert (job.status, WHO in repr((job.arguments, job.result, job.error))) == ("cancelled", False)
    assert not default_storage.exists(jobs.place(job.id, jobs.TOLD))
    assert not [one.stream for one in get_store().read_all() if WHO.encode() in one.data + one.metadata]

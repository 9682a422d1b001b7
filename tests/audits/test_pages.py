"""The pages of audits: what one would cover, the preview, the files; and who may have them."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.test import Client

from audits import jobs, making, render, signing
from audits.selection import Query
from journal.access import Role, add_user
from journal.access.projects import add_project, ensure_project
from journal.runtime import job as work
from journal.runtime import log_keys, sealer
from journal.runtime.log_keys import KeyPlace
from journal.store import get_store
from tests.builders import event, reasoned, responded, returned, started

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[None]:
    """Keys and files of the test's own, and a quick stand-in for the layout: the report's own test lays out."""
    before, report_key = log_keys.in_use(), signing.in_use()
    log_keys.use(KeyPlace(tmp_path, host="nagare.example"))
    settings.MEDIA_ROOT = tmp_path / "media"
    monkeypatch.setattr(render, "available", lambda: "")
    monkeypatch.setattr(making, "pdf", lambda *_arguments, on_page, **_more: on_page(1) or b"%PDF-1.7 a page")
    monkeypatch.setattr(making, "signed", lambda made: made + b" signed")
    yield
    log_keys.use(before)
    signing.use(report_key)


@pytest.fixture
def journal() -> None:
    """Two runs for user-42 and one for another, all sealed."""
    ensure_project("default")
    for number, subject in ((1, "user-42"), (2, "user-42"), (3, "user-7")):
        told = [started(prompt=HOSTILE), responded(), reasoned(), returned()]
        get_store().append(f"agent_run-{number}", [event(one, subjects=(subject,)) for one in told], expected_version=0)
    sealer.catch_up()


def body_of(answer: Any) -> bytes:
    """Return what a download sends; read to its end it closes itself."""
    return b"".join(answer.streaming_content)


def status_of(client: Client, address: str) -> int:
    """Return how an address is answered."""
    answer = client.get(address)
    if answer.streaming:
        body_of(answer)
    return answer.status_code


def signed_in(role: Role, project: str = "default") -> Client:
    """Return a browser in which somebody of that role is signed in."""
    user, _ = add_user(f"{role}-of-{project}", role=role, project=project, password="correct horse battery")
    client = Client()
    client.force_login(user)
    return client


def test_what_an_audit_would_cover_is_told_before_it_is_made(journal: None) -> None:
    """And nothing is written for it."""
    client = signed_in(Role.AUDITOR)
    page = client.get("/audits/?kind=subject&value=user-42").content.decode()
    assert "8 in 2 runs" in page
    assert "Of runs that name somebody else</dt><dd>4" in page
    assert "No audit was made here yet" in page
    assert client.get("/audits/?subject=user-42").content.decode().count("8 in 2 runs") == 1
    assert get_store().stream_version("audit-default") == 0


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("kind=subject&value=user-42&from=yesterday", "is no time"),
        ("kind=subject&value=user-42&from=2026-11-02&until=2026-11-01", "ends before it begins"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_words(journal: None, asked: str, why: str) -> None:
    """In the form's page, with what was typed still in it."""
    answer = signed_in(Role.AUDITOR).get(f"/audits/?{asked}")
    assert answer.status_code == 400
    assert why in answer.content.decode()
    assert 'value="user-42"' in answer.content.decode()


def test_an_audit_is_made_by_a_job_and_handed_over(journal: None, django_capture_on_commit_callbacks: Any) -> None:
    """Report and bundle with their digests; that it was made is an event."""
    client = signed_in(Role.AUDITOR)
    with django_capture_on_commit_callbacks(execute=True):
        made = client.post("/audits/", {"value": "user-42", "purpose": f"Complaint {HOSTILE}"})
    address = made["Location"]
    page = client.get(address).content.decode()
    assert "2 actions for" in page
    assert HOSTILE not in page
    bundle = client.get(f"{address}bundle.zip")
    content = body_of(bundle)
    assert bundle["Content-Disposition"].startswith("attachment; ")
    assert hashlib.sha256(content).hexdigest() in page
    with zipfile.ZipFile(io.BytesIO(content)) as files:
        assert json.loads(files.read("manifest.json"))["counts"]["events"] == 8
    trail = client.get(f"{address}trail.jsonl")
    assert trail["Content-Type"] == "application/jsonl"
    assert hashlib.sha256(lines := body_of(trail)).hexdigest() in page
    assert {json.loads(line)["session_id"] for line in lines.splitlines()}
    report = body_of(client.get(f"{address}report.pdf"))
    assert report == b"%PDF-1.7 a page signed"
    told = next(iter(get_store().read_stream("audit-default"))).payload
    assert (told["by"], told["sha256"]) == ("auditor-of-default", hashlib.sha256(report).hexdigest())
    assert "user-42" in client.get("/audits/").content.decode()
    assert client.get(f"{address}verify.py").status_code == 404


def test_an_audit_that_is_started_again_is_made_once(journal: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker died after the files were kept: the next one hands the same over, and the journal tells of one."""
    query = Query(project="default", subject="user-42")
    job = jobs.submit(query, user_id=None, by="anna")
    with monkeypatch.context() as dying:
        dying.setattr(work, "finish", lambda *_arguments, **_named: None)
        jobs.run(job.id)
    kept = _kept(job.id)
    type(job).objects.filter(id=job.id).update(status="queued")
    jobs.run(job.id)
    job.refresh_from_db()
    assert job.status == "done"
    assert _kept(job.id) == kept
    assert get_store().stream_version("audit-default") == 1


def _kept(job_id: str) -> bytes:
    with default_storage.open(jobs.place(job_id, jobs.REPORT)) as file:
        return bytes(file.read())


def test_an_audit_that_was_stopped_hands_nothing_over(journal: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next page that is laid out is the last."""
    query = Query(project="default", subject="user-42")
    job = jobs.submit(query, user_id=None, by="anna")

    def laid_out(*_arguments: Any, on_page: Any, **_more: Any) -> bytes:
        work.cancel(job.id)
        on_page(1)
        raise AssertionError("it went on")

    monkeypatch.setattr(making, "pdf", laid_out)
    jobs.run(job.id)
    job.refresh_from_db()
    assert job.status == "cancelled"
    assert get_store().stream_version("audit-default") == 0
    page = signed_in(Role.AUDITOR).get(f"/audits/{job.id}/").content.decode()
    assert "was stopped" in page
    assert "bundle.zip" not in page


def test_a_refused_audit_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is sealed there is nothing to prove."""
    ensure_project("default")
    monkeypatch.setattr(sealer, "catch_up", lambda: False)
    job = jobs.submit(Query(project="default", subject="user-42"), user_id=None, by="anna")
    jobs.run(job.id)
    page = signed_in(Role.AUDITOR).get(f"/audits/{job.id}/").content.decode()
    assert "could not be made" in page
    assert "under a signed checkpoint yet" in page


def test_the_preview_is_the_report(journal: None) -> None:
    """By the same template, without a script, and with the page's own policy."""
    answer = signed_in(Role.AUDITOR).get("/audits/preview/?subject=user-42")
    page = answer.content.decode()
    assert "Every action for" in page
    assert "<style>" not in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert get_store().stream_version("audit-default") == 0


def test_only_auditors_and_admins_have_audits(journal: None) -> None:
    """And only those of their own project."""
    job = jobs.submit(Query(project="default", subject="user-42"), user_id=None, by="anna")
    jobs.run(job.id)
    add_project("other")
    addresses = ("/audits/", "/audits/preview/?subject=user-42", f"/audits/{job.id}/", f"/audits/{job.id}/bundle.zip")
    for role, status in ((Role.ADMIN, 200), (Role.ENGINEER, 403), (Role.VIEWER, 403)):
        client = signed_in(role)
        assert [status_of(client, address) for address in addresses] == [status] * 4
    stranger = signed_in(Role.ADMIN, "other")
    assert [status_of(stranger, address) for address in addresses[2:]] == [404, 404]
    assert "8 in" not in stranger.get("/audits/?subject=user-42").content.decode()
    assert [status_of(Client(), address) for address in addresses] == [302] * 4
    assert get_store("other").stream_version("audit-other") == 0


def test_a_fragment_is_the_page(journal: None) -> None:
    """What htmx puts in is what the page holds."""
    job = jobs.submit(Query(project="default", subject="user-42"), user_id=None, by="anna")
    client = signed_in(Role.AUDITOR)
    part = client.get(f"/audits/{job.id}/", headers={"HX-Request": "true"}).content.decode().strip()
    assert 'hx-get="/audits/' in part
    whole = client.get(f"/audits/{job.id}/").content.decode()
    assert part.partition("csrf")[0] in whole

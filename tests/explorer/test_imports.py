"""Import in the browser: files in, a job with a page of its own, and what came of each file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from explorer.queries.imports import FILES_SHOWN, import_job
from journal.access import Role, add_project, add_user
from journal.ingest import jobs as import_jobs
from journal.models import Job
from journal.runtime import job as job_rows


@pytest.fixture(autouse=True)
def _uploads(db: None, tmp_path: Path, settings: Any) -> None:
    """Keep uploads in a folder of the test."""
    settings.MEDIA_ROOT = str(tmp_path)
    add_project("mine")
    add_project("theirs")


def signed_in(role: Role = Role.ENGINEER, project: str = "mine") -> Client:
    """Return a browser of a member."""
    client = Client()
    client.force_login(
        add_user(f"{role}-of-{project}", role=role, project=project, password="a stream finds its way")[0]
    )
    return client


def file(name: str = "notes.json", content: str = '["a", "b"]') -> SimpleUploadedFile:
    """Return a file as a form sends it."""
    return SimpleUploadedFile(name, content.encode())


def job(project: str = "mine", **fields: Any) -> Job:
    """Store an import job."""
    made = job_rows.enqueue(kind=import_jobs.KIND, project=project, user_id=None, arguments={}, unit="files")
    Job.objects.filter(id=made.id).update(**fields)
    made.refresh_from_db()
    return made


def line(path: str = "a.jsonl", status: str = "imported", **fields: Any) -> dict[str, Any]:
    """Return a file's part of a job's result."""
    found = {"stream": f"agent_run-{path}", "source_id": path, "events": 200, "decisions": 49, "tool_errors": 6}
    return {
        "path": path,
        "format": "atif",
        "status": status,
        "reason": None,
        "runs": [{**found, "cost_usd": None}],
        **fields,
    }


def result(*files: dict[str, Any]) -> dict[str, Any]:
    """Return a job's result."""
    events = sum(run["events"] for found in files for run in found["runs"])
    return {
        "files": list(files),
        "totals": {"events": events, "refused": sum(one["status"] == "refused" for one in files)},
    }


def test_uploaded_files_become_a_job_and_its_page(django_capture_on_commit_callbacks: Any) -> None:
    """A form without scripts is led to the page of the job, which the worker has finished here."""
    client = signed_in()
    with django_capture_on_commit_callbacks(execute=True):
        response = client.post("/import/", {"files": [file(), file("more.json")]})
    made = Job.objects.get()
    assert (response.status_code, response["Location"]) == (302, f"/import/{made.id}/")
    page = client.get(response["Location"]).content.decode()
    assert "Imported 2 files, 2 refused" in page
    assert "line 1" in page
    assert made.project_id == "mine"


def test_the_script_gets_the_jobs_address() -> None:
    """It asks for JSON and goes there itself."""
    response = signed_in().post("/import/", {"files": [file()]}, headers={"Accept": "application/json"})
    assert response.status_code == 201
    assert response.json()["href"] == f"/import/{Job.objects.get().id}/"


@pytest.mark.parametrize("count", [0, 1])
def test_a_refusal_says_why_and_keeps_nothing(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file, or one that is too large: on the form for people, as a problem for the script."""
    monkeypatch.setattr(import_jobs, "MAX_UPLOAD_BYTES", 4)
    client = signed_in()
    page = client.post("/import/", {"files": [file() for _ in range(count)]})
    assert page.status_code == 400
    assert "Nothing was imported" in page.content.decode()
    problem = client.post("/import/", {"files": [file() for _ in range(count)]}, headers={"Accept": "application/json"})
    assert problem["Content-Type"] == "application/problem+json"
    assert problem.json()["detail"] in page.content.decode().replace("&#x27;", "'")
    assert not Job.objects.exists()


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AUDITOR])
def test_who_may_only_read_may_not_import(role: Role) -> None:
    """Neither see the form nor send it."""
    client = signed_in(role)
    assert client.get("/import/").status_code == client.post("/import/", {"files": [file()]}).status_code == 403
    assert "/import/" not in client.get("/runs/").content.decode()


def test_the_import_of_another_project_is_not_there() -> None:
    """Nor can it be stopped."""
    theirs = job("theirs")
    client = signed_in()
    assert client.get(f"/import/{theirs.id}/").status_code == client.post(f"/import/{theirs.id}/").status_code == 404
    theirs.refresh_from_db()
    assert theirs.status == "queued"


def test_an_import_that_runs_asks_again_and_one_that_ended_does_not() -> None:
    """The page polls only while something can change; a fragment is the page's own part."""
    running = job(status="running", done=1, total=3, result=result(line()))
    client = signed_in()
    page = client.get(f"/import/{running.id}/").content.decode()
    assert "Importing 3 files" in page
    assert 'hx-trigger="load delay:2s, nagare:job"' in page
    part = client.get(f"/import/{running.id}/", headers={"HX-Request": "true"}).content.decode()
    assert part.strip().startswith('<div class="imports" id="job"')
    Job.objects.filter(id=running.id).update(status="done", done=3)
    assert "hx-trigger" not in client.get(f"/import/{running.id}/").content.decode()


def test_an_import_can_be_stopped() -> None:
    """The worker stops at the next file; what it read stays."""
    running = job(status="running", done=1, total=3, result=result(line()))
    signed_in().post(f"/import/{running.id}/")
    shown = import_job("mine", running.id)
    assert shown is not None
    assert (shown.state, shown.headline) == ("cancelled", "Import stopped, 1 of 3 files read")


def test_a_file_is_told_in_a_sentence() -> None:
    """Sums of what the format records, and what it does not."""
    shown = import_job("mine", job(result=result(line(), line("b.jsonl", "extended", added=88)), status="done").id)
    assert shown is not None
    assert [one.sentence for one in shown.files] == [
        "1 run, 200 events, 49 decisions, 6 tool failures. Cost is not recorded in it.",
        "1 run, 200 events, 49 decisions, 6 tool failures. 88 of the events are new. Cost is not recorded in it.",
    ]
    assert shown.sentence == "2 runs, 400 events."


def test_what_is_being_read_says_how_far_it_is() -> None:
    """The file, its events so far, and how many wait behind it; nothing of that once it is over."""
    progress = {**result(line()), "reading": {"path": "logs/b.jsonl", "events": 1_200}}
    made = job(result=progress, status="running", done=1, total=4)
    html = signed_in().get(f"/import/{made.id}/").content.decode()
    assert "logs/b.jsonl" in html
    assert "1,200 events read so far." in html
    assert "2 files more wait." in html
    made.status = "cancelled"
    made.save()
    assert "read so far" not in signed_in().get(f"/import/{made.id}/").content.decode()


def test_a_refused_file_comes_with_a_way_out() -> None:
    """What was kept, and how a format is forced."""
    made = job(result=result(line("bad.json", "refused", runs=[], reason="line 3: no JSON")), status="done")
    html = signed_in().get(f"/import/{made.id}/").content.decode()
    assert "Nothing of it was kept" in html
    assert "--format NAME" in html


def test_a_fragment_tells_the_screen_reader_and_the_page_does_not() -> None:
    """The live region stands outside of what is exchanged, and changes at tenths of the way."""
    made = job(result=result(line()), status="running", done=1, total=3)
    client = signed_in()
    fragment = client.get(f"/import/{made.id}/", headers={"HX-Request": "true"}).content.decode()
    assert '<span hx-swap-oob="innerHTML:#job-said">Importing 3 files, 30 percent</span>' in fragment
    assert "hx-swap-oob" not in client.get(f"/import/{made.id}/").content.decode()


def test_of_too_many_files_the_refused_ones_are_listed() -> None:
    """They are what somebody must look at."""
    files = [line(f"{number}.json") for number in range(FILES_SHOWN + 3)]
    files[-1] = line("bad.json", "refused", runs=[], reason="line 412, column 88: the text ends inside a string")
    shown = import_job("mine", job(result=result(*files), status="done").id)
    assert shown is not None
    assert shown.files[0].path == "bad.json"
    assert shown.files_folded == 3


def test_names_of_files_are_never_markup() -> None:
    """They are chosen by whoever made the archive."""
    name = '<img src=x onerror="alert(1)">\u202e.json'
    made = job(result=result(line(name, "refused", runs=[], reason=name)), status="done")
    page = signed_in().get(f"/import/{made.id}/").content.decode()
    assert "<img" not in page
    assert "\u202e" not in page


def test_a_finished_import_leads_to_its_runs() -> None:
    """One run: straight to it."""
    made = job(result=result(line()), status="done")
    assert 'href="/runs/agent_run-a.jsonl/">Open the run</a>' in signed_in().get(f"/import/{made.id}/").content.decode()

"""Ops in the browser: the whole answer in sentences, who may see what, and the few things that change anything."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from explorer.queries import ops as queries
from journal.access import Role, add_project, add_user
from journal.domain import job as job_events
from journal.domain.stream import ANY_VERSION
from journal.models import Dispatch, Job, Lease, ParkedEvent, StreamRow
from journal.runtime import job as jobs
from journal.runtime import job_process, presence, process_manager, rebuilds
from journal.runtime.job_process import JobManager
from journal.runtime.status import Sample
from journal.store import get_store
from tests.builders import event, identity, raw

HTMX = {"HX-Request": "true"}
NOW = datetime.now(UTC)
ROLES = (Role.VIEWER, Role.ENGINEER, Role.AUDITOR)


@pytest.fixture(autouse=True)
def _projects(db: None) -> None:
    """There are two."""
    add_project("mine")
    add_project("theirs")


def signed_in(role: Role = Role.VIEWER, project: str = "mine") -> Client:
    """Return a browser of a member."""
    client = Client()
    name = f"{role}-of-{project}"
    client.force_login(add_user(name, role=role, project=project, password="a stream finds its way")[0])
    return client


def dispatch(number: int = 1, *, project: str = "mine", state: str = "dead", **fields: Any) -> str:
    """Store a dispatch and return its id."""
    now = int(NOW.timestamp() * 1_000_000)
    row = {
        "event_id": identity(number), "effect": "webhook", "target": f"target-of-{project}", "payload": "{}",
        "attempts": 12, "next_try_us": now, "last_error": f"refused by the receiver of {project}", "created_us": now,
    }  # fmt: skip
    made = Dispatch.objects.create(id=identity((project, number)), project=project, state=state, **{**row, **fields})
    return str(made.id)


def parked(project: str = "mine", *, state: str = "dead", position: int = 1204) -> ParkedEvent:
    """Set an event aside for the alerts."""
    return ParkedEvent.objects.create(
        subscription="alerting", project=project, event_id=identity(project), position=position, attempts=8,
        reason=f"ValueError: poison of {project}", state=state, next_try_at=NOW, parked_at=NOW,
    )  # fmt: skip


def process(project: str = "mine", *, number: int = 1) -> str:
    """Let a job's process begin in a project and return its stream."""
    store, job = get_store(project), identity((project, number, "job"))
    submitted = job_events.Submitted(kind="import", steps=("fetch", "store"))
    store.append(
        f"job-{job}", [event(submitted, id=identity((project, number, "asked")))], expected_version=ANY_VERSION
    )
    manager = JobManager()
    process_manager.react(store, manager, next(store.read_stream(f"job-{job}")))
    return f"process_job-{job}.1"


def page(client: Client, address: str = "/ops/", **headers: str) -> str:
    """Return the text of a page that is there."""
    response = client.get(address, headers=headers)
    assert response.status_code == 200, (address, response.status_code)
    return response.content.decode()


def words(html: str) -> str:
    """Return what HTML says, with one space between the texts of its elements."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


# --- What it says -----------------------------------------------------------------------------------------------------


def test_it_says_who_owns_what_and_who_is_idle() -> None:
    """In a sentence over the table of leases."""
    now = datetime.now(UTC)  # that of the module may be long ago
    later = now + timedelta(minutes=5)
    for name, holder in (("outbox", "outbox-b-12"), (f"{presence.PREFIX}outbox-a-9", "outbox-a-9")):
        Lease.objects.create(name=name, holder=holder, acquired_at=now, heartbeat_at=now, expires_at=later)
    said = words(page(signed_in()))
    assert "outbox-b-12 owns the outbox" in said
    assert "outbox-a-9 is idle as designed and takes over within 10 s of a miss" in said


def test_there_is_one_banner_and_only_where_a_person_must_act() -> None:
    """What is tried again by itself has none; two alarms share one."""
    client = signed_in()
    dispatch(1, state="pending", next_try_us=int((NOW + timedelta(hours=1)).timestamp() * 1_000_000))
    assert 'class="banner' not in page(client)
    dispatch(2)
    parked()
    html = page(client)
    assert html.count('class="banner') == 1
    assert "1 delivery by webhook was given up." in words(html)
    assert "1 more thing below wants a person." in words(html)


def test_the_page_asks_again_and_then_tells_rates() -> None:
    """The fragment is the part of the page, and brings the foot along; "hold still" asks no more."""
    client = signed_in()
    html = page(client)
    address = html.split('hx-get="')[1].split('"')[0]
    assert address.startswith("/ops/?since=")
    again = client.get(address, headers=HTMX)
    part = again.content.decode()
    assert part.lstrip().startswith('<div class="ops"')
    assert 'id="ops-foot" hx-swap-oob="true"' in part
    assert "HX-Request" in again["Vary"]
    assert "no-store" in again["Cache-Control"]
    assert "hx-get" not in page(client, "/ops/?still")


@pytest.mark.parametrize("since", ["", "x", "1.2", "1.2.a:b", "99999999999999999999.1.a:1", "." * 5000, "1.2.:,:"])
def test_a_sample_that_somebody_made_up_is_no_error(since: str) -> None:
    """There are simply no rates then."""
    page(signed_in(), f"/ops/?since={since}")


def test_a_sample_survives_the_address() -> None:
    """What is written is what is read."""
    sample = Sample(at=NOW, head=41, positions={"alerting": 40, "process-job": 7})
    assert queries._sample(queries._encoded(sample)) == sample


def test_text_from_outside_is_text() -> None:
    """An error message of a receiver makes no markup anywhere."""
    dispatch(last_error="<script>alert(1)</script>", target='"><img src=x>')
    client = signed_in(Role.ADMIN)
    for address in ("/ops/", "/ops/outbox/"):
        html = page(client, address)
        assert "<script>alert" not in html
        assert "<img" not in html


@pytest.mark.parametrize("address", ["/ops/", "/ops/outbox/", "/ops/subscriptions/alerting/", "/ops/processes/"])
def test_the_number_of_queries_does_not_grow(address: str) -> None:
    """A page costs the same for one of everything and for many."""
    client = signed_in(Role.ADMIN)
    for number in range(21):
        process(number=number)
    dispatch(0)
    parked()
    page(client, address)
    with CaptureQueriesContext(connection) as few:
        page(client, address)
    for number in range(1, 30):
        dispatch(number, project="mine" if number % 2 else "theirs")
        process(number=100 + number)
        jobs.enqueue(kind="import", project="mine", user_id=None, arguments={}, unit="files")
    with CaptureQueriesContext(connection) as many:
        page(client, address)
    assert len(many) <= len(few)


# --- Who sees what ----------------------------------------------------------------------------------------------------

PAGES = (
    "/ops/",
    "/ops/spans/",
    "/ops/outbox/",
    "/ops/outbox/?state=pending",
    "/ops/subscriptions/alerting/",
    "/ops/processes/",
)


@pytest.mark.parametrize("address", PAGES)
@pytest.mark.parametrize("role", ROLES)
def test_a_member_sees_nothing_of_another_project(role: Role, address: str) -> None:
    """Neither its name nor that something waits there."""
    for project in ("mine", "theirs"):
        dispatch(1, project=project)
        dispatch(2, project=project, state="pending")
        parked(project)
        process(project)
        made = jobs.enqueue(kind="import", project=project, user_id=None, arguments={}, unit="files")
        Job.objects.filter(id=made.id).update(status="failed", error=f"broken in {project}", finished_at=NOW)
    html = page(signed_in(role), address)
    assert "theirs" not in html
    assert identity(("theirs", 1)) not in html


def test_an_admin_sees_the_names_of_other_projects_with_counts_alone() -> None:
    """Not the error, and no way to act on it."""
    stolen = dispatch(project="theirs")
    html = page(signed_in(Role.ADMIN))
    assert "of theirs" in words(html)
    assert "refused by the receiver of theirs" not in html
    assert stolen not in page(signed_in(Role.ADMIN), "/ops/outbox/")


def test_a_viewer_sees_no_way_to_act() -> None:
    """Links and buttons are an admin's."""
    dispatch()
    parked()
    viewer, admin = signed_in(), signed_in(Role.ADMIN)
    assert "Rebuild…" not in page(viewer)
    assert "Rebuild…" in page(admin)
    for address in ("/ops/outbox/", "/ops/subscriptions/alerting/"):
        assert '<form class="ops-form"' not in page(viewer, address)
        assert "Requeue" not in page(viewer, address)


@pytest.mark.parametrize("role", ROLES)
def test_only_an_admin_may_act(role: Role) -> None:
    """Others are refused, and nothing changes."""
    made, aside = dispatch(), parked()
    client = signed_in(role)
    for address in (f"/ops/outbox/{made}/requeue/", f"/ops/parked/{aside.id}/", "/ops/projections/causes/"):
        assert client.post(address, {"confirm": "causes", "do": "retry"}).status_code == 403
    assert Dispatch.objects.get().state == ParkedEvent.objects.get().state == "dead"
    assert not Job.objects.exists()


def test_nobody_is_let_in_without_signing_in() -> None:
    """Pages lead to the sign-in page, actions answer 401."""
    assert Client().get("/ops/").status_code == 302
    assert Client().post("/ops/parked/1/").status_code == 401


def test_what_another_project_has_cannot_be_acted_upon() -> None:
    """Its ids answer as if they were not there."""
    theirs, aside, stream = dispatch(project="theirs"), parked("theirs"), process("theirs")
    admin = signed_in(Role.ADMIN)
    assert admin.post(f"/ops/outbox/{theirs}/requeue/").status_code == 404
    assert admin.post(f"/ops/parked/{aside.id}/", {"do": "retry"}).status_code == 404
    assert admin.get(f"/ops/processes/{stream}/").status_code == 404
    assert Dispatch.objects.get(id=theirs).state == ParkedEvent.objects.get().state == "dead"


@pytest.mark.parametrize(
    "address",
    ["/ops/subscriptions/none/", "/ops/processes/none/", "/ops/processes/job-1/", "/ops/processes/process_none-1/",
     "/ops/projections/none/", "/ops/processes/a%00b/"],
)  # fmt: skip
def test_what_is_not_there_is_not_found(address: str) -> None:
    """Also where the name is nonsense."""
    get_store("mine").append("job-1", [raw()], expected_version=ANY_VERSION)
    assert signed_in(Role.ADMIN).get(address).status_code == 404


def test_numbers_past_the_database_are_not_found() -> None:
    """A parked event has no such id."""
    assert signed_in(Role.ADMIN).post(f"/ops/parked/{10**30}/").status_code == 404


# --- Actions ----------------------------------------------------------------------------------------------------------


def test_a_dispatch_that_was_given_up_can_be_queued_again() -> None:
    """It keeps its id; queued twice, the second time is refused in words."""
    made, admin = dispatch(), signed_in(Role.ADMIN)
    assert made in page(admin, "/ops/outbox/")
    assert admin.post(f"/ops/outbox/{made}/requeue/").status_code == 302
    assert (Dispatch.objects.get().state, Dispatch.objects.get().attempts) == ("pending", 0)
    again = admin.post(f"/ops/outbox/{made}/requeue/")
    assert again.status_code == 409
    assert "only a dead one can be queued again" in words(again.content.decode())


def test_an_event_that_was_set_aside_can_be_retried() -> None:
    """At once and with all its attempts."""
    aside, admin = parked(), signed_in(Role.ADMIN)
    assert "ValueError: poison of mine" in words(page(admin, "/ops/subscriptions/alerting/"))
    answer = admin.post(f"/ops/parked/{aside.id}/", {"do": "retry"})
    assert answer["Location"] == "/ops/subscriptions/alerting/"
    aside.refresh_from_db()
    assert (aside.state, aside.attempts) == ("waiting", 0)


@pytest.mark.parametrize(
    ("typed", "state"), [("", "dead"), ("1205", "dead"), ("1204", "skipped"), (" 1,204 ", "skipped")]
)
def test_an_event_is_skipped_only_where_its_position_is_typed(typed: str, state: str) -> None:
    """Then it is no alarm any more; retrying takes it back."""
    aside, admin = parked(), signed_in(Role.ADMIN)
    answer = admin.post(f"/ops/parked/{aside.id}/", {"do": "skip", "confirm": typed})
    aside.refresh_from_db()
    assert (aside.state, answer.status_code) == (state, 302 if state == "skipped" else 400)
    assert ("alerting has set" in words(page(admin))) == (state == "dead")


def test_a_rebuild_needs_the_projections_name(django_capture_on_commit_callbacks: Any) -> None:
    """Then it becomes a job; while that is open the page offers to stop it."""
    admin = signed_in(Role.ADMIN)
    assert admin.post("/ops/projections/causes/", {"confirm": "cause"}).status_code == 400
    assert not Job.objects.exists()
    with django_capture_on_commit_callbacks(execute=False) as wakes:
        assert admin.post("/ops/projections/causes/", {"confirm": "causes"})["Location"] == "/ops/"
    assert len(wakes) == 1
    job = Job.objects.get()
    assert (job.kind, job.arguments["projection"], job.status) == (rebuilds.KIND, "causes", "queued")
    assert "Stop the rebuild" in page(admin, "/ops/projections/causes/")
    admin.post("/ops/projections/causes/", {"do": "cancel"})
    assert Job.objects.get().status == "cancelled"


# --- Processes --------------------------------------------------------------------------------------------------------


def test_a_process_shows_its_state_its_command_and_its_timeout() -> None:
    """And each reaction in words, from its own stream."""
    stream = process()
    client = signed_in()
    assert f"/ops/processes/{stream}/" in page(client, "/ops/processes/?manager=job")
    said = words(page(client, f"/ops/processes/{stream}/"))
    assert "Waits for job.step to be answered, or for its timeout at" in said
    assert '"kind": "import"' in said
    assert "1 of 1,024 places taken." in said
    assert "On job.submitted it asked for job.step to" in said


def test_a_command_that_was_given_up_says_why() -> None:
    """The process waits for what will not come by itself."""
    stream = process()
    Dispatch.objects.filter(effect=job_process.STEP).update(state="dead", last_error="disk full", attempts=12)
    said = words(page(signed_in(), f"/ops/processes/{stream}/"))
    assert "gave up" in said
    assert "12 attempts: disk full" in said


def test_the_managers_line_counts_what_waits() -> None:
    """Of the project."""
    process()
    process("theirs")
    assert StreamRow.objects.filter(category="process_job").count() == 2
    assert "1 process begun, 1 waits for what comes next." in words(page(signed_in()))

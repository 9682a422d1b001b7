"""The status: who does what and what waits, in words, computed from rows that say so and from nothing else."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from journal.domain.stream import ANY_VERSION
from journal.models import Checkpoint, Dispatch, Job, Lease, ParkedEvent, Project
from journal.runtime import alerting, lease, presence, rebuilds, status
from journal.runtime import job as jobs
from journal.runtime import projection as projections
from journal.runtime.status import Sample, Scope
from journal.store import get_store
from tests.builders import identity, raw

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MINE = Scope(projects=frozenset({"mine"}))


def ago(**span: float) -> datetime:
    """Return a time before noon."""
    return NOW - timedelta(**span)


def us(moment: datetime) -> int:
    """Return a time as dispatches have it."""
    return int(moment.timestamp() * 1_000_000)


def held(name: str, holder: str, *, beat: float = 1.0, ttl: float = 5.0) -> None:
    """Let somebody hold a lease that was renewed `beat` seconds before noon."""
    Lease.objects.create(
        name=name,
        holder=holder,
        token=7,
        acquired_at=ago(hours=3, minutes=12),
        heartbeat_at=ago(seconds=beat),
        expires_at=ago(seconds=beat) + timedelta(seconds=ttl),
    )


def dispatch(number: int, **fields: Any) -> str:
    """Store a dispatch that is due since a second."""
    row = {
        "project": "mine", "event_id": identity(number), "effect": "webhook", "target": "w", "payload": "{}",
        "next_try_us": us(ago(seconds=1)), "last_error": "", "created_us": us(ago(hours=1)),
    }  # fmt: skip
    return str(Dispatch.objects.create(id=identity(number), **{**row, **fields}).id)


def append(count: int, project: str = "default") -> int:
    """Append events and return the journal's head."""
    get_store(project).append("run-7", [raw() for _ in range(count)], expected_version=ANY_VERSION)
    return get_store(project).head()


def at(name: str, position: int, **moved: float) -> None:
    """Put a checkpoint somewhere, moved on so long before noon."""
    Checkpoint.objects.update_or_create(name=name, defaults={"position": position})
    Checkpoint.objects.filter(name=name).update(updated_at=ago(**moved))


def line_of(found: Any, name: str) -> Any:
    """Return the line of a name."""
    return next(one for one in found if name in (getattr(one, "name", None), getattr(one, "effect", None)))


# --- Leases -----------------------------------------------------------------------------------------------------------


def test_it_says_in_words_who_owns_what_and_who_is_idle() -> None:
    """The owner with what it owns, and the process of the same kind that waits."""
    held("outbox", "outbox-b-12")
    held(f"{presence.PREFIX}outbox-b-12", "outbox-b-12")
    held(f"{presence.PREFIX}outbox-a-9", "outbox-a-9")
    for known in projections.registered():
        held(projections.lease_name(known), "projections-b-11")
    found = status.read(now=NOW)
    models = len(projections.registered())
    assert found.words.leases == (
        f"outbox-b-12 owns the outbox, projections-b-11 owns {models} read models, outbox-a-9 is idle as designed."
    )
    outbox = line_of(found.leases, "outbox")
    assert (outbox.holder, outbox.standby, outbox.state) == ("outbox-b-12", ("outbox-a-9",), "healthy")
    assert outbox.words == "outbox-a-9 is idle as designed and takes over within 10 s of a miss"
    assert status.span(outbox.held_for_s) == "3 h 12 min"
    assert outbox.renews_in_s == pytest.approx(5 / 3 - 1)


def test_a_process_is_only_present_while_it_beats() -> None:
    """One that died is not said to be idle."""
    held("outbox", "outbox-b-12")
    held(f"{presence.PREFIX}outbox-a-9", "outbox-a-9", beat=60, ttl=15)
    assert line_of(status.read(now=NOW).leases, "outbox").standby == ()


def test_a_silent_holder_is_named_with_how_long_it_is_silent() -> None:
    """Its lease is anybody's; until somebody takes it, it is lost."""
    held("outbox", "outbox-b-12", beat=42)
    outbox = line_of(status.read(now=NOW).leases, "outbox")
    assert (outbox.holder, outbox.state) == (None, "lost")
    assert outbox.words == "outbox-b-12 is silent for 42 s; whoever looks next takes over"


def test_an_outbox_that_nobody_works_on_wants_a_person_once_something_waits() -> None:
    """In an empty installation nothing is wrong; with a dispatch that is due there is."""
    assert status.read(now=NOW).alarms == ()
    dispatch(1)
    (alarm,) = status.read(now=NOW).alarms
    assert alarm.headline == "Nobody works on the outbox."
    assert alarm.words.startswith("1 dispatch due, 0 events not looked at for alerts. Start nagare run-outbox")


def test_a_process_that_runs_is_known_and_then_forgotten() -> None:
    """It holds a lease in its own name, which is no line of its own; rows of long ago go."""
    held(f"{presence.PREFIX}outbox-old-1", "outbox-old-1")
    Lease.objects.update(expires_at="2000-01-01T00:00:00Z")
    with presence.announced("outbox") as holder:
        assert holder == lease.holder_name("outbox")
        assert [row.holder for row in Lease.objects.all()] == [holder]
        found = line_of(status.read().leases, "outbox")
        assert found.standby == (holder,)
        assert found.words == f"{holder} takes it within 10 s"
    assert line_of(status.read().leases, "outbox").standby == ()


# --- Subscriptions and projections ------------------------------------------------------------------------------------


def test_a_reader_at_the_head_is_healthy() -> None:
    """Without an earlier reading its rate is not known, and is not said to be zero."""
    at("alerting", append(3), seconds=1)
    found = line_of(status.read(now=NOW).subscriptions, "alerting")
    assert (found.lag, found.behind_s, found.rate_per_s, found.state) == (0, 0.0, None, "healthy")


def test_a_reader_that_does_not_move_stands_still() -> None:
    """How many events, since when, and who should move it."""
    head = append(5)
    held("outbox", "outbox-b-12")
    later = datetime.now(UTC) + timedelta(minutes=3, seconds=40)
    Lease.objects.update(expires_at=later + timedelta(seconds=5))
    at("alerting", head - 2)
    Checkpoint.objects.update(updated_at=later - timedelta(seconds=90))
    found = line_of(status.read(now=later).subscriptions, "alerting")
    assert (found.lag, found.state) == (2, "stands still")
    assert found.behind_s == pytest.approx(220, abs=30)
    assert found.words == "2 events behind, has not moved for 1 min 30 s; outbox-b-12 should move it"


def test_rates_compare_with_the_reading_that_is_brought_along() -> None:
    """Three hundred events in ten seconds while a hundred came: the gap closes by twenty a second."""
    head = append(400)
    then = datetime.now(UTC) + timedelta(minutes=1)
    at("alerting", head - 100)
    Checkpoint.objects.update(updated_at=then)
    before = Sample(at=then - timedelta(seconds=10), head=head - 100, positions={"alerting": head - 400})
    found = line_of(status.read(since=before, now=then).subscriptions, "alerting")
    assert (found.rate_per_s, found.there_in_s, found.state) == (30.0, 5.0, "catching up")
    assert found.words == "100 events behind, there in 5.0 s"
    assert line_of(status.read(since=before, now=then).subscriptions, "explorer").rate_per_s is None


def test_an_event_set_aside_for_good_wants_a_person() -> None:
    """One that is tried again does not, nor one that a person skipped."""
    fields = {"subscription": alerting.NAME, "project": "mine", "position": 4, "reason": "x", "parked_at": NOW}
    for state in ("waiting", "dead", "skipped"):
        ParkedEvent.objects.create(**fields, event_id=identity(state), state=state, next_try_at=NOW)
    found = status.read(now=NOW)
    reader = line_of(found.subscriptions, "alerting")
    assert (reader.parked, reader.given_up, reader.level) == (2, 1, "fails")
    assert reader.words == "at the head; 1 event set aside for good, others pass"
    assert [alarm.headline for alarm in found.alarms] == ["alerting has set 1 event aside for good."]


def test_a_rebuild_shows_how_far_it_is_and_that_the_old_rows_answer() -> None:
    """The building checkpoint is its progress, the open job its handle."""
    head = append(10)
    at("causes", head)
    at("causes#building", head // 2)
    job = rebuilds.submit("causes")
    Job.objects.update(status="running", attempt=1, heartbeat_at=NOW)
    found = line_of(status.read(now=NOW).projections, "causes")
    assert (found.state, found.job, found.building) == ("rebuilding", job.id, head // 2)
    assert found.progress == pytest.approx((head // 2) / head)
    assert found.words == "version 1 still answers"
    assert "causes is being rebuilt beside the old rows" in status.read(now=NOW).words.projections


def test_rows_of_other_code_are_outdated_and_a_failed_rebuild_wants_a_person() -> None:
    """Until it failed, the scheduler asks for the rebuild."""
    at("causes", 0)
    Checkpoint.objects.update(code_version=9)
    assert line_of(status.read(now=NOW).projections, "causes").state == "outdated"
    rebuilds.submit("causes")
    Job.objects.update(status="failed", error="ValueError: poison\nmore", finished_at=NOW)
    found = status.read(now=NOW)
    assert line_of(found.projections, "causes").words == "version 9 still answers: ValueError: poison."
    assert [alarm.headline for alarm in found.alarms] == ["causes could not be rebuilt."]


# --- Outbox, jobs, horizon --------------------------------------------------------------------------------------------


def test_the_outbox_tells_due_retrying_late_and_dead_apart() -> None:
    """What needs a person comes first; a timeout that has its time is no delay."""
    dispatch(1, next_try_us=us(ago(seconds=42)))
    dispatch(2, effect="email", attempts=3, next_try_us=us(ago(seconds=-18)), last_error="refused")
    dispatch(3, effect="process.timeout", next_try_us=us(ago(hours=-6)))
    dispatch(4, effect="alert", state="dead", attempts=12, last_error="410 Gone")
    dispatch(5, state="delivered")
    found = status.read(now=NOW)
    shown = {one.effect: (one.state, one.words) for one in found.outbox.effects if one.project}
    assert shown == {
        "alert": ("gave up", "1 parked after 12 attempts, others pass"),
        "webhook": ("slow", "1 due, the oldest for 42 s"),
        "email": ("retrying", "1 refused once or more, next try in 18 s"),
        "process.timeout": ("waiting", "1 for their time, the first in 6 h 00 min"),
    }
    assert found.outbox.effects[0].effect == "alert"
    assert (found.words.outbox, found.words.gave_up) == ("3 pending, the oldest due for 42 s.", "1 gave up.")
    assert (found.alarms[0].headline, found.alarms[0].words) == ("1 delivery by alert was given up.", "410 Gone.")


def test_a_job_whose_worker_is_silent_is_lost() -> None:
    """Another worker takes it over; the row says since when nobody beat."""
    job = jobs.enqueue(kind="import", project=None, user_id=None, arguments={}, unit="files")
    Job.objects.update(status="running", attempt=2, heartbeat_at=ago(seconds=95))
    (found,) = status.read(now=NOW).jobs
    assert (found.id, found.state) == (job.id, "lost")
    assert found.words == "its worker is silent for 1 min 35 s, attempt 2; the next one takes it over"


def test_nothing_is_held_back_where_appends_commit_in_order() -> None:
    """The horizon is the head."""
    head = append(3)
    found = status.read(now=NOW).horizon
    assert (found.head, found.held_back, found.by) == (head, 0, ())
    assert found.words == f"Readers may read up to position {head:,}, which is all there is."


# --- Whose ------------------------------------------------------------------------------------------------------------


def test_a_member_sees_the_work_of_their_project_only() -> None:
    """Dispatches, jobs and parked events of others are not even counted."""
    Project.objects.create(slug="theirs", name="Theirs")
    dispatch(1, project="theirs", state="dead", last_error="their secret")
    jobs.enqueue(kind="import", project="theirs", user_id=None, arguments={}, unit="files")
    ParkedEvent.objects.create(
        subscription="alerting", project="theirs", event_id=identity(1), position=4, reason="x", state="dead",
        parked_at=NOW, next_try_at=NOW,
    )  # fmt: skip
    found = status.read(MINE, now=NOW)
    assert (found.outbox.dead, found.jobs, line_of(found.subscriptions, "alerting").parked) == (0, (), 0)
    assert "theirs" not in repr(found)
    assert found.alarms == ()


def test_an_admin_sees_how_much_others_have_but_not_what() -> None:
    """Names and counts; no error text, and no alarm about what only others can mend."""
    Project.objects.create(slug="theirs", name="Theirs")
    dispatch(1, project="theirs", state="dead", last_error="their secret")
    made = jobs.enqueue(kind="import", project="theirs", user_id=None, arguments={}, unit="files")
    Job.objects.filter(id=made.id).update(status="failed", error="their secret", finished_at=NOW)
    found = status.read(Scope(projects=frozenset({"mine"}), sees_others=True), now=NOW)
    line = line_of(found.outbox.effects, "webhook")
    assert (line.project, line.dead, line.is_own, line.last_error) == ("theirs", 1, False, "")
    assert [one.project for one in found.jobs] == ["theirs"]
    assert "their secret" not in repr(found)
    assert found.alarms == ()


def test_reading_costs_the_same_however_much_waits() -> None:
    """Counts are made by the database."""
    at("alerting", append(2))
    dispatch(0)
    with CaptureQueriesContext(
        connection,
    ) as few:
        status.read(now=NOW)
    for number in range(1, 40):
        dispatch(number, project=f"p{number}", state="dead" if number % 2 else "pending")
        append(3)
    with CaptureQueriesContext(connection) as many:
        status.read(now=NOW)
    # The first event that the reader has not handled, its stream's name, and how far it may read: up to two queries.
    assert len(many) <= len(few) + 4


# --- The command ------------------------------------------------------------------------------------------------------


def test_the_command_prints_the_parts_as_json() -> None:
    """One document with the parts that other tools read."""
    append(1)
    out = StringIO()
    call_command("status", "--json", stdout=out)
    found = json.loads(out.getvalue())
    assert {"leases", "horizon", "subscriptions", "projections", "outbox", "processes", "jobs"} <= set(found)
    assert found["horizon"]["held_back"] == 0
    assert {"name", "position", "head", "lag", "words"} <= set(found["subscriptions"][0])


def test_the_command_tells_people_the_same() -> None:
    """The answer of each part first, then its lines; what needs a person before all."""
    dispatch(1, state="dead", last_error="410 Gone")
    out = StringIO()
    call_command("status", stdout=out)
    lines = out.getvalue().splitlines()
    assert lines[0] == "! 1 delivery by webhook was given up. 410 Gone."
    assert "Outbox         Nothing is pending. 1 gave up." in lines
    assert any("gave up" in line and "webhook of mine" in line and "(410 Gone)" in line for line in lines)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"), (0.4, "0.4 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 00 s"), (220, "3 min 40 s"),
        (7500, "2 h 05 min"), (100_000, "1 d 03 h"), (-3, "0 s"),
    ],
)  # fmt: skip
def test_lengths_of_time_have_two_units(seconds: float, words: str) -> None:
    """Never sixty of one."""
    assert status.span(seconds) == words

"""Schedules: each time comes once, whoever asks; how a run ended is known, and told where it changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from journal.access import add_project
from journal.access.projects import ProjectRefused
from journal.domain import alerts
from journal.models import Dispatch, Job, Schedule
from journal.runtime import job as jobs
from journal.runtime import regrade, saved_rules, schedules
from journal.runtime.schedules import Scheduled, ScheduleNotFound, ScheduleRefused
from journal.store import get_store
from tests.builders import event, failed, reasoned, started

pytestmark = pytest.mark.django_db
P = "planned"
NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
NIGHT = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def journal() -> None:
    """A rule, and a run that breaks it."""
    add_project(P)
    saved_rules.save(
        project=P, name="none-fail", description="", expression="state.totals.tool_errors < 1", monotone=True, by=None
    )
    write("agent_run-1")


def write(stream: str) -> None:
    """Append a run whose tool fails."""
    get_store(P).append(stream, [event(each) for each in (started(), reasoned(), failed())], expected_version=0)


def nightly(**fields: Any) -> Scheduled:
    """Add a schedule for three in the morning."""
    given = {"name": "nightly", "kind": "regrade", "cron": "0 3 * * *", "arguments": {"rule": "none-fail"}, **fields}
    return schedules.add(project=P, by="ada", now=NOW, **given)


def told(schedule: Scheduled) -> list[str]:
    """Return what the schedule's stream says happened."""
    return [each.type for each in get_store(P).read_stream(f"schedule-{schedule.id}")]


def due(at: datetime) -> list[Job]:
    """Submit what is due, do it, and take in how it ended."""
    found = schedules.run_due(now=at)
    for job in found:
        regrade.finish(job)
    schedules.settle()
    return found


def raised() -> list[Dispatch]:
    """Return the alerts that are to be told."""
    return list(Dispatch.objects.filter(project=P, effect="alert"))


def test_a_time_comes_once_however_many_ask() -> None:
    """And the next one is known."""
    made = nightly()
    assert made.next_due_at == NIGHT
    assert schedules.run_due(now=NIGHT - timedelta(seconds=1)) == []
    assert len(schedules.run_due(now=NIGHT)) == 1
    assert schedules.run_due(now=NIGHT) == []
    after = schedules.find(made.id, project=P)
    assert after is not None
    assert (after.last_due_at, after.next_due_at) == (NIGHT, NIGHT + timedelta(days=1))
    assert told(made) == ["schedule.saved", "schedule.due"]


def test_one_who_read_the_time_before_another_claimed_it_submits_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The row is moved on by conditional update."""
    nightly()
    stale = Schedule.objects.get()
    assert len(schedules.run_due(now=NIGHT)) == 1
    assert schedules._run(stale, NIGHT) is None
    assert Job.objects.filter(kind="regrade").count() == 1


def test_times_that_passed_unasked_are_made_up_for_once() -> None:
    """Not for each night that nothing ran."""
    made = nightly()
    assert len(schedules.run_due(now=NIGHT + timedelta(days=5, hours=1))) == 1
    after = schedules.find(made.id, project=P)
    assert after is not None
    assert after.next_due_at == NIGHT + timedelta(days=6)


def test_a_paused_schedule_rests_and_goes_on_from_then() -> None:
    """What would have been due meanwhile is not made up for."""
    made = nightly()
    assert schedules.pause(made.id, project=P, by="ada").next_due_at is None
    assert schedules.run_due(now=NIGHT) == []
    later = NIGHT + timedelta(days=3)
    assert schedules.go_on(made.id, project=P, now=later).next_due_at == later + timedelta(days=1)
    assert schedules.run_due(now=later) == []
    assert told(made) == ["schedule.saved", "schedule.paused", "schedule.continued"]


def test_a_schedule_is_changed_and_deleted() -> None:
    """Both are on record; what it set off stays."""
    made = nightly()
    changed = schedules.change(made.id, project=P, cron="30 4 * * *", timezone="Europe/Berlin", now=NOW)
    assert changed.next_due_at == datetime(2026, 12, 1, 3, 30, tzinfo=UTC)
    (job,) = schedules.run_due(now=changed.next_due_at)
    schedules.delete(made.id, project=P, by="ada")
    assert schedules.listing(P) == []
    assert jobs.find(job.id, kind="regrade", project=P) is not None
    assert told(made)[-1] == "schedule.deleted"
    with pytest.raises(ScheduleNotFound):
        schedules.change(made.id, project=P, name="x")


def test_another_projects_schedule_is_not_there() -> None:
    """Whatever is asked of it."""
    made = nightly()
    add_project("other")
    assert schedules.find(made.id, project="other") is None
    with pytest.raises(ScheduleNotFound):
        schedules.pause(made.id, project="other")
    with pytest.raises(ProjectRefused):
        schedules.add(project="nobody", name="x", kind="rebuild", cron="* * * * *", arguments={})


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"cron": "every night"}, "cron"),
        ({"cron": "61 * * * *"}, "cron"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": "../../etc/passwd"}, "timezone"),
        ({"name": " "}, "name"),
        ({"kind": "nothing"}, "kind"),
        ({"arguments": {"rule": "nobody"}}, "arguments"),
        ({"arguments": {"rule": "none-fail", "force": True}}, "arguments"),
        ({"arguments": {"rule": "none-fail", "since": "yesterday"}}, "arguments"),
        ({"kind": "rebuild", "arguments": {"projection": "nobody"}}, "arguments"),
    ],
)
def test_what_cannot_be_scheduled_is_refused(fields: dict[str, Any], field: str) -> None:
    """With the field it is about."""
    with pytest.raises(ScheduleRefused) as refused:
        nightly(**fields)
    assert refused.value.field == field
    assert Schedule.objects.count() == 0


def test_somebody_is_told_once_when_another_number_of_runs_fails() -> None:
    """Not at the first run, which there is nothing to compare with, nor when nothing changed."""
    made = nightly()
    due(NIGHT)
    due(NIGHT + timedelta(days=1))
    assert raised() == []
    write("agent_run-2")
    due(NIGHT + timedelta(days=2))
    schedules.settle()
    (dispatch,) = raised()
    assert alerts.FAILING_CHANGED in dispatch.payload
    assert "none-fail fails in 1 run more" in dispatch.payload
    after = schedules.find(made.id, project=P)
    assert after is not None
    assert after.outcome is not None
    assert (after.outcome["fails"], after.outcome["changed_by"]) == (2, 1)
    assert told(made) == ["schedule.saved", *["schedule.due", "schedule.ended"] * 3]


@pytest.mark.parametrize("how", ["now", "due"])
def test_an_end_that_nobody_took_in_yet_is_taken_in_before_the_next_begins(how: str) -> None:
    """The row holds one job: an end that it was never told of could not be found again."""
    made = nightly()
    due(NIGHT)
    write("agent_run-2")
    (job,) = schedules.run_due(now=NIGHT + timedelta(days=1))
    regrade.finish(job)
    later = NIGHT + timedelta(days=2)
    if how == "now":
        schedules.run_now(made.id, project=P, now=later)
    else:
        schedules.run_due(now=later)
    assert told(made) == ["schedule.saved", *["schedule.due", "schedule.ended"] * 2, "schedule.due"]
    assert len(raised()) == 1
    after = schedules.find(made.id, project=P)
    assert after is not None
    assert after.outcome is not None
    assert (after.outcome["job"], after.has_open_job) == (job.id, True)


def test_taking_in_an_end_again_tells_nobody_twice() -> None:
    """A worker that dies behind the event and before the row leaves the end to be taken in again."""
    nightly()
    due(NIGHT)
    write("agent_run-2")
    due(NIGHT + timedelta(days=1))
    Schedule.objects.update(settled_job="", outcome={"known_fails": 1})
    assert schedules.settle() == 1
    assert len(raised()) == 1


def test_a_rule_that_was_retired_is_said_and_the_schedule_goes_on() -> None:
    """No job; the next time is tried again."""
    made = nightly()
    saved_rules.retire(project=P, name="none-fail", by=None)
    assert schedules.run_due(now=NIGHT) == []
    after = schedules.find(made.id, project=P)
    assert after is not None
    assert after.outcome is not None
    assert (after.outcome["status"], after.next_due_at) == ("refused", NIGHT + timedelta(days=1))


def test_a_rebuild_can_be_scheduled() -> None:
    """A projection by name."""
    nightly(kind="rebuild", arguments={"projection": "rules"})
    (job,) = schedules.run_due(now=NIGHT)
    assert (job.kind, job.arguments["projection"]) == ("rebuild", "rules")


def test_the_next_times_are_shown_in_a_zone_with_summer_time() -> None:
    """Half past two does not come in the night in which the clocks go forward."""
    days = schedules.upcoming(
        "30 2 * * *", timezone="Europe/Berlin", after=datetime(2026, 3, 27, 12, tzinfo=UTC), count=3
    )
    assert [f"{day:%d %H:%M}" for day in days] == ["28 01:30", "29 01:30", "30 00:30"]

"""What the runtime records of its own work reads as prose."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from journal.domain import alerts, job, process, saved_rule, schedule
from journal.domain.explain import explain
from tests.builders import recorded

CASES: list[tuple[msgspec.Struct, str]] = [
    (alerts.Raised(title="A run was aborted", summary="agent_run-7 was aborted"), "agent_run-7 was aborted"),
    (
        alerts.Redelivered(dispatch="d-1", found_by="ring"),
        "Dispatch d-1 came again and changed nothing; the ring knew it",
    ),
    (job.Submitted(kind="import", steps=("archive-0", "files")), "Import in 2 steps"),
    (job.Submitted(kind="rebuild", steps=("build",), round=2), "Rebuild in 1 step, for the 2. time"),
    (job.StepDone(step="files", done=1_200), "Step files is done, 1,200 in all"),
    (job.Failed(reason="the disk is full"), "The job failed: the disk is full"),
    (job.Cancelled(), "Somebody stopped the job"),
    (job.Ended(), "The job is done"),
    (job.Ended(error="cancelled"), "The job ended: cancelled"),
    (
        process.Reacted(
            event_type="job.submitted", commands=(process.Issued(dispatch="d", effect="job.step", target="7/files"),)
        ),
        "On job.submitted it asked for job.step to 7/files",
    ),
    (process.Reacted(event_type="job.ended", has_ended=True), "On job.ended it had nothing to do and ended"),
    (
        saved_rule.Saved(name="few", version=2, expression="version < 9", by="ada"),
        "ada saved version 2 of the rule few: version < 9",
    ),
    (saved_rule.Retired(by="ada", reason="too strict"), "ada retired the rule: too strict"),
    (
        schedule.Saved(name="nightly", kind="regrade", cron="0 3 * * *", by="ada"),
        "ada set the schedule nightly: a regrade at 0 3 * * * (UTC)",
    ),
    (schedule.Paused(by="ada"), "ada let the schedule rest"),
    (schedule.Continued(), "Somebody let the schedule go on"),
    (schedule.Deleted(by="ada"), "ada removed the schedule"),
    (
        schedule.Due(due_at=datetime(2026, 12, 1, 3, tzinfo=UTC), reason="the rule is gone"),
        "The time 2026-12-01 03:00 came; no job was submitted: the rule is gone",
    ),
    (
        schedule.Ended(job="j-1", status="done", runs=9, fails=3, errors=0, changed_by=-2),
        "Job j-1 is done: 3 of 9 runs fail, -2 since last time",
    ),
    (process.TimedOut(), "What the process waited for did not come in time"),
]


@pytest.mark.parametrize(("event", "summary"), CASES, ids=[type(event).__name__ for event, _ in CASES])
def test_it_is_said_in_a_sentence(event: msgspec.Struct, summary: str) -> None:
    """With the names and numbers that stand in the event."""
    (one,) = recorded([event])
    assert explain(one).summary == summary

"""Explainers for what the runtime records of its own work: alerts, jobs, processes and the log."""

from __future__ import annotations

from journal.domain import alerts, job, process, sealing
from journal.domain.explain import Explanation, explains
from journal.domain.text import amount


@explains(alerts.Raised)
def alert_raised(event: alerts.Raised) -> Explanation:
    """Say what somebody should look at."""
    return Explanation(title=event.title or "Alert", summary=event.summary, tags={"kind": event.kind, "run": event.run})


@explains(alerts.Redelivered)
def alert_redelivered(event: alerts.Redelivered) -> Explanation:
    """Say that a delivery changed nothing, and what knew it."""
    return Explanation(
        title="Came again",
        summary=f"Dispatch {event.dispatch} came again and changed nothing; the {event.found_by} knew it",
    )


@explains(job.Submitted)
def job_submitted(event: job.Submitted) -> Explanation:
    """Say what was asked for."""
    again = f", for the {event.round}. time" if event.round > 1 else ""
    return Explanation(
        title=f"{event.kind.capitalize()} begun",
        summary=f"{event.kind.capitalize()} in {amount(len(event.steps), 'step')}{again}",
        detail="\n".join(event.steps),
        tags={"kind": event.kind},
    )


@explains(job.StepDone)
def job_step_done(event: job.StepDone) -> Explanation:
    """Say which step is done."""
    return Explanation(title=f"{event.step} done", summary=f"Step {event.step} is done, {event.done:,} in all")


@explains(job.Failed)
def job_failed(event: job.Failed) -> Explanation:
    """Say why."""
    return Explanation(title="Failed", summary=f"The job failed: {event.reason}")


@explains(job.Cancelled)
def job_cancelled(event: job.Cancelled) -> Explanation:
    """Say so."""
    return Explanation(title="Cancelled", summary="Somebody stopped the job")


@explains(job.Ended)
def job_ended(event: job.Ended) -> Explanation:
    """Say how."""
    how = f"The job ended: {event.error}" if event.error else "The job is done"
    return Explanation(title="Ended", summary=how)


@explains(process.Reacted)
def process_reacted(event: process.Reacted) -> Explanation:
    """Say what came in and what went out."""
    out = ", ".join(f"{one.effect} to {one.target}" for one in event.commands)
    does = f"asked for {out}" if out else "had nothing to do"
    end = " and ended" if event.has_ended else ""
    return Explanation(title=f"Reacted to {event.event_type}", summary=f"On {event.event_type} it {does}{end}")


@explains(process.TimedOut)
def process_timed_out(event: process.TimedOut) -> Explanation:
    """Say that nothing came."""
    del event
    return Explanation(title="Timed out", summary="What the process waited for did not come in time")


@explains(sealing.KeyRotated)
def key_rotated(event: sealing.KeyRotated) -> Explanation:
    """Say which key signs from here on."""
    return Explanation(
        title="The log's key was replaced",
        summary=f"Checkpoints past {event.size:,} leaves are signed by another key, which the former one signed",
        detail=f"now     {event.vkey}\nbefore  {event.previous_vkey}",
    )


@explains(sealing.LogReopened)
def log_reopened(event: sealing.LogReopened) -> Explanation:
    """Say which log ended, and why."""
    by = f" by {event.by}" if event.by else ""
    return Explanation(
        title="Another log was opened",
        summary=f"The log {event.origin} ended, and another one was begun{by}: {event.reason}",
        detail=event.checkpoint,
    )

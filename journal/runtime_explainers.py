"""Explainers for what the runtime records of its own work: alerts, jobs, processes and the log."""

from __future__ import annotations

from journal.domain import (
    access_log,
    alerts,
    job,
    notes,
    process,
    redaction_rules,
    retention,
    saved_rule,
    schedule,
    sealing,
)
from journal.domain.catalog import Withdrawn
from journal.domain.explain import Explanation, explains
from journal.domain.text import amount, clip, plain


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


@explains(notes.Opened)
def notes_opened(event: notes.Opened) -> Explanation:
    """Say which run it is about."""
    return Explanation(title="Notes begun", summary=f"What people say of {event.run}", tags={"run": event.run})


@explains(notes.Replaced)
def note_replaced(event: notes.Replaced) -> Explanation:
    """Say whose note stands no longer as it was."""
    by = event.by or "Somebody"
    return Explanation(title="Note changed", summary=f"{by} changed note {event.note}; the next event is in its place")


@explains(notes.Retracted)
def note_retracted(event: notes.Retracted) -> Explanation:
    """Say who took it back, and why."""
    why = f": {clip(event.reason)}" if event.reason else ""
    by = event.by or "Somebody"
    return Explanation(title="Note taken back", summary=f"{by} took note {event.note} back{why}")


@explains(saved_rule.Saved)
def rule_saved(event: saved_rule.Saved) -> Explanation:
    """Say which version, and what it says."""
    by = f"{event.by} saved" if event.by else "Saved"
    return Explanation(
        title=f"Version {event.version} saved",
        summary=f"{by} version {event.version} of the rule {event.name}: {clip(plain(event.expression))}",
        detail=event.expression,
        tags={"rule": event.name},
    )


@explains(saved_rule.Retired)
def rule_retired(event: saved_rule.Retired) -> Explanation:
    """Say so, and why."""
    by = f"{event.by} retired the rule" if event.by else "The rule was retired"
    return Explanation(title="Retired", summary=f"{by}: {event.reason}" if event.reason else by)


@explains(schedule.Saved)
def schedule_saved(event: schedule.Saved) -> Explanation:
    """Say what is to be done when."""
    by = f"{event.by} set" if event.by else "Set"
    return Explanation(
        title=event.name or "Schedule",
        summary=f"{by} the schedule {event.name}: a {event.kind} at {event.cron} ({event.timezone})",
        tags={"kind": event.kind},
    )


@explains(schedule.Paused)
def schedule_paused(event: schedule.Paused) -> Explanation:
    """Say who."""
    return Explanation(title="Paused", summary=f"{event.by or 'Somebody'} let the schedule rest")


@explains(schedule.Continued)
def schedule_continued(event: schedule.Continued) -> Explanation:
    """Say who."""
    return Explanation(title="Goes on", summary=f"{event.by or 'Somebody'} let the schedule go on")


@explains(schedule.Deleted)
def schedule_deleted(event: schedule.Deleted) -> Explanation:
    """Say who."""
    return Explanation(title="Deleted", summary=f"{event.by or 'Somebody'} removed the schedule")


@explains(schedule.Due)
def schedule_due(event: schedule.Due) -> Explanation:
    """Say what it set off."""
    did = f"job {event.job} was submitted" if event.job else f"no job was submitted: {event.reason}"
    at = f"{event.due_at:%Y-%m-%d %H:%M}" if event.due_at else "set"
    if event.by:
        return Explanation(title="Run out of turn", summary=f"{event.by} ran it at {at}; {did}")
    return Explanation(title="Due", summary=f"The time {at} came; {did}")


@explains(schedule.Ended)
def schedule_ended(event: schedule.Ended) -> Explanation:
    """Say how, and what it counted."""
    counted = f": {event.fails:,} of {amount(event.runs or 0, 'run')} fail" if event.fails is not None else ""
    changed = f", {event.changed_by:+,} since last time" if event.changed_by else ""
    error = f": {event.error}" if event.error else ""
    return Explanation(title="Ended", summary=f"Job {event.job} is {event.status}{error}{counted}{changed}")


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


@explains(redaction_rules.RulesSaved)
def redaction_rules_saved(event: redaction_rules.RulesSaved) -> Explanation:
    """Say what is replaced otherwise than by default."""
    said = [f"not {kind}" for kind in event.off] + [f"also {kind}" for kind in event.on]
    said += [f"also {pattern.name}" for pattern in event.patterns]
    by = event.by or "Somebody"
    return Explanation(
        title="Redaction changed",
        summary=f"{by} saved what is replaced on its way in: {', '.join(said) or 'all secrets'}",
    )


def _access(event: access_log.Access) -> Explanation:
    """Say who did what to which object, and how often."""
    facts = {"kind": access_log.KINDS[type(event)].value, "outcome": event.outcome}
    where = f"From {event.origin}." if event.origin else None
    return Explanation(
        title=f"{event.what or 'Access'} {event.outcome}".capitalize(),
        summary=access_log.sentence(event),
        detail=where,
        actor=event.by or None,
        tags=facts,
    )


for _kind in access_log.EVENTS.values():
    explains(_kind)(_access)


@explains(Withdrawn)
def withdrawn(event: Withdrawn) -> Explanation:
    """Say that there was something, and who took it away."""
    mark = event.mark
    return Explanation(
        title=mark.kind.capitalize(),
        summary=mark.words[0].upper() + mark.words[1:],
        detail=f"The payload was removed on the order of event {mark.act}. SHA-256 of what stood here: {mark.sha256}",
        tags={"withdrawn": mark.kind},
    )


@explains(retention.PolicySet)
def policy_set(event: retention.PolicySet) -> Explanation:
    """Say how long payloads are kept."""
    policy = retention.Policy(floor_days=event.floor_days, ceiling_days=event.ceiling_days)
    because = f": {event.reason}" if event.reason else ""
    return Explanation(title="Retention set", summary=f"From now on {policy.words}{because}")


@explains(retention.HoldAdded)
def hold_added(event: retention.HoldAdded) -> Explanation:
    """Say what is held, and why."""
    what = event.stream or f"all that names {event.subject}"
    return Explanation(
        title="Hold added",
        summary=f"{event.kind.capitalize()} hold on {what}: {event.reason}",
        tags={"kind": event.kind},
    )


@explains(retention.HoldReleased)
def hold_released(event: retention.HoldReleased) -> Explanation:
    """Say which hold binds no longer."""
    return Explanation(title="Hold released", summary=f"Hold {event.hold} released: {event.reason}")


@explains(retention.PurgeOrdered)
def purge_ordered(event: retention.PurgeOrdered) -> Explanation:
    """Say what goes, by which policy."""
    by = retention.policy_name(event.policy)
    streams = amount(len(event.spans), "stream")
    return Explanation(
        title="Purge ordered",
        summary=f"{amount(event.events, 'payload')} of {streams} that ended before {event.before} go by {by}",
    )


@explains(retention.PurgeDone)
def purge_done(event: retention.PurgeDone) -> Explanation:
    """Say that it is done."""
    return Explanation(
        title="Purged", summary=f"{amount(event.events, 'payload')} purged", detail=_copies(event.copies)
    )


@explains(retention.PurgeRefused)
def purge_refused(event: retention.PurgeRefused) -> Explanation:
    """Say why it may not be."""
    detail = "\n".join(event.streams) or None
    return Explanation(title="Purge refused", summary=f"Not purged: {event.reason}", detail=detail)


@explains(retention.ErasureOrdered)
def erasure_ordered(event: retention.ErasureOrdered) -> Explanation:
    """Say what goes, on which ground; not of whom."""
    streams = amount(len(event.spans), "stream")
    return Explanation(
        title="Erasure ordered",
        summary=f"{amount(event.events, 'payload')} of {streams} go, on the ground: {event.ground}",
        detail=f"Subject, as HMAC-SHA-256: {event.subject}",
    )


@explains(retention.ErasureDone)
def erasure_done(event: retention.ErasureDone) -> Explanation:
    """Say that it is done."""
    return Explanation(
        title="Erased", summary=f"{amount(event.events, 'payload')} erased", detail=_copies(event.copies)
    )


@explains(retention.ErasureRefused)
def erasure_refused(event: retention.ErasureRefused) -> Explanation:
    """Say what forbade it."""
    return Explanation(title="Erasure refused", summary=f"Not erased: {event.reason}")


def _copies(counts: dict[str, int]) -> str | None:
    return "\n".join(f"{name}: {count:,}" for name, count in counts.items()) or None

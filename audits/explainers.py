"""Explainers for what audits and incidents record of themselves."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from audits.events import AuditMade
from audits.incident_events import Closed, Concern, Held, Noted, Opened, Released, StepDone, Widened
from journal.domain.explain import Explanation, explains
from journal.domain.text import amount, clip


@explains(AuditMade)
def audit_made(event: AuditMade) -> Explanation:
    """Say who was given what."""
    about = event.query.get("subject") or event.query.get("correlation") or "nobody"
    purpose = f", for: {event.purpose}" if event.purpose else ""
    return Explanation(
        title=f"Audit of {about}",
        summary=f"{event.by or 'Somebody'} was given an audit of {about} over {amount(event.events, 'event')}{purpose}",
        detail=f"SHA-256 {event.sha256}\n\n{event.checkpoint}",
    )


@explains(Opened)
def incident_opened(event: Opened) -> Explanation:
    """Say what was noticed and when somebody became aware of it."""
    aware = f", aware since {_minute(event.aware_at)}" if event.aware_at else ""
    clocks = (
        f"; the clock runs for {_listed(f'{one.regime} {one.article}' for one in event.clocks)}" if event.clocks else ""
    )
    return Explanation(
        title="Incident opened",
        summary=f"{_who(event.by)} opened an incident: {event.title}{aware}{clocks}",
        detail=event.noticed or None,
        tags={"concerns": _concerned(event.concerns)} if event.concerns else {},
    )


@explains(Widened)
def incident_widened(event: Widened) -> Explanation:
    """Say what was added."""
    parts = [_concerned(event.concerns)] if event.concerns else []
    parts += [f"the clock of {one.regime} {one.article}" for one in event.clocks]
    return Explanation(title="Incident widened", summary=f"{_who(event.by)} added {_listed(parts)}")


@explains(StepDone)
def incident_step_done(event: StepDone) -> Explanation:
    """Say what was done and when."""
    at = f" at {_minute(event.done_at)}" if event.done_at else ""
    return Explanation(
        title="Step done", summary=f"{event.words}: done{at}, says {_who(event.by)}", detail=event.account or None
    )


@explains(Noted)
def incident_noted(event: Noted) -> Explanation:
    """Quote it."""
    return Explanation(title="Note on an incident", summary=f"{_who(event.by)}: {clip(event.text)}", detail=event.text)


@explains(Held)
def incident_held(event: Held) -> Explanation:
    """Say what is held, and whether anything obeys."""
    kept = "" if event.is_kept else "; nothing purges or erases here, so nothing had to obey"
    runs = amount(len(event.streams), "run")
    return Explanation(
        title="Runs held",
        summary=f"{_who(event.by)} holds {runs}{kept}",
        detail="\n".join((event.reason, *event.streams)),
    )


@explains(Released)
def incident_released(event: Released) -> Explanation:
    """Say what goes free and why."""
    runs = amount(len(event.streams), "run")
    return Explanation(title="Hold released", summary=f"{_who(event.by)} let {runs} go: {event.reason}")


@explains(Closed)
def incident_closed(event: Closed) -> Explanation:
    """Say how it ended, and what was not done."""
    left = f"; {amount(len(event.left), 'step')} not done: {_listed(event.left)}" if event.left else ""
    return Explanation(
        title="Incident closed", summary=f"{_who(event.by)} closed the incident{left}", detail=event.account
    )


def _minute(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _who(by: str) -> str:
    return by or "somebody"


def _concerned(concerns: tuple[Concern, ...]) -> str:
    runs = {one.stream for one in concerns}
    events = sum(one.version is not None for one in concerns)
    return f"{amount(len(runs), 'run')}, {amount(events, 'event')} named" if events else amount(len(runs), "run")


def _listed(parts: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(parts))

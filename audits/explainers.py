"""Explainers for what audits record of themselves."""

from __future__ import annotations

from audits.events import AuditMade
from journal.domain.explain import Explanation, explains
from journal.domain.text import amount


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

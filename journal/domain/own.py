"""Which streams the journal keeps of its own work and of what people say of runs: they can be read, and are no runs."""

from __future__ import annotations

from typing import Final

from journal.domain import (
    access_log,
    alerts,
    grade,
    job,
    notes,
    process,
    redaction_rules,
    retention,
    saved_rule,
    schedule,
    sealing,
)
from journal.domain.stream import category

CATEGORIES: Final = (
    access_log.CATEGORY,
    alerts.CATEGORY,
    grade.CATEGORY,
    job.CATEGORY,
    notes.CATEGORY,
    redaction_rules.CATEGORY,
    retention.CATEGORY,
    saved_rule.CATEGORY,
    schedule.CATEGORY,
    sealing.CATEGORY,
    sealing.AUDITS,
    sealing.INCIDENTS,
)
PREFIX: Final = process.CATEGORY_PREFIX
"""What the categories of process managers begin with: each has one of its own."""


EVIDENCE: Final = (
    sealing.CATEGORY,
    sealing.AUDITS,
    sealing.INCIDENTS,
    access_log.CATEGORY,
    retention.CATEGORY,
    redaction_rules.CATEGORY,
)
"""What is shown to outsiders, and the rules of what is kept: nobody but the journal itself writes it, neither over HTTP
nor from a file."""


def is_evidence(stream: str) -> bool:
    """Return whether a stream is one of those that only the journal itself writes."""
    return category(stream) in EVIDENCE


def is_written_here(stream: str) -> bool:
    """Return whether programs may not append to a stream: evidence, and verdicts, which a file brings with its runs."""
    return is_evidence(stream) or category(stream) == grade.CATEGORY


def is_own(stream: str) -> bool:
    """Return whether a stream is one of these."""
    kind = category(stream)
    return kind in CATEGORIES or kind.startswith(PREFIX)

"""Verdicts on many runs: which stream they stand in, and how the id of one follows from what was judged."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

import msgspec

from journal.domain.event import instant
from journal.domain.stream import stream_name

CATEGORY: Final = "grades"
_GRADES: Final = UUID("5c2f5a2e-54c6-5f0e-9f0b-1f6f3a0f7a11")


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What a verdict depends on. `again` is the job where a verdict is asked for in spite of an equal one.

    Else it is the order by which something of the run was purged or erased: that took the verdict before with it.
    `head` is the position up to which other runs were looked at, None for a rule that judges each run by itself.
    """

    project: str
    rule: str
    rule_version: int
    digest: str
    state_code: str
    stream: str
    version: int
    since: datetime | None = None
    until: datetime | None = None
    head: int | None = None
    again: str = ""


def grade_id(judged: Judged) -> str:
    """Return the id of the verdict: the same thing judged again is the same event."""
    parts = (
        judged.project,
        judged.rule,
        judged.rule_version,
        judged.digest,
        judged.state_code,
        judged.stream,
        judged.version,
        instant(judged.since) if judged.since else "",
        instant(judged.until) if judged.until else "",
        "" if judged.head is None else judged.head,
        judged.again,
    )
    return str(uuid5(_GRADES, "\x1f".join(map(str, parts))))


def stream_of(job: str, part: int) -> str:
    """Return the stream of a job's chunk: one append each, however many runs it has."""
    return stream_name(CATEGORY, f"{job}.{part}")

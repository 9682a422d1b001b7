"""The events of a schedule: what was changed by whom, and how each run of it ended. One stream per schedule."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

from journal.domain.catalog import catalog

CATEGORY: Final = "schedule"


class _Data(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Camel-case keys on the wire."""


@catalog.event("schedule.saved")
class Saved(_Data, frozen=True, kw_only=True):
    """A schedule was added or changed; these are its fields from now on."""

    name: str = ""
    kind: str = ""
    cron: str = ""
    timezone: str = "UTC"
    arguments: dict[str, Any] = {}
    by: str | None = None


@catalog.event("schedule.paused")
class Paused(_Data, frozen=True, kw_only=True):
    """The schedule rests."""

    by: str | None = None


@catalog.event("schedule.continued")
class Continued(_Data, frozen=True, kw_only=True):
    """The schedule goes on."""

    by: str | None = None


@catalog.event("schedule.deleted")
class Deleted(_Data, frozen=True, kw_only=True):
    """The schedule was removed. What it set off stays."""

    by: str | None = None


@catalog.event("schedule.due")
class Due(_Data, frozen=True, kw_only=True):
    """A time of the schedule came, and a job was submitted; `reason` says why there is none where there is none.

    `by` is who ran it out of turn; then `dueAt` is when they did.
    """

    due_at: datetime | None = None
    job: str | None = None
    reason: str | None = None
    by: str | None = None


@catalog.event("schedule.ended")
class Ended(_Data, frozen=True, kw_only=True):
    """A job of the schedule ended. The counts are a re-grade's; `changed_by`: how many more fail than last time."""

    job: str = ""
    status: str = ""
    error: str | None = None
    runs: int | None = None
    fails: int | None = None
    errors: int | None = None
    changed_by: int | None = None

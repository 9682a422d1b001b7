"""Schedules: what is due again and again, when next, and how it ended last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, Final

from django.urls import reverse
from django.utils import timezone as clock

from explorer import figures
from explorer.queries import rule_choice
from explorer.query_language import MAX_LENGTH
from journal.access import Role, may
from journal.runtime import projection as projections
from journal.runtime import schedules
from journal.runtime.schedule_kinds import needs
from journal.runtime.schedules import Scheduled, ScheduleRefused

_OF_AUDIT: Final = ("subject", "correlation", "days", "purpose")
_FIELDS: Final = ("name", "kind", "cron", "timezone", "rule", "query", "projection", *_OF_AUDIT)
_COMING: Final = 3
USUAL: Final = (("0 6 * * *", "every day at 06:00"), ("0 * * * *", "every hour"), ("0 6 * * 1", "Mondays at 06:00"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """What stands in the form."""

    name: str = ""
    kind: str = "regrade"
    cron: str = ""
    timezone: str = "UTC"
    rule: str = ""
    query: str = ""
    projection: str = ""
    subject: str = ""
    correlation: str = ""
    days: str = ""
    purpose: str = ""

    @classmethod
    def of(cls, posted: Mapping[str, str]) -> Draft:
        """Read a form."""
        said = {name: posted[name].replace("\x00", "").strip()[:MAX_LENGTH] for name in _FIELDS if name in posted}
        return cls(**said)

    @property
    def arguments(self) -> dict[str, Any]:
        """Return what the job is given."""
        if self.kind == "rebuild":
            return {"projection": self.projection}
        if self.kind == "purge":
            return {}
        if self.kind == "audit":
            return {name: value for name in _OF_AUDIT if (value := getattr(self, name))}
        return {name: value for name, value in (("rule", self.rule), ("query", self.query)) if value}


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A schedule in the list."""

    schedule: Scheduled
    what: str
    due_us: int | None
    last_us: int | None
    outcome: str
    state: str
    job_href: str
    may_change: bool
    has_open_job: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class SchedulesPage:
    """The list, and the form of a new schedule or of the one that is changed."""

    lines: tuple[Line, ...]
    draft: Draft
    kinds: tuple[str, ...]
    groups: tuple[rule_choice.Group, ...]
    projections: tuple[str, ...]
    zones: tuple[str, ...]
    edited: Scheduled | None = None
    coming: tuple[datetime, ...] = ()
    refusal: str = ""
    field: str = ""

    @property
    def usual(self) -> tuple[tuple[str, str], ...]:
        """Lines of cron that people want most, with words."""
        return USUAL

    @property
    def due(self) -> int:
        """How many schedules run."""
        return sum(not line.schedule.is_paused for line in self.lines)


def schedules_page(  # noqa: PLR0913 - what came of the form
    project: str, zone: tzinfo, *, role: Role, draft: Draft | None = None, edited: Scheduled | None = None,
    refusal: str = "", field: str = "",
) -> SchedulesPage:  # fmt: skip
    """Return the page. `edited` is the schedule that the form changes, None where it adds one.

    A reader is offered the kinds that their role may start by hand.
    """
    shown = draft or (draft_of(edited) if edited is not None else Draft(timezone=str(zone)))
    return SchedulesPage(
        lines=tuple(_line(one, role) for one in schedules.listing(project)),
        draft=shown,
        kinds=tuple(kind for kind in schedules.kinds() if may(role, needs(kind))),
        groups=rule_choice.groups(project, shown.rule),
        projections=tuple(sorted(known.name for known in projections.registered())),
        zones=tuple(dict.fromkeys(("UTC", str(zone), shown.timezone))),
        edited=edited,
        coming=_coming(shown),
        refusal=refusal,
        field=field,
    )


def draft_of(known: Scheduled) -> Draft:
    """Return a schedule as a form holds it."""
    given = {name: str(known.arguments.get(name) or "") for name in ("rule", "query", "projection", *_OF_AUDIT)}
    return Draft(name=known.name, kind=known.kind, cron=known.cron, timezone=known.timezone, **given)


def _coming(draft: Draft) -> tuple[datetime, ...]:
    if not draft.cron:
        return ()
    try:
        return tuple(schedules.upcoming(draft.cron, timezone=draft.timezone, after=clock.now(), count=_COMING))
    except ScheduleRefused:
        return ()


def _line(known: Scheduled, role: Role) -> Line:
    outcome = known.outcome or {}
    return Line(
        schedule=known,
        what=_what(known),
        due_us=_us(known.next_due_at),
        last_us=_us(known.last_due_at),
        outcome=_outcome(outcome),
        state=str(outcome.get("status") or ""),
        job_href=_job_href(known),
        may_change=may(role, needs(known.kind)),
        has_open_job=known.has_open_job,
    )


def _what(known: Scheduled) -> str:
    arguments = known.arguments
    if known.kind == "rebuild":
        return f"rebuild {arguments.get('projection', '')}"
    if known.kind == "purge":
        return "purge what is past the retention policy’s ceiling"
    if known.kind == "audit":
        days = f" over {arguments['days']} days" if arguments.get("days") else ""
        return f"audit of {arguments.get('subject') or arguments.get('correlation', '')}{days}"
    words = f"re-grade by {arguments.get('rule', '')}" if known.kind == "regrade" else known.kind
    return f"{words}, runs matching {arguments['query']}" if arguments.get("query") else words


def _outcome(outcome: Mapping[str, Any]) -> str:
    if not outcome:
        return ""
    if outcome.get("error"):
        return str(outcome["error"])
    if "fails" in outcome and "runs" in outcome:
        newly = outcome.get("newly_failing") or 0
        more = f", {newly:,} newly" if newly else ""
        return f"{outcome['fails']:,} of {figures.counted(int(outcome['runs']), 'run')} fail{more}"
    return ""


def _job_href(known: Scheduled) -> str:
    if known.last_job is None or known.kind != "regrade":
        return ""
    return reverse("explorer:regrade", args=[known.last_job])


def _us(at: datetime | None) -> int | None:
    return int(at.timestamp()) * 1_000_000 + at.microsecond if at is not None else None

"""What the pages of audits show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any, Final

from audits import jobs, render
from audits.models import PROJECTION
from audits.selection import AuditRefused, Query, Selection, select
from journal.runtime import log_rows, projection

_LONGEST: Final = 200


@dataclass(frozen=True, kw_only=True)
class Draft:
    """The form as it was filled in."""

    kind: str = "subject"
    value: str = ""
    since: str = ""
    until: str = ""
    agent: str = ""
    tool: str = ""
    purpose: str = ""

    @staticmethod
    def of(given: Mapping[str, str]) -> Draft:
        """Read a form. `subject` or `correlation` may stand for kind and value, as in a link."""
        text = {name: " ".join(given.get(name, "").replace("\x00", "").split())[:_LONGEST] for name in _FIELDS}
        for kind in ("subject", "correlation"):
            if text[kind]:
                text |= {"kind": kind, "value": text[kind]}
        kind = text["kind"] if text["kind"] in ("subject", "correlation") else "subject"
        return Draft(
            kind=kind,
            value=text["value"],
            since=text["from"],
            until=text["until"],
            agent=text["agent"],
            tool=text["tool"],
            purpose=text["purpose"],
        )

    def query(self, project: str) -> Query:
        """Return the query.

        Raises:
            AuditRefused: nobody is named, or a time is none.
        """
        if not self.value:
            raise AuditRefused("name a user, session or correlation id")
        subject, correlation = (self.value, None) if self.kind == "subject" else (None, self.value)
        return Query(
            project=project,
            subject=subject,
            correlation=correlation,
            since=_moment(self.since, at_end=False),
            until=_moment(self.until, at_end=True),
            agent=self.agent or None,
            tool=self.tool or None,
        )


_FIELDS: Final = ("kind", "value", "subject", "correlation", "from", "until", "agent", "tool", "purpose")


def _moment(text: str, *, at_end: bool) -> datetime | None:
    """Return a time, UTC where no zone is given; a day alone is its beginning, or its last microsecond."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise AuditRefused(f"{text[:40]!r} is no time; write 2026-11-01, or 2026-11-01T09:00Z") from error
    if "T" not in text and " " not in text:
        at = datetime.combine(at.date(), time.max if at_end else time.min)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One audit in the list."""

    id: str
    about: str
    period: str
    purpose: str
    by: str
    status: str
    begun: datetime
    pages: int
    result: dict[str, Any]
    error: str

    @property
    def withdrawn(self) -> str:
        """Why its files are deleted; empty where they are not."""
        return str(self.result.get("withdrawn", ""))

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens to it."""
        return self.status in ("done", "failed", "cancelled")

    @property
    def announcement(self) -> str:
        """What a screen reader is told: how it stands, and at every tenth page; how many there will be nobody knows."""
        words = {"done": "The audit is made", "failed": "The audit could not be made", "cancelled": "Stopped"}
        if self.has_ended or self.status == "queued":
            return words.get(self.status, "Waiting for a worker")
        return f"Making page {self.pages // 10 * 10}" if self.pages >= 10 else "Gathering"  # noqa: PLR2004 - a tenth


@dataclass(frozen=True, kw_only=True)
class Page:
    """The list with the form, and what a filled-in form would cover."""

    draft: Draft
    lines: list[Line]
    refusal: str
    found: Selection | None
    sealed: int
    no_pdf: str

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What is told before an audit is made."""
        if self.found is None:
            return []
        account = self.found.completeness
        runs = len(self.found.parts)
        return [
            ("Events", f"{account.covered:,} in {runs:,} run{'' if runs == 1 else 's'}"),
            ("Events of the project in the period", f"{account.in_period:,}"),
            ("Left out of these runs, by reason", _count(sum(account.left_out.values()))),
            ("Of runs that name somebody else", _count(account.others)),
            ("In the period, with no subject", _count(account.unnamed)),
            ("Without a recorded cause", _count(account.without_cause)),
            ("Secrets replaced before they were stored", _count(account.redacted)),
            ("Not under a checkpoint yet", _count(account.unsealed)),
            ("Sealed to", f"{self.sealed:,} events"),
        ]


def _count(count: int) -> str:
    return f"{count:,}" if count else "none found"


def page(project: str, draft: Draft, *, refusal: str = "") -> Page:
    """Return the page; a draft that names somebody is tried, and nothing is written."""
    log = log_rows.newest(project)
    found = None
    if draft.value and not refusal:
        try:
            projection.catch_up(projection.named(PROJECTION), patience_s=0)  # where nobody follows the journal
            found = select(draft.query(project), up_to=log.position if log else 0)
        except AuditRefused as refused:
            refusal = str(refused)
    lines = [line(job) for job in jobs.newest(project)]
    sealed = log.size if log else 0
    return Page(draft=draft, lines=lines, refusal=refusal, found=found, sealed=sealed, no_pdf=render.available())


def line(job: Any) -> Line:
    """Return one audit."""
    query = jobs.query_of(job)
    since = f"{query.since:%Y-%m-%d %H:%M}" if query.since else "the beginning"
    until = f"{query.until:%Y-%m-%d %H:%M}" if query.until else "the newest"
    return Line(
        id=job.id,
        about=query.value,
        period=f"{since} to {until}, UTC",
        purpose=job.arguments["purpose"],
        by=job.arguments["by"],
        status=job.status,
        begun=job.created_at,
        pages=job.done,
        result=job.result or {},
        error=job.error,
    )

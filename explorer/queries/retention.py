"""What the page of retention shows: the policy, what a purge would take, holds, erasures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from journal.domain.retention import Hold, Policy
from journal.runtime import certificates, erasing, job, purging, retention, withdrawal_jobs
from journal.runtime.certificates import Erasure
from journal.runtime.erasing import Plan
from journal.runtime.purging import Preview

_FIELDS: Final = ("floor", "ceiling", "reason", "on", "what", "kind", "subject", "ground", "confirm", "before", "hold")
_LONGEST: Final = 2_000
_SHOWN: Final = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A form as it was filled in; `do` is which."""

    do: str = ""
    values: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, posted: Mapping[str, str]) -> Draft:
        """Read a form."""
        said = {name: posted[name].replace("\x00", "").strip()[:_LONGEST] for name in _FIELDS if name in posted}
        return cls(do=posted.get("do", ""), values=said)

    def get(self, name: str) -> str:
        """Return a field; empty where it was not filled in."""
        return self.values.get(name, "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """A purge or erasure that waits, runs or went wrong."""

    kind: str
    status: str
    error: str
    begun: datetime
    result: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class RetentionPage:
    """The page. `preview` and `plan` are there where somebody asked what would go."""

    project: str
    policy: Policy
    earlier: tuple[Policy, ...]
    holds: tuple[Hold, ...]
    released: tuple[Hold, ...]
    erasures: tuple[Erasure, ...]
    work: tuple[Work, ...]
    draft: Draft
    before: str
    preview: Preview | None = None
    is_allowed: bool = False
    limit: datetime | None = None
    plan: Plan | None = None
    refusal: str = ""

    @property
    def oldest(self) -> tuple[Any, ...]:
        """The first of the runs that would go."""
        return self.preview.runs[:_SHOWN] if self.preview else ()

    @property
    def more(self) -> int:
        """How many more there are."""
        return max(0, len(self.preview.runs) - _SHOWN) if self.preview else 0

    @property
    def kept(self) -> tuple[tuple[str, str], ...]:
        """Runs that are old enough and held, with what holds them."""
        held = self.preview.held if self.preview else {}
        return tuple((stream, ", ".join(words)) for stream, words in list(held.items())[:_SHOWN])

    @property
    def is_working(self) -> bool:
        """Whether something is under way: then the page looks again."""
        return any(one.status in ("queued", "running") for one in self.work)


def retention_page(
    project: str, *, draft: Draft, before: datetime | None = None, plan: Plan | None = None, refusal: str = ""
) -> RetentionPage:
    """Return the page; `before` asks what a purge would take, `plan` is what an erasure would."""
    now = datetime.now(UTC)
    policies = retention.policies_of(project)
    policy = policies[-1] if policies else Policy()
    holds = retention.holds_of(project)
    suggested = retention.ceiling_limit(policy, now) or retention.age_limit(policy, now)
    limit = retention.age_limit(policy, now)
    return RetentionPage(
        project=project,
        policy=policy,
        earlier=tuple(reversed(policies)),
        holds=tuple(hold for hold in reversed(holds) if hold.is_active),
        released=tuple(hold for hold in reversed(holds) if not hold.is_active),
        erasures=tuple(certificates.erasures_of(project)),
        work=tuple(_work(project, now)),
        draft=draft,
        before=f"{before or suggested:%Y-%m-%d}",
        preview=purging.preview(project, before=before) if before else None,
        is_allowed=before is not None and before <= limit,
        limit=limit,
        plan=plan,
        refusal=refusal,
    )


def _work(project: str, now: datetime) -> list[Work]:
    """Return what is under way, and what ended within a day."""
    found = [
        row
        for kind in (withdrawal_jobs.PURGE, withdrawal_jobs.ERASE)
        for row in job.newest(kind, project=project, limit=5)
        if row.status in ("queued", "running") or row.created_at > now - timedelta(days=1)
    ]
    return [
        Work(kind=row.kind, status=row.status, error=row.error, begun=row.created_at, result=row.result or {})
        for row in sorted(found, key=lambda row: row.created_at, reverse=True)
    ]


def plan_of(project: str, subject: str) -> Plan:
    """Return what an erasure would take."""
    return erasing.plan(project, subject)

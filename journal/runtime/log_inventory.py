"""What a project's journal holds, and where copies of it lie: counted from the tables, for an inventory of logs.

Apps say by `holds_copies` which tables and files of theirs hold what events said; whatever keeps a policy of retention
says by `tells_policy` what it is. Both are asked when somebody looks, and nothing is remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from django.db import connection
from django.db.models import Count, Max, Min

from journal.domain.own import is_own
from journal.models import (
    CauseRow,
    Dispatch,
    EventRow,
    GradeRow,
    Job,
    RuleRow,
    Snapshot,
    SpanRecord,
    StreamRow,
    Webhook,
)
from journal.store.sql import moment


@dataclass(frozen=True, kw_only=True, slots=True)
class TypeCount:
    """The events of one type: how many, and when the first and the newest were recorded."""

    type: str
    category: str
    events: int
    first_at: datetime
    newest_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class CategoryCount:
    """The streams of a category. `is_own` is whether the journal keeps them of its own work."""

    category: str
    streams: int
    events: int
    first_at: datetime
    newest_at: datetime
    is_own: bool
    types: tuple[TypeCount, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Copy:
    """A table or folder that holds what events said. `made_anew` says whether it can be made from the journal again."""

    name: str
    holds: str
    where: str
    made_anew: bool
    count: Callable[[str], int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """How long a project's events are kept: at least and at most so many days, None where there is no bound."""

    floor_days: int | None
    ceiling_days: int | None
    words: str = ""


TellsPolicy = Callable[[str], Policy | None]

_copies: dict[str, Copy] = {}
_policies: list[TellsPolicy] = []


def holds_copies(copy: Copy) -> Copy:
    """Register where copies lie."""
    _copies[copy.name] = copy
    return copy


def copies() -> tuple[Copy, ...]:
    """Return where copies lie, by name."""
    return tuple(_copies[name] for name in sorted(_copies))


def tells_policy(tell: TellsPolicy) -> TellsPolicy:
    """Register what knows how long a project's events are kept."""
    _policies.append(tell)
    return tell


def policy_of(project: str) -> Policy | None:
    """Return how long a project's events are kept, None where nobody set that."""
    found = (tell(project) for tell in _policies)
    return next((policy for policy in found if policy is not None), None)


def database() -> str:
    """Return what kind of database the journal lies in."""
    return {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mysql": "MySQL or MariaDB"}.get(
        connection.vendor, connection.vendor
    )


def categories(project: str) -> tuple[CategoryCount, ...]:
    """Count a project's events by category and type, runs first. Reads every event's row once."""
    counted = (
        EventRow.objects.filter(project=project)
        .values_list("stream__category", "type")
        .annotate(events=Count("position"), first=Min("recorded_us"), newest=Max("recorded_us"))
        .order_by("stream__category", "type")
    )
    types: dict[str, list[TypeCount]] = {}
    for category, name, events, first, newest in counted:
        times = {"first_at": moment(first), "newest_at": moment(newest)}
        types.setdefault(category, []).append(TypeCount(type=name, category=category, events=events, **times))
    rows = StreamRow.objects.filter(project=project).values_list("category").annotate(Count("id")).order_by()
    streams = dict(rows)
    found = [_category(name, streams.get(name, 0), own) for name, own in types.items()]
    return tuple(sorted(found, key=lambda one: (one.is_own, one.category)))


def _category(name: str, streams: int, types: list[TypeCount]) -> CategoryCount:
    return CategoryCount(
        category=name,
        streams=streams,
        events=sum(one.events for one in types),
        first_at=min(one.first_at for one in types),
        newest_at=max(one.newest_at for one in types),
        is_own=is_own(f"{name}-x"),
        types=tuple(types),
    )


def jobs_done(kind: str, project: str) -> int:
    """Return how many jobs of a kind a project has that are done: where each keeps files, so many sets of them."""
    return Job.objects.filter(kind=kind, project_id=project, status="done").count()


def receivers(project: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield where events are sent to by themselves: host or mail address, and what of them."""
    for url, wanted in Webhook.objects.filter(project_id=project).order_by("url").values_list("url", "on"):
        yield _host(url), tuple(wanted)


def _host(url: str) -> str:
    """Return where an address leads without what may be secret in it: its path, query and password."""
    parts = urlsplit(url)
    return f"{parts.scheme}:{parts.path}" if parts.scheme == "mailto" else f"{parts.scheme}://{parts.hostname or ''}"


def _table(name: str, holds: str, count: Callable[[str], int], *, made_anew: bool = True) -> None:
    holds_copies(Copy(name=name, holds=holds, where="database", made_anew=made_anew, count=count))


_table("snapshots", "states of streams", lambda project: Snapshot.objects.filter(project=project).count())
_table("causes", "which event led to which", lambda project: CauseRow.objects.filter(project=project).count())
_table("rules", "saved rules", lambda project: RuleRow.objects.filter(project=project).count())
_table("grades", "verdicts of re-grades", lambda project: GradeRow.objects.filter(project=project).count())
_table(
    "jobs",
    "what was asked of long work, and what came of it",
    lambda project: Job.objects.filter(project_id=project).count(),
    made_anew=False,
)
_table(
    "outbox",
    "what events set off, with its payload",
    lambda project: Dispatch.objects.filter(project=project).count(),
    made_anew=False,
)
_table(
    "spans kept",
    "spans and log records as they came over OTLP",
    lambda project: SpanRecord.objects.filter(project=project).count(),
    made_anew=False,
)

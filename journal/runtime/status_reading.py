"""How far the readers of the journal are: subscriptions by their checkpoints, projections by their rows as well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Count

from journal.domain.text import amount
from journal.models import Checkpoint, Job, ParkedEvent
from journal.runtime import alerting, beside, process_manager, rebuilds, sealer
from journal.runtime import projection as projections
from journal.runtime.projection import Projection
from journal.runtime.status_leases import Held, follower, rebuilder
from journal.runtime.status_lines import Level, ProjectionLine, Scope, SubscriptionLine, listed, sentence, span
from journal.store import every_project

READ_MODEL: Final = "read model"
NEAR_S: Final = 5.0
"""A reader that is less behind than this keeps up: it works in batches."""

STANDS_AFTER_S: Final = 60.0
"""A reader that is behind and has not moved for so long stands still."""

_SHORTEST_SAMPLE_S: Final = 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """Where the readers were at some time: kept by whoever reads the status again, never here."""

    at: datetime
    head: int
    positions: Mapping[str, int]


class Marks:
    """All checkpoints and parked events, as two queries found them."""

    def __init__(self, scope: Scope) -> None:
        self.rows = {row.name: row for row in Checkpoint.objects.all()}
        found = ParkedEvent.objects.exclude(state="skipped")
        if scope.projects is not None:
            found = found.filter(project__in=scope.projects)
        counted = found.values_list("subscription", "state").annotate(count=Count("id")).order_by()
        self._parked = {(name, state): count for name, state, count in counted}

    def position(self, name: str) -> int:
        """Return the last position that was handled; 0 before the first."""
        return self.rows[name].position if name in self.rows else 0

    def parked(self, name: str) -> tuple[int, int]:
        """Return how many events are set aside, and how many of them are not tried again by themselves."""
        given_up = self._parked.get((name, "dead"), 0)
        return given_up + self._parked.get((name, "waiting"), 0), given_up


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What one reading of the status found: checkpoints, leases, the journal's head, and the reading before it."""

    marks: Marks
    held: Held
    head: int
    since: Sample | None = None


def names() -> dict[str, str]:
    """Return each subscription with what it is for."""
    return {
        **{known.name: READ_MODEL for known in projections.registered()},
        alerting.NAME: "alerts and webhooks",
        sealer.NAME: "the signed log",
        **{process_manager.checkpoint_name(one): f"process manager {one.name}" for one in process_manager.registered()},
    }


def subscriptions(reading: Reading) -> tuple[SubscriptionLine, ...]:
    """Return a line for each reader of the journal."""
    return tuple(_subscription(reading, name, what) for name, what in names().items())


def subscriptions_summary(found: Iterable[SubscriptionLine]) -> str:
    """Return in one sentence who keeps up and who does not."""
    lines = list(found)
    late = [one.name for one in lines if one.behind_s >= NEAR_S]
    aside = sum(one.parked for one in lines)
    parked = f" {amount(aside, 'event')} set aside." if aside else ""
    if not late:
        return f"All within {NEAR_S:g} s of the head.{parked}"
    but = f"All but {listed(late)} within {NEAR_S:g} s of the head." if len(late) < len(lines) else "All are behind."
    return but + parked


def read_models(reading: Reading, jobs: Iterable[Job]) -> tuple[ProjectionLine, ...]:
    """Return a line for each projection; `jobs` are the newest ones, newest first."""
    rebuilding: dict[str, Job] = {}
    for job in jobs:
        if job.kind == rebuilds.KIND:
            rebuilding.setdefault(job.arguments["projection"], job)
    return tuple(_projection(reading, one, rebuilding.get(one.name)) for one in projections.registered())


def read_models_summary(found: Iterable[ProjectionLine]) -> str:
    """Return in one sentence whether pages show what the code of today would make."""
    lines = list(found)
    building = [one.name for one in lines if one.state == "rebuilding"]
    old = [one.name for one in lines if one.state in ("outdated", "rebuild failed")]
    said = []
    if building:
        verb = "is" if len(building) == 1 else "are"
        said.append(f"{listed(building)} {verb} being rebuilt beside the old rows, which still answer.")
    if old:
        said.append(f"{listed(old)} {'was' if len(old) == 1 else 'were'} made by other code.")
    return " ".join(said) or "All are in use and made by this code."


def _subscription(reading: Reading, name: str, what: str) -> SubscriptionLine:
    marks, held = reading.marks, reading.held
    row, position = marks.rows.get(name), marks.position(name)
    lag = max(reading.head - position, 0)
    behind = _behind(position, held.now) if lag else 0.0
    rate, there = _speed(reading, name, position)
    parked, given_up = marks.parked(name)
    still = (held.now - row.updated_at).total_seconds() if row else None
    owner = held.holder(follower(name, is_read_model=what == READ_MODEL))
    state, level, words = _told(lag=lag, behind=behind, still=still, there=there, owner=owner)
    if parked:
        words = f"{words}; {_aside(parked, given_up)}"
    if given_up:
        state, level = "set aside", "fails"
    return SubscriptionLine(
        name=name,
        what=what,
        position=position,
        head=reading.head,
        lag=lag,
        behind_s=behind,
        rate_per_s=rate,
        there_in_s=there,
        parked=parked,
        given_up=given_up,
        moved_at=row.updated_at if row else None,
        state=state,
        level=level,
        words=words,
    )


def _told(
    *, lag: int, behind: float, still: float | None, there: float | None, owner: str | None
) -> tuple[str, Level, str]:
    if not lag:
        return "healthy", "ok", "at the head"
    missing = f"{amount(lag, 'event')} behind"
    if behind < NEAR_S:
        return "healthy", "ok", missing
    if still is None or still > STANDS_AFTER_S:
        since = "has not begun" if still is None else f"has not moved for {span(still)}"
        by = f"; {owner} should move it" if owner else "; nobody follows it"
        return "stands still", "caution", f"{missing}, {since}{by}"
    return "catching up", "caution", f"{missing}, there in {span(there)}" if there is not None else missing


def _aside(parked: int, given_up: int) -> str:
    if not given_up:
        return f"{amount(parked, 'event')} set aside and tried again"
    return f"{amount(given_up, 'event')} set aside for good, others pass"


def _behind(position: int, now: datetime) -> float:
    """Return how long ago the first event that is not handled yet was recorded."""
    for event in every_project().read_all(after=position, limit=1):
        return max((now - event.recorded_at).total_seconds(), 0.0)
    return 0.0


def _speed(reading: Reading, name: str, position: int) -> tuple[float | None, float | None]:
    """Return events handled a second since the sample, and when the head is reached at the pace the gap closes."""
    since = reading.since
    took = (reading.held.now - since.at).total_seconds() if since else 0.0
    if since is None or name not in since.positions or took < _SHORTEST_SAMPLE_S:
        return None, None
    rate = max(position - since.positions[name], 0) / took
    closing = rate - max(reading.head - since.head, 0) / took
    lag = reading.head - position
    return rate, lag / closing if lag > 0 and closing > 0 else None


def _projection(reading: Reading, known: Projection, job: Job | None) -> ProjectionLine:
    marks, held, head = reading.marks, reading.held, reading.head
    row, building = marks.rows.get(known.name), marks.rows.get(beside.building_name(known.name))
    rows_version = row.code_version if row else known.code_version
    at_work = held.holder(rebuilder(known.name)) is not None
    is_open = job is not None and job.status in ("queued", "running")
    told = _rebuilding(known, rows_version, job if is_open else None, at_work=at_work, failed=_failed(job))
    position = marks.position(known.name)
    seen = building.position if building and (is_open or at_work) else None
    return ProjectionLine(
        name=known.name,
        position=position,
        head=head,
        lag=max(head - position, 0),
        code_version=known.code_version,
        rows_version=rows_version,
        generation=row.generation if row else 0,
        building=seen,
        progress=min(seen / head, 1.0) if seen is not None and head else None,
        job=job.id if job is not None and is_open else None,
        state=told[0],
        level=told[1],
        words=told[2],
    )


def _rebuilding(
    known: Projection, rows_version: int, job: Job | None, *, at_work: bool, failed: str
) -> tuple[str, Level, str]:
    answers = f"version {rows_version} still answers"
    if job is not None:
        return (
            ("rebuilding", "active", answers) if job.attempt else ("queued", "active", f"waits for a worker; {answers}")
        )
    if at_work:
        return "rebuilding", "active", f"built beside to be compared or swapped; {answers}"
    if rows_version == known.code_version:
        return "in use", "ok", f"version {rows_version} answers"
    if failed:
        return "rebuild failed", "fails", f"{answers}: {failed}"
    return "outdated", "caution", f"{answers}; the scheduler asks for a rebuild"


def _failed(job: Job | None) -> str:
    return sentence(job.error.splitlines()[0]) if job is not None and job.status == "failed" and job.error else ""

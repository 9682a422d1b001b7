"""What can be scheduled: each kind checks its arguments, submits its job, and says how that ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from journal.access import Permission
from journal.domain import alerts, codec
from journal.domain import schedule as events
from journal.domain.dispatch import NewDispatch
from journal.domain.text import amount
from journal.errors import JournalError, Refused
from journal.models import Job
from journal.runtime import projection as projections
from journal.runtime import rebuilds, regrade, regrade_plan
from journal.runtime.alerting import ALERT


class ScheduleRefused(Refused):
    """A schedule that cannot be. `field` is `name`, `kind`, `cron`, `timezone` or `arguments`."""

    def __init__(self, reason: str, *, field: str) -> None:
        super().__init__(reason)
        self.field = field


class Kind(Protocol):
    """A kind of scheduled work."""

    name: str
    needs: Permission
    """What a person has to be allowed to do who schedules it, beside keeping schedules."""

    def check(self, project: str, arguments: Mapping[str, Any]) -> None:
        """Refuse arguments that no job could be submitted with.

        Raises:
            ScheduleRefused: they are such.
        """

    def submit(self, project: str, arguments: Mapping[str, Any], schedule: str) -> Job:
        """Write the job, inside the transaction that claims the time.

        Raises:
            JournalError: what was asked for cannot be any more.
        """

    def ended(self, job: Job, known_fails: int | None) -> events.Ended:
        """Say how a job ended; `known_fails` is the number of failing runs that was known before, if any was."""

    def alerts(self, job: Job, ended: events.Ended, schedule: str) -> Sequence[NewDispatch]:
        """Return whom to tell; nothing where nobody need know."""


_kinds: dict[str, Kind] = {}


def schedules(kind: Kind) -> Kind:
    """Register a kind of work that can be scheduled."""
    _kinds[kind.name] = kind
    return kind


def names() -> tuple[str, ...]:
    """Return the kinds there are."""
    return tuple(sorted(_kinds))


def kind_named(name: str) -> Kind:
    """Return a kind.

    Raises:
        ScheduleRefused: there is none.
    """
    if name not in _kinds:
        raise ScheduleRefused(f"{name[:40]!r} cannot be scheduled; {', '.join(names())} can", field="kind")
    return _kinds[name]


_OF_REGRADE: Final = frozenset(("rule", "since", "until", "query"))


class ScheduledRegrade:
    """A re-grade. Its rule is taken in the version that is newest when the time comes."""

    name = regrade.KIND
    needs = Permission.GRADE

    def check(self, project: str, arguments: Mapping[str, Any]) -> None:
        """Refuse a rule that is not there, a time that is none, and a query that cannot be asked."""
        unknown = sorted(set(arguments) - _OF_REGRADE)
        if unknown or not arguments.get("rule"):
            raise ScheduleRefused(
                f"a re-grade takes a rule, and since, until and query; {', '.join(unknown) or 'no rule'} was given",
                field="arguments",
            )
        try:
            regrade_plan.define(project=project, **_scope(arguments))
        except JournalError as refusal:
            raise ScheduleRefused(str(refusal), field="arguments") from refusal

    def submit(self, project: str, arguments: Mapping[str, Any], schedule: str) -> Job:
        """Write the job."""
        return regrade.submit(project=project, schedule=schedule, **_scope(arguments))

    def ended(self, job: Job, known_fails: int | None) -> events.Ended:
        """Say what it counted, and how that differs from what was known."""
        if job.status != "done":
            return events.Ended(job=job.id, status=job.status, error=job.error or None)
        found = regrade.report(job)
        changed = None if known_fails is None else found.fails - known_fails
        return events.Ended(
            job=job.id,
            status=job.status,
            runs=found.runs,
            fails=found.fails,
            errors=found.errors,
            changed_by=changed,
        )

    def alerts(self, job: Job, ended: events.Ended, schedule: str) -> Sequence[NewDispatch]:
        """Tell somebody where more or fewer runs fail than last time."""
        if not ended.changed_by or ended.fails is None:
            return ()
        definition, first = regrade.definition(job), regrade.report(job).first_failing
        more = f"{amount(abs(ended.changed_by), 'run')} {'more' if ended.changed_by > 0 else 'fewer'}"
        raised = alerts.Raised(
            kind=alerts.FAILING_CHANGED,
            run=first.stream if first else "",
            version=(first.version or 0) if first else 0,
            event_id=(first.event_id or "") if first else "",
            title=f"{definition.rule} fails in {more}",
            summary=(
                f"{ended.fails:,} of {amount(ended.runs or 0, 'run')} fail {definition.rule} in the schedule"
                f" {schedule}, {ended.fails - ended.changed_by:,} did before"
            ),
        )
        at = job.finished_at or datetime.now(UTC)
        return (NewDispatch(effect=ALERT, target=alerts.stream_of(at), payload=codec.encode(raised)),)


def _scope(arguments: Mapping[str, Any]) -> dict[str, Any]:
    times = {name: _moment(name, arguments.get(name)) for name in ("since", "until")}
    return {"rule": str(arguments["rule"]), "query": str(arguments.get("query") or ""), **times}


def _moment(name: str, text: Any) -> datetime | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise ScheduleRefused(f"{name} {str(text)[:40]!r} is no ISO 8601 time", field="arguments") from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


class ScheduledRebuild:
    """A rebuild of a projection."""

    name = rebuilds.KIND
    needs = Permission.GRADE

    def check(self, project: str, arguments: Mapping[str, Any]) -> None:
        """Refuse a projection that is not there."""
        del project
        known = [each.name for each in projections.registered()]
        if set(arguments) != {"projection"} or arguments["projection"] not in known:
            raise ScheduleRefused(f"a rebuild takes a projection: {', '.join(known)}", field="arguments")

    def submit(self, project: str, arguments: Mapping[str, Any], schedule: str) -> Job:
        """Write the job, or take the one that is open."""
        del project, schedule
        return rebuilds.submit(str(arguments["projection"]))

    def ended(self, job: Job, known_fails: int | None) -> events.Ended:
        """Say how."""
        del known_fails
        return events.Ended(job=job.id, status=job.status, error=job.error or None)

    def alerts(self, job: Job, ended: events.Ended, schedule: str) -> Sequence[NewDispatch]:
        """Tell nobody: `nagare status` shows jobs that failed."""
        del job, ended, schedule
        return ()


schedules(ScheduledRegrade())
schedules(ScheduledRebuild())

"""Who holds what, how far everybody is, and what waits: read-only, for pages, commands and health checks.

Everything is computed when it is asked for, from leases, checkpoints, dispatches, parked events and job rows; nothing
is remembered between two readings. Rates compare with a `Sample` of an earlier reading that the asker brings along.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from journal.domain.text import amount
from journal.runtime import alerting, status_leases, status_reading, status_seal, status_work
from journal.runtime import horizon as horizons
from journal.runtime.status_lines import (
    Alarm,
    EffectLine,
    HorizonLine,
    JobLine,
    LeaseLine,
    OutboxLine,
    ProcessLine,
    ProjectionLine,
    Scope,
    SealLine,
    SubscriptionLine,
    sentence,
    span,
)
from journal.runtime.status_reading import Sample
from journal.runtime.status_work import (
    DispatchLine,
    ParkedLine,
    dispatches,
    dispatches_of,
    is_dispatch_of,
    parked_event,
    parked_events,
)
from journal.store import every_project

__all__ = [
    "Alarm", "DispatchLine", "EffectLine", "HorizonLine", "JobLine", "LeaseLine", "OutboxLine", "ParkedLine",
    "ProcessLine", "ProjectionLine", "Sample", "Scope", "SealLine", "Status", "SubscriptionLine", "dispatches",
    "dispatches_of", "horizon", "in_words", "is_dispatch_of", "parked_event", "parked_events", "read", "span",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """Each part's whole answer in a sentence."""

    leases: str
    outbox: str
    gave_up: str
    subscriptions: str
    projections: str
    processes: str
    jobs: str
    seal: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """The status at `at`. `alarms` are what stays as it is until a person acts; usually there are none."""

    at: datetime
    alarms: tuple[Alarm, ...]
    words: Words
    leases: tuple[LeaseLine, ...]
    horizon: HorizonLine
    subscriptions: tuple[SubscriptionLine, ...]
    projections: tuple[ProjectionLine, ...]
    outbox: OutboxLine
    processes: tuple[ProcessLine, ...]
    jobs: tuple[JobLine, ...]
    seal: tuple[SealLine, ...]

    @property
    def sample(self) -> Sample:
        """What the next reading needs to tell rates."""
        positions = {one.name: one.position for one in self.subscriptions}
        head = max((one.head for one in self.subscriptions), default=self.horizon.head)
        return Sample(at=self.at, head=head, positions=positions)


def read(scope: Scope | None = None, *, since: Sample | None = None, now: datetime | None = None) -> Status:
    """Return the status, by the database's clock unless `now` is given. Without a scope it is everybody's."""
    scope = scope or Scope()
    held = status_leases.Held(now=now)
    marks = status_reading.Marks(scope)
    seen = horizon()
    # The newest event, not the horizon: positions that were drawn and rolled back are nothing to be behind of.
    head = every_project().head()
    jobs = status_work.recent_jobs(held.now)
    leases = status_leases.lines(held)
    reading = status_reading.Reading(marks=marks, held=held, head=head, since=since)
    subscriptions = status_reading.subscriptions(reading)
    projections = status_reading.read_models(reading, jobs)
    outbox = status_work.outbox_line(scope, now=held.now)
    processes = status_work.process_lines(scope, marks)
    seal = status_seal.lines(scope, now=held.now)
    shown_jobs = status_work.job_lines(jobs, scope, now=held.now)
    return Status(
        at=held.now,
        alarms=tuple(_alarms(leases, outbox, subscriptions, projections, seal)),
        words=Words(
            leases=status_leases.summary(leases),
            outbox=status_work.outbox_summary(outbox),
            gave_up=status_work.gave_up(outbox),
            subscriptions=status_reading.subscriptions_summary(subscriptions),
            projections=status_reading.read_models_summary(projections),
            processes=status_work.processes_summary(processes),
            jobs=status_work.jobs_summary(shown_jobs),
            seal=status_seal.summary(seal),
        ),
        leases=leases,
        horizon=seen,
        subscriptions=subscriptions,
        projections=projections,
        outbox=outbox,
        processes=processes,
        jobs=shown_jobs,
        seal=seal,
    )


def horizon() -> HorizonLine:
    """Return how far readers may read, and who holds back what lies behind."""
    seen = horizons.horizon()
    words = horizons.in_words(seen, datetime.now(UTC))
    return HorizonLine(
        head=seen.head,
        held_back=seen.held_back,
        since=seen.since,
        by=tuple(holder.by for holder in seen.by),
        words=f"{words[0].upper()}{words[1:]}.",
    )


def _alarms(
    leases: tuple[LeaseLine, ...],
    outbox: OutboxLine,
    subscriptions: tuple[SubscriptionLine, ...],
    projections: tuple[ProjectionLine, ...],
    seal: tuple[SealLine, ...],
) -> list[Alarm]:
    """Return what needs a person, the outbox first: what it parks is what somebody outside waits for.

    What other projects have is for their people, who can act on it.
    """
    found = [_gave_up(one) for one in outbox.effects if one.dead and one.is_own]
    unread = max((one.lag for one in subscriptions if one.name == alerting.NAME), default=0)
    if any(one.level == "fails" for one in leases) and (outbox.due or unread):
        waits = (
            f"{amount(outbox.due, 'dispatch', 'dispatches')} due, {amount(unread, 'event')} not looked at for alerts."
        )
        words = f"{waits} Start nagare run-outbox, or nagare serve, which does."
        found.append(Alarm(about="leases", headline="Nobody works on the outbox.", words=words))
    found += [_set_aside(one) for one in subscriptions if one.given_up]
    found += [
        Alarm(about="projections", headline=f"{one.name} could not be rebuilt.", words=one.words)
        for one in projections
        if one.level == "fails"
    ]
    found += [
        Alarm(about="seal", headline=f"The log of {one.project} is signed no further.", words=sentence(one.words))
        for one in seal
        if one.level == "fails"
    ]
    return found


def _gave_up(one: EffectLine) -> Alarm:
    many = f"{amount(one.dead, 'delivery', 'deliveries')} by {one.effect}"
    headline = f"{many} {'was' if one.dead == 1 else 'were'} given up."
    return Alarm(about="outbox", headline=headline, words=sentence(one.last_error))


def _set_aside(one: SubscriptionLine) -> Alarm:
    headline = f"{one.name} has set {amount(one.given_up, 'event')} aside for good."
    return Alarm(about=one.name, headline=headline, words="The others pass. Retry once the cause is mended, or skip.")


def in_words(status: Status) -> list[str]:
    """Return the whole answer in a few lines, for a terminal."""
    told = status.words
    alarms = [f"! {one.headline} {one.words}".rstrip() for one in status.alarms]
    return [
        *alarms,
        f"Leases         {told.leases}",
        f"Outbox         {told.outbox} {told.gave_up}".rstrip(),
        f"Subscriptions  {told.subscriptions}",
        f"Projections    {told.projections}",
        f"Processes      {told.processes}",
        f"Jobs           {told.jobs}",
        f"Seal           {told.seal}",
        f"Horizon        {status.horizon.words}",
    ]

"""Purging: the payloads of whole runs that ended long enough ago go, by the project's policy.

A run goes when its last event occurred before the time, all of it is sealed, and nothing holds it. Runs that are held
stay, and the journal says so. Leaves, tiles and heads stay: the log verifies as before, and says what is gone.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime

import msgspec

from journal.domain.event import instant
from journal.domain.retention import (
    PURGES,
    Policy,
    PurgeOrdered,
    PurgeRefused,
    Span,
    order_of,
)
from journal.domain.text import amount
from journal.runtime import log_rows, retention, withdrawals
from journal.runtime.retention import RetentionRefused
from journal.runtime.withdrawals import Beat, Outcome, carry_out
from journal.store import compacting, get_store, holdings
from journal.store.compacting import Compacted
from journal.store.withdrawing import with_subject

_MOST_NAMED = 100


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What a purge would take: runs, oldest first, their events, and what of it is held and by what."""

    policy: Policy
    before: datetime
    runs: tuple[holdings.OldRun, ...]
    held: dict[str, list[str]]
    """Streams of runs that are old enough and held, with the holds in words."""

    @property
    def events(self) -> int:
        """How many events of runs would lose their payload."""
        return sum(run.version for run in self.runs)


class Purged(msgspec.Struct, frozen=True, kw_only=True):
    """What a purge came to."""

    policy: Policy
    before: datetime
    runs: int
    events: int
    orders: tuple[str, ...]
    held: dict[str, list[str]]
    copies: dict[str, int]
    compacted: Compacted


def check(policy: Policy, before: datetime, *, now: datetime) -> None:
    """Refuse a time that the floor forbids.

    Raises:
        RetentionRefused: it lies within the floor.
    """
    limit = retention.age_limit(policy, now)
    if before > limit:
        raise RetentionRefused(
            f"{policy.name} keeps payloads for {amount(policy.floor_days, 'day')} at least: nothing that occurred after"
            f" {instant(limit)} may be purged, and {instant(before)} is later",
            field="before",
        )


def allow(project: str, before: datetime, *, by: str, now: datetime) -> Policy:
    """Return the policy by which a purge may be, and journal a refusal.

    Raises:
        RetentionRefused: the floor forbids it.
    """
    policy = retention.policy_of(project)
    try:
        check(policy, before, now=now)
    except RetentionRefused as refused:
        retention.tell(project, PURGES, PurgeRefused(before=instant(before), reason=str(refused), by=by), by=by)
        raise
    return policy


def preview(project: str, *, before: datetime) -> Preview:
    """Return what a purge would take, and take nothing. The floor is not asked."""
    policy = retention.policy_of(project)
    log = log_rows.newest(project)
    purged = purged_runs(project)
    runs = holdings.runs_before(project, before, sealed_to=log.position if log else 0)
    runs = [run for run in runs if purged.get(run.stream, 0) < run.version]
    binding = retention.active_holds(project)
    held: dict[str, list[str]] = {}
    if binding and runs:
        subjects = _subjects(project) if any(hold.subject for hold in binding) else {}
        found = retention.held(binding, {run.stream: subjects.get(run.stream, ()) for run in runs})
        held = {stream: [hold.words for hold in by] for stream, by in found.items()}
    free = tuple(run for run in runs if run.stream not in held)
    return Preview(policy=policy, before=before, runs=free, held=held)


def purge(  # noqa: PLR0913 - what is asked, by whom, and how far to go with it
    project: str,
    *,
    before: datetime,
    by: str,
    now: datetime,
    beat: Beat = lambda _: None,
    compact: bool = True,
) -> Purged:
    """Purge a project's runs that ended before a time. What an earlier purge had not finished is finished first.

    Raises:
        RetentionRefused: the floor forbids it; the refusal is journalled.
    """
    policy = allow(project, before, by=by, now=now)
    outcomes = [
        carry_out(project, event.id, by=by, beat=beat, compact=False) for event in withdrawals.undone(project, PURGES)
    ]
    found = preview(project, before=before)
    found = msgspec.structs.replace(found, held=found.held | _stayed(outcomes))
    if found.held:
        _tell_held(project, found, by=by)
    outcomes += [carry_out(project, order, by=by, beat=beat, compact=False) for order in _orders(project, found, by=by)]
    if since := {stream: words for stream, words in _stayed(outcomes).items() if stream not in found.held}:
        _tell_held(project, msgspec.structs.replace(found, held=since), by=by)
    return Purged(
        policy=policy,
        before=before,
        runs=len(found.runs),
        events=sum(outcome.events for outcome in outcomes),
        orders=tuple(outcome.order for outcome in outcomes),
        held=found.held | since,
        copies=_sum(outcomes),
        compacted=compacting.compact() if compact and outcomes else Compacted(is_done=True, words="nothing was freed"),
    )


def _stayed(outcomes: list[Outcome]) -> dict[str, list[str]]:
    """Return what stays of orders that stood already, since it was held by the time they were carried out."""
    return {stream: [hold.words for hold in by] for outcome in outcomes for stream, by in outcome.held.items()}


def _orders(project: str, found: Preview, *, by: str) -> list[str]:
    """Write the orders: of the runs, with what the journal's own streams quote of them."""
    spans = [Span(stream=run.stream, versions=[(1, run.version)]) for run in found.runs]
    quoted = withdrawals.quotations(project, [run.stream for run in found.runs]) if spans else []
    return [
        retention.tell(
            project,
            PURGES,
            PurgeOrdered(
                policy=found.policy.number,
                floor_days=found.policy.floor_days,
                ceiling_days=found.policy.ceiling_days,
                before=instant(found.before),
                spans=part,
                events=sum(span.count for span in part),
                by=by,
            ),
            by=by,
        )
        for part in withdrawals.in_orders([*spans, *quoted])
    ]


def _tell_held(project: str, found: Preview, *, by: str) -> None:
    """Say once which runs were old enough and stayed, unless that was the last thing said."""
    streams = sorted(found.held)
    words = sorted({word for by_hold in found.held.values() for word in by_hold})
    reason = f"{amount(len(streams), 'run')} held by {', '.join(words)}"
    said = PurgeRefused(before=instant(found.before), reason=reason, streams=streams[:_MOST_NAMED], by=by)
    retention.tell(project, PURGES, said, by=by)


def _subjects(project: str) -> dict[str, set[str]]:
    """Return the subjects that each stream of a project names."""
    named = dict(with_subject(project))
    places = holdings.streams_at(named)
    found: dict[str, set[str]] = {}
    for position, subjects in named.items():
        if position in places:
            found.setdefault(places[position][0], set()).update(subjects)
    return found


def _sum(outcomes: list[Outcome]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for outcome in outcomes:
        total.update(outcome.copies)
    return dict(sorted(total.items()))


def purged_runs(project: str) -> dict[str, int]:
    """Return the streams that orders to purge were about, with the last version of each."""
    found: dict[str, int] = {}
    for event in get_store(project).read_stream(PURGES):
        order = order_of(event)
        for span in order.spans if order is not None else ():
            found[span.stream] = max(found.get(span.stream, 0), *(last for _, last in span.versions))
    return found

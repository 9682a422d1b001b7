"""Catch-up subscriptions: read the journal from a checkpoint, follow it, survive what cannot be handled.

Events come in position order and none is missing, since the store lets no reader past a position behind which something
may still appear. A batch and the checkpoint behind it are one transaction: effects in this database happen once, others
at least once. One process at a time follows a subscription, by a lease whose token goes into every write.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Final

import structlog
from django.db import InterfaceError, OperationalError, transaction

from journal.domain.event import RecordedEvent
from journal.domain.stream import category
from journal.errors import EventNotFound
from journal.models import ParkedEvent
from journal.runtime import checkpoint, lease, parked, tracing
from journal.runtime.checkpoint import Fenced, Mark, Overtaken
from journal.runtime.clock import Clock, system_clock
from journal.store import every_project, get_store

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

BATCH: Final = 500
_LONGEST_PAUSE_S: Final = 30.0

Policy = Callable[[RecordedEvent], bool]
"""Whether an event that cannot be handled is set aside (True) or stops the subscription."""


def park(event: RecordedEvent) -> bool:
    """The live policy: set it aside, the others go on."""
    del event
    return True


def stop_at(event: RecordedEvent) -> bool:
    """The policy of work that must be complete or not at all."""
    del event
    return False


class HandlingStopped(Exception):
    """An event could not be handled and the policy is to stop; names it and the reason."""

    def __init__(self, *, subscription: str, event: RecordedEvent, reason: str) -> None:
        self.subscription = subscription
        self.event_id = event.id
        self.position = event.position
        self.reason = reason
        super().__init__(
            f"{subscription} stopped at position {event.position}, event {event.id} ({event.type} in {event.stream},"
            f" project {event.project}): {reason}"
        )


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """Who wants which events, and what to do with one that cannot be handled.

    `handle` is called in a transaction with events in position order. Empty `categories` and `types` want all. A
    handler that is given a parked event again gets it alone, after its successors. `generation` is a read model's.
    """

    name: str
    handle: Callable[[Sequence[RecordedEvent]], None]
    categories: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    batch: int = BATCH
    policy: Policy = park
    generation: int = 0
    clock: Clock = system_clock

    def wants(self, event: RecordedEvent) -> bool:
        """Return whether the handler is to see an event."""
        return (not self.categories or category(event.stream) in self.categories) and (
            not self.types or event.type in self.types
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Handled:
    """What one step did: where the checkpoint stands, how many events were passed, and how many of them set aside."""

    position: int
    events: int = 0
    parked: int = 0
    is_at_head: bool = False


def run_once(subscription: Subscription, *, token: int = 0) -> Handled:
    """Handle the next batch.

    A batch that fails is undone and handled again event by event, so that only the one that cannot be handled is set
    aside. Errors of the connection are nobody's poison and are raised.

    Raises:
        Fenced: a later holder has the subscription.
        Overtaken: another process moved the checkpoint, or its read model was swapped; nothing was done.
        HandlingStopped: the policy is to stop at an event that cannot be handled.
    """
    mark = checkpoint.read(subscription.name, generation=subscription.generation)
    if mark.generation != subscription.generation:
        raise Overtaken(subscription.name)
    events = list(islice(every_project().read_all(after=mark.position, limit=subscription.batch), subscription.batch))
    if not events:
        return Handled(position=mark.position, is_at_head=True)
    try:
        _handle(subscription, mark, events, token)
        return _handled(subscription, events)
    except (OperationalError, InterfaceError, Fenced, Overtaken):
        raise
    except Exception as error:  # noqa: BLE001 - a handler may raise anything
        log.info("batch_failed", subscription=subscription.name, after=mark.position, reason=parked.reason_of(error))
    return _one_by_one(subscription, mark, events, token)


def _handle(subscription: Subscription, mark: Mark, events: Sequence[RecordedEvent], token: int) -> Mark:
    """The checkpoint goes first: its row keeps others from this batch, and who may not move it has done nothing."""
    with transaction.atomic():
        with tracing.checkpointing(subscription.name, events[-1].position):
            after = checkpoint.advance(mark, to=events[-1].position, token=token)
        wanted = [event for event in events if subscription.wants(event)]
        if wanted:
            with tracing.handling(subscription.name, wanted), parked.limits_are_the_events():
                subscription.handle(wanted)
    return after


def _one_by_one(subscription: Subscription, mark: Mark, events: Sequence[RecordedEvent], token: int) -> Handled:
    aside = 0
    for event in events:
        try:
            mark = _handle(subscription, mark, [event], token)
        except (OperationalError, InterfaceError, Fenced, Overtaken):
            raise
        except Exception as error:  # noqa: BLE001 - a handler may raise anything
            mark = _set_aside(subscription, mark, event, error, token)
            aside += 1
    return _handled(subscription, events, aside)


def _set_aside(subscription: Subscription, mark: Mark, event: RecordedEvent, error: Exception, token: int) -> Mark:
    reason = parked.reason_of(error)
    if not subscription.policy(event):
        raise HandlingStopped(subscription=subscription.name, event=event, reason=reason) from error
    with transaction.atomic():
        parked.park(subscription.name, event, reason, now=subscription.clock())
        tracing.parked(subscription.name, event)
        return checkpoint.advance(mark, to=event.position, token=token)


def _handled(subscription: Subscription, events: Sequence[RecordedEvent], aside: int = 0) -> Handled:
    return Handled(
        position=events[-1].position,
        events=len(events),
        parked=aside,
        is_at_head=len(events) < subscription.batch,
    )


def retry_parked(subscription: Subscription, *, token: int = 0) -> int:
    """Try the parked events that are due. Returns how many were handled at last.

    Raises:
        Fenced: a later holder has the subscription.
    """
    now = subscription.clock()
    return sum(_retry(subscription, row, token) for row in parked.due(subscription.name, now=now))


def _retry(subscription: Subscription, row: ParkedEvent, token: int) -> bool:
    try:
        with transaction.atomic():
            if not parked.settle(row, token=token):
                return False
            event = _event(row)
            with tracing.handling(subscription.name, [event]), parked.limits_are_the_events():
                subscription.handle([event])
    except (OperationalError, InterfaceError, Fenced):
        raise
    except Exception as error:  # noqa: BLE001 - a handler may raise anything
        parked.failed_again(row, parked.reason_of(error), now=subscription.clock())
        return False
    log.info("parked_event_handled", subscription=row.subscription, event_id=row.event_id, attempts=row.attempts + 1)
    return True


def _event(row: ParkedEvent) -> RecordedEvent:
    """Return a parked event; one that was erased since is an error like any other."""
    try:
        return get_store(row.project).event(row.event_id)
    except EventNotFound as error:
        raise LookupError(f"the journal no longer holds event {row.event_id}") from error


def follow(  # noqa: PLR0913 - the seams of a long loop
    current: Callable[[], Subscription],
    *,
    lease_name: str,
    wakeups: Callable[[], Iterable[None]],
    stop: threading.Event,
    holder: str | None = None,
    ttl: timedelta = lease.TTL,
) -> None:
    """Follow the journal until `stop`, whenever the lease is ours.

    `current` gives the subscription anew for each step, since a swap changes the rows a projection fills. `wakeups`
    gives an iterator that moves on when there may be something new.
    """
    failures = 0
    for term in lease.terms(lease_name, stop=stop, holder=holder, ttl=ttl):
        log.info("subscription_owned", lease=lease_name, token=term.token)
        try:
            _serve(current, term, wakeups, stop)
            failures = 0
        except (Fenced, Overtaken, lease.LeaseLost) as lost:
            log.info("subscription_lost", lease=lease_name, token=term.token, reason=type(lost).__name__)
        except Exception:
            failures += 1
            log.exception("subscription_failed", lease=lease_name, failures=failures)
            stop.wait(min(2.0**failures, _LONGEST_PAUSE_S))


def _serve(
    current: Callable[[], Subscription],
    term: lease.Term,
    wakeups: Callable[[], Iterable[None]],
    stop: threading.Event,
) -> None:
    """Catch up at each wake-up for as long as the term lasts."""
    checkpoint.take(current().name, token=term.token, generation=current().generation)
    for _ in wakeups():
        if stop.is_set() or not term.holds():
            return
        _drain(current, term, stop)


def _drain(current: Callable[[], Subscription], term: lease.Term, stop: threading.Event) -> None:
    while not stop.is_set():
        term.check()
        subscription = current()
        try:
            done = run_once(subscription, token=term.token)
        except Overtaken:
            continue
        if done.is_at_head:
            retry_parked(subscription, token=term.token)
            return

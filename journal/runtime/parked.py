"""Poison events: set aside with the reason, tried again after growing pauses, then left until a person requeues them.

waiting ── handled ──> gone
   │  ▲
   │  └── requeued ── dead, skipped
   └── too many attempts ──▲
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db import DataError, OperationalError, transaction

from journal.domain.event import RecordedEvent
from journal.models import ParkedEvent
from journal.runtime import checkpoint

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

MOST_ATTEMPTS: Final = 8
MOST_PARKED: Final = 1_000
"""Beyond this a subscriber stops: so many are no poison, but a defect that every event meets."""

_FIRST_PAUSE = timedelta(seconds=10)
_LONGEST_PAUSE = timedelta(hours=1)
_REASON_CHARACTERS = 2_000
_LIMIT_EXCEEDED: Final = "54"


class TooManyParked(Exception):
    """A subscriber has parked so many events that it stops."""

    def __init__(self, subscription: str) -> None:
        super().__init__(
            f"{subscription} has {MOST_PARKED:,} parked events and stops: mend what they fail on, then requeue them"
        )


def reason_of(error: Exception) -> str:
    """Return an error as one line for people."""
    return f"{type(error).__name__}: {error}"[:_REASON_CHARACTERS]


@contextmanager
def limits_are_the_events() -> Iterator[None]:
    """Raise as an error of the data what PostgreSQL refuses because it is too large for it (its error class 54).

    It reports those as operational errors, which otherwise are of the connection and nobody's poison: a subscriber
    would try the same event for ever.
    """
    try:
        yield
    except OperationalError as error:
        if str(getattr(error.__cause__, "sqlstate", None) or "").startswith(_LIMIT_EXCEEDED):
            raise DataError(*error.args) from error
        raise


def pause(attempts: int) -> timedelta:
    """Return how long to wait after so many attempts: doubling, up to an hour."""
    return min(_FIRST_PAUSE * (1 << min(attempts - 1, 20)), _LONGEST_PAUSE)


def park(subscription: str, event: RecordedEvent, reason: str, *, now: datetime) -> None:
    """Set an event aside, inside the transaction that moves the checkpoint past it.

    Raises:
        TooManyParked: there are so many that the subscriber has to stop.
    """
    if ParkedEvent.objects.filter(subscription=subscription).count() >= MOST_PARKED:
        raise TooManyParked(subscription)
    ParkedEvent.objects.update_or_create(
        subscription=subscription,
        project=event.project,
        event_id=event.id,
        defaults={
            "position": event.position,
            "reason": reason,
            "attempts": 1,
            "next_try_at": now + pause(1),
            "state": "waiting",
            "parked_at": now,
        },
    )
    log.warning("event_parked", subscription=subscription, event_id=event.id, position=event.position, reason=reason)


def due(subscription: str, *, now: datetime, limit: int = 20) -> list[ParkedEvent]:
    """Return the events that are to be tried again, oldest first."""
    found = ParkedEvent.objects.filter(subscription=subscription, state="waiting", next_try_at__lte=now)
    return list(found.order_by("position")[:limit])


def failed_again(row: ParkedEvent, reason: str, *, now: datetime) -> None:
    """Note a failed attempt; after the last one the event waits for a person."""
    attempts = row.attempts + 1
    state = "dead" if attempts >= MOST_ATTEMPTS else "waiting"
    ParkedEvent.objects.filter(id=row.id, attempts=row.attempts).update(
        attempts=attempts, reason=reason, next_try_at=now + pause(attempts), state=state
    )
    log.warning("parked_event_failed", subscription=row.subscription, event_id=row.event_id, attempts=attempts)


def requeue(parked_id: int, *, now: datetime) -> bool:
    """Let an event be tried again at once, with all its attempts. Returns whether there is such an event."""
    return bool(ParkedEvent.objects.filter(id=parked_id).update(state="waiting", attempts=0, next_try_at=now))


def skip(parked_id: int) -> bool:
    """Give an event up for this subscriber, on a person's word. Returns whether there is such an event.

    The row stays, so that a rebuild knows that the read model may do without it; `requeue` takes it back.
    """
    return bool(ParkedEvent.objects.filter(id=parked_id).update(state="skipped"))


def is_parked(subscription: str, event: RecordedEvent) -> bool:
    """Return whether a subscriber has set an event aside."""
    return ParkedEvent.objects.filter(subscription=subscription, project=event.project, event_id=event.id).exists()


def inherit(subscription: str, *, source: str) -> None:
    """Replace what a subscriber has parked by what `source` has: after a swap, the newer read model's list is true.

    What a person gave up stays given up where `source` cannot handle it either.
    """
    old, new = (ParkedEvent.objects.filter(subscription=name) for name in (subscription, source))
    with transaction.atomic():
        for project, event_id in list(old.filter(state="skipped").values_list("project", "event_id")):
            new.filter(project=project, event_id=event_id).update(state="skipped")
        old.delete()
        new.update(subscription=subscription)


def settle(row: ParkedEvent, *, token: int) -> bool:
    """Take a parked event off the list, inside the transaction that handles it. Returns False where another was first.

    Raises:
        Fenced: a later holder has the subscription.
    """
    checkpoint.check(row.subscription, token=token)
    deleted, _ = ParkedEvent.objects.filter(id=row.id, attempts=row.attempts, state="waiting").delete()
    return bool(deleted)

"""OpenTelemetry around what runs on the journal: consumer spans that link back to their producers, and gauges.

Every block here is free where the program has set up no SDK. A consumer's span begins a trace of its own and links to
the spans in which its events were appended, by the traceparent each event carries: one batch has many producers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, Protocol

from django.db import close_old_connections
from django.db.models import Count
from opentelemetry import metrics
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.trace import Span, SpanKind

from journal.domain.event import RecordedEvent
from journal.errors import EventNotFound
from journal.models import Checkpoint, Dispatch, ParkedEvent
from journal.store import every_project
from journal.store.tracing import SCOPE, count, is_on, links_to, span

HANDLE: Final = "nagare.subscription.handle"
CHECKPOINT: Final = "nagare.subscription.checkpoint"
DISPATCH: Final = "nagare.outbox.dispatch"

HANDLED: Final = "nagare.subscription.handled"
PARKED: Final = "nagare.subscription.parked"
ATTEMPTS: Final = "nagare.outbox.attempts"

LAG: Final = "nagare.subscription.lag"
PARKED_NOW: Final = "nagare.subscription.parked.waiting"
DEPTH: Final = "nagare.outbox.depth"
HELD: Final = "nagare.eventstore.held"

Figure = tuple[int, dict[str, str]]


class Dispatched(Protocol):
    """What a span of a delivery says of it."""

    @property
    def id(self) -> str:
        """The dispatch id."""

    @property
    def project(self) -> str:
        """The project it belongs to."""

    @property
    def effect(self) -> str:
        """What it does."""

    @property
    def target(self) -> str:
        """To what."""

    @property
    def attempt(self) -> int:
        """How often it has been tried, this time included."""

    def event(self) -> RecordedEvent:
        """Return the event that asked for it."""


@contextmanager
def handling(subscription: str, events: Sequence[RecordedEvent]) -> Iterator[None]:
    """Put the handling of events in a consumer span, and count them once they are handled."""
    with _consumer(HANDLE, events, subscription__id=subscription, **_batch(events)):
        yield
    tags = {"nagare.subscription.id": subscription}
    count(HANDLED, len(events), description="Events handled by a subscription", tags=tags)


def checkpointing(subscription: str, position: int) -> AbstractContextManager[Span]:
    """Put the move of a checkpoint in a span."""
    return span(CHECKPOINT, subscription__id=subscription, position=position)


def parked(subscription: str, event: RecordedEvent) -> None:
    """Count an event that a subscription set aside."""
    tags = {"nagare.subscription.id": subscription, "nagare.event.type": event.type}
    count(PARKED, description="Events set aside because they could not be handled", tags=tags)


@contextmanager
def dispatching(delivery: Dispatched) -> Iterator[None]:
    """Put one attempt at a dispatch in a consumer span linked to the span that appended the event behind it."""
    outcome = "failed"
    try:
        with _consumer(
            DISPATCH,
            _asking(delivery),
            project=delivery.project,
            dispatch__id=delivery.id,
            dispatch__effect=delivery.effect,
            dispatch__target=delivery.target,
            dispatch__attempt=delivery.attempt,
        ):
            yield
        outcome = "delivered"
    finally:
        tags = {"nagare.dispatch.effect": delivery.effect, "nagare.dispatch.outcome": outcome}
        count(ATTEMPTS, description="Attempts at a dispatch", tags=tags)


def _asking(delivery: Dispatched) -> list[RecordedEvent]:
    """Return the event behind a dispatch; one that was erased since has no span to link to, and is no failure."""
    if not is_on():
        return []
    try:
        return [delivery.event()]
    except EventNotFound:
        return []


def _consumer(name: str, events: Iterable[RecordedEvent], **attributes: Any) -> AbstractContextManager[Span]:
    """Start a trace of its own: the producer's ended when its append was durable."""
    return span(name, SpanKind.CONSUMER, parent=Context(), links=links_to(events) if is_on() else (), **attributes)


def _batch(events: Sequence[RecordedEvent]) -> dict[str, Any]:
    first, last = events[0], events[-1]
    is_alone = len(events) == 1
    return {
        "event__count": len(events),
        "position": last.position,
        "project": first.project if is_alone else None,
        "aggregate__id": first.stream if is_alone else None,
        "event__type": first.type if is_alone else None,
        "version": first.version if is_alone else None,
    }


# --- Gauges -----------------------------------------------------------------------------------------------------------


def observe(held: Callable[[], int] | None = None) -> None:
    """Give the program's metrics what the tables say at the moment they are collected; call it once, in one process.

    `held` says how many events the reading horizon keeps back, on databases where it can.
    """
    meter = metrics.get_meter_provider().get_meter(SCOPE)
    gauges: dict[str, tuple[Callable[[], Iterable[Figure]], str]] = {
        LAG: (lags, "Positions between a subscription's checkpoint and the journal's head"),
        PARKED_NOW: (parked_events, "Events that are set aside, by state"),
        DEPTH: (depths, "Dispatches that are not delivered, by state"),
    }
    if held is not None:
        gauges[HELD] = (lambda: [(held(), {})], "Events that readers are not given yet")
    for name, (figures, description) in gauges.items():
        meter.create_observable_gauge(name, [_observer(figures)], unit="{event}", description=description)


def lags() -> list[Figure]:
    """Return how far each subscription is behind the head."""
    head = every_project().head()
    rows = Checkpoint.objects.values_list("name", "position").order_by("name")
    return [(max(0, head - position), {"nagare.subscription.id": name}) for name, position in rows]


def parked_events() -> list[Figure]:
    """Return how many events are set aside, by subscription and state."""
    rows = ParkedEvent.objects.values_list("subscription", "state").annotate(Count("id")).order_by()
    return [
        (found, {"nagare.subscription.id": subscription, "nagare.parked.state": state})
        for subscription, state, found in rows
    ]


def depths() -> list[Figure]:
    """Return how many dispatches wait and how many are parked, by effect; an empty outbox is 0, not absent."""
    rows = Dispatch.objects.filter(state__in=("pending", "dead")).values_list("effect", "state")
    found = [
        (number, {"nagare.dispatch.effect": effect, "nagare.dispatch.state": state})
        for effect, state, number in rows.annotate(Count("id")).order_by()
    ]
    return found or [(0, {"nagare.dispatch.state": "pending"})]


def _observer(figures: Callable[[], Iterable[Figure]]) -> Callable[[CallbackOptions], Iterable[Observation]]:
    """Collectors call from a thread of their own, which has a database connection of its own to give back."""

    def observed(options: CallbackOptions) -> list[Observation]:
        del options
        close_old_connections()
        try:
            return [Observation(value, tags) for value, tags in figures()]
        finally:
            close_old_connections()

    return observed

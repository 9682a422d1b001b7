"""Consumers link back to producers, and metrics say what is behind, set aside or not yet delivered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind

from journal.domain.dispatch import NewDispatch
from journal.domain.event import RecordedEvent
from journal.runtime import outbox, subscription, tracing
from journal.runtime.clock import system_clock
from journal.runtime.subscription import Subscription
from journal.store import get_store
from tests.builders import raw
from tests.otel import Telemetry, telemetry

pytestmark = pytest.mark.django_db(transaction=True)
STREAM = "order-1"


@pytest.fixture
def sdk() -> Iterator[Telemetry]:
    """Be a program that has set up an SDK."""
    with telemetry() as found:
        yield found


def _append(*dispatches: NewDispatch) -> trace.SpanContext:
    """Append in a span of its own, and return that."""
    with trace.get_tracer("app").start_as_current_span("checkout") as span:
        store = get_store("default")
        store.append(
            STREAM, [raw("order.placed")], expected_version=store.stream_version(STREAM), dispatches=dispatches
        )
    return span.get_span_context()


def _linked(span: ReadableSpan) -> list[tuple[int, int]]:
    return [(link.context.trace_id, link.context.span_id) for link in span.links]


def _ids(span: trace.SpanContext) -> tuple[int, int]:
    return span.trace_id, span.span_id


def test_a_batch_links_to_each_span_its_events_came_from(sdk: Telemetry) -> None:
    """The consumer's span begins a trace of its own."""
    producers = [_append(), _append()]
    subscription.run_once(Subscription(name="mails", handle=lambda _events: None))
    (own,) = sdk.spans("nagare.subscription.handle")
    assert own.kind is SpanKind.CONSUMER
    assert own.parent is None
    assert _linked(own) == [_ids(producer) for producer in producers]
    assert own.attributes is not None
    assert own.attributes["nagare.subscription.id"] == "mails"
    assert own.attributes["nagare.event.count"] == 2


def test_moving_the_checkpoint_is_a_span(sdk: Telemetry) -> None:
    """With the position it moves to."""
    _append()
    done = subscription.run_once(Subscription(name="mails", handle=lambda _events: None))
    (own,) = sdk.spans("nagare.subscription.checkpoint")
    assert own.attributes == {"nagare.subscription.id": "mails", "nagare.position": done.position}


def test_a_delivery_links_to_the_span_that_appended_the_event(sdk: Telemetry) -> None:
    """Across the outbox, and also where the delivery is by another process."""
    seen: list[trace.SpanContext] = []
    outbox.effect("test.traced")(lambda _delivery: seen.append(trace.get_current_span().get_span_context()))
    producer = _append(NewDispatch(effect="test.traced", target="somewhere"))
    assert outbox.deliver_due(clock=system_clock, effects=["test.traced"]) == ["delivered"]
    (own,) = sdk.spans("nagare.outbox.dispatch")
    assert own.kind is SpanKind.CONSUMER
    assert own.parent is None
    assert _linked(own) == [_ids(producer)]
    assert seen == [own.get_span_context()]


def test_a_failed_delivery_is_a_failed_span_and_counted(sdk: Telemetry) -> None:
    """It will be tried again, and that is another span."""

    def fail(delivery: outbox.Delivery) -> None:
        raise ConnectionError("no route")

    outbox.effect("test.failing")(fail)
    _append(NewDispatch(effect="test.failing", target="somewhere"))
    assert outbox.deliver_due(clock=system_clock, effects=["test.failing"]) == ["retry"]
    (own,) = sdk.spans("nagare.outbox.dispatch")
    assert not own.status.is_ok
    tags = frozenset({("nagare.dispatch.effect", "test.failing"), ("nagare.dispatch.outcome", "failed")})
    assert sdk.metric("nagare.outbox.attempts") == {tags: 1}


def test_gauges_say_what_the_tables_say(sdk: Telemetry) -> None:
    """Lag, parked events and the outbox's depth, read when they are collected."""

    def poisoned(events: Sequence[RecordedEvent]) -> None:
        raise ValueError("no such order")

    tracing.observe(held=lambda: 3)
    _append()
    subscription.run_once(Subscription(name="mails", handle=poisoned))
    _append(NewDispatch(effect="test.waiting", target="somewhere"))
    mails = ("nagare.subscription.id", "mails")
    assert sdk.metric("nagare.subscription.lag") == {frozenset({mails}): 1}
    waiting = frozenset({mails, ("nagare.parked.state", "waiting")})
    assert sdk.metric("nagare.subscription.parked.waiting") == {waiting: 1}
    pending = frozenset({("nagare.dispatch.effect", "test.waiting"), ("nagare.dispatch.state", "pending")})
    assert sdk.metric("nagare.outbox.depth") == {pending: 1}
    assert sdk.metric("nagare.eventstore.held") == {frozenset(): 3}
    parked = frozenset({mails, ("nagare.event.type", "order.placed")})
    assert sdk.metric("nagare.subscription.parked") == {parked: 1}

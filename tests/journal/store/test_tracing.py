"""Every event carries the trace it was appended in, and the store's work shows in the program's traces."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags

from journal.domain.trace import parsed
from journal.errors import WrongExpectedVersion
from journal.store.memory import MemoryStore
from journal.store.tracing import traceparent_of
from tests.builders import raw
from tests.otel import Telemetry, telemetry

STREAM = "order-1"
GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
REMOTE = SpanContext(trace_id=0xABC, span_id=0xDEF, is_remote=True, trace_flags=TraceFlags(1))


@pytest.fixture
def sdk() -> Iterator[Telemetry]:
    """Be a program that has set up an SDK."""
    with telemetry() as found:
        yield found


def _append(metadata: bytes = b"{}") -> bytes:
    store = MemoryStore()
    store.append(STREAM, [raw(metadata=metadata)], expected_version=0)
    return next(store.read_stream(STREAM)).metadata


def test_an_event_carries_the_current_span(sdk: Telemetry) -> None:
    """The span the caller knows, not the store's own below it."""
    with trace.get_tracer("app").start_as_current_span("checkout") as span:
        metadata = msgspec.json.decode(_append())
    assert metadata == {"traceparent": traceparent_of(span.get_span_context())}


def test_without_an_sdk_an_incoming_trace_is_kept() -> None:
    """A request's trace context reaches the event although nobody here records spans."""
    with trace.use_span(NonRecordingSpan(REMOTE)):
        assert msgspec.json.decode(_append())["traceparent"] == traceparent_of(REMOTE)


def test_outside_any_span_nothing_is_added() -> None:
    """Metadata comes back byte for byte."""
    assert _append(b'{ "actor": "user:1" }') == b'{ "actor": "user:1" }'


def test_with_an_sdk_and_no_span_an_event_carries_the_append_itself(sdk: Telemetry) -> None:
    """So that a consumer has something to link to."""
    metadata = msgspec.json.decode(_append())
    (own,) = sdk.spans("nagare.eventstore.append")
    assert own.context is not None
    assert metadata["traceparent"] == traceparent_of(own.context)


@pytest.mark.parametrize("given", [GIVEN.encode().join((b'"', b'"')), b"null"])
def test_a_traceparent_that_was_given_stays(given: bytes) -> None:
    """The caller's word holds, also where it says that there is none."""
    metadata = b'{"traceparent":' + given + b"}"
    with trace.use_span(NonRecordingSpan(REMOTE)):
        assert _append(metadata) == metadata


@pytest.mark.parametrize(
    ("before", "added"),
    [
        (b"{}", b'{"traceparent":"%s"}'),
        (b' { "big": 123456789012345678901234567890, "b":1, "a" : 2 } ', b""),
        (b'{"a":{"traceparent":"inner"}}', b'{"a":{"traceparent":"inner"},"traceparent":"%s"}'),
    ],
)
def test_the_callers_bytes_stay_in_front(before: bytes, added: bytes) -> None:
    """Numbers, spaces and the order of keys are not touched; a key of that name further inside is none of ours."""
    with trace.use_span(NonRecordingSpan(REMOTE)):
        after = _append(before)
    stamp = str(traceparent_of(REMOTE)).encode()
    assert after.startswith(before.rstrip().rstrip(b"}").rstrip())
    assert msgspec.json.decode(after)["traceparent"] == stamp.decode()
    assert not added or after == added.replace(b"%s", stamp)


def test_the_same_append_in_another_trace_is_the_same(sdk: Telemetry) -> None:
    """A client that sends again after a lost answer has a new span, and stores nothing new."""
    store = MemoryStore()
    event = raw(id="0192f0c1-0000-7000-8000-000000000001")
    for _ in range(2):
        with trace.get_tracer("app").start_as_current_span("request"):
            done = store.append(STREAM, [event], expected_version=0)
    assert not done.is_new
    assert sdk.metric("nagare.eventstore.appended") == {
        frozenset({("nagare.project", "default"), ("nagare.aggregate.type", "order")}): 1
    }


def test_an_append_is_a_producer_span_below_the_callers(sdk: Telemetry) -> None:
    """With the stream, the types, and the version it led to."""
    with trace.get_tracer("app").start_as_current_span("checkout") as span:
        MemoryStore().append(STREAM, [raw("order.placed"), raw("order.paid")], expected_version=0)
    (own,) = sdk.spans("nagare.eventstore.append")
    assert own.kind is SpanKind.PRODUCER
    assert own.parent == span.get_span_context()
    assert own.attributes == {
        "nagare.project": "default",
        "nagare.aggregate.id": STREAM,
        "nagare.aggregate.type": "order",
        "nagare.event.type": ("order.placed", "order.paid"),
        "nagare.event.count": 2,
        "nagare.version": 2,
    }


def test_a_refused_append_is_a_failed_span(sdk: Telemetry) -> None:
    """The reason stands in it, and the caller gets the error as ever."""
    with pytest.raises(WrongExpectedVersion):
        MemoryStore().append(STREAM, [raw()], expected_version=7)
    (own,) = sdk.spans("nagare.eventstore.append")
    assert not own.status.is_ok
    assert own.events[0].name == "exception"


def test_a_read_is_a_span_with_how_much_was_read(sdk: Telemetry) -> None:
    """It ends with the reading, and what the reader does in between is not below it."""
    store = MemoryStore()
    store.append(STREAM, [raw(), raw()], expected_version=0)
    for _ in store.read_stream(STREAM):
        assert not trace.get_current_span().is_recording()
    (own,) = sdk.spans("nagare.eventstore.read")
    assert own.attributes == {"nagare.read": "read_stream", "nagare.aggregate.id": STREAM, "nagare.event.count": 2}


def test_looking_for_news_in_vain_leaves_no_span(sdk: Telemetry) -> None:
    """A follower at the head looks many times a second."""
    assert list(MemoryStore().read_all()) == []
    assert sdk.spans("nagare.eventstore.read") == []


@pytest.mark.parametrize(
    "text", ["", "00-0-0-0", GIVEN.upper(), f"00-{'0' * 32}-{'1' * 16}-01", f"ff{GIVEN[2:]}", None]
)
def test_what_is_no_traceparent_is_none(text: str | None) -> None:
    """Ids of zeros, capitals and version ff are not allowed."""
    assert parsed(text) is None


def test_a_traceparent_is_read_and_written() -> None:
    """A later version's further fields are left out."""
    assert str(parsed(GIVEN)) == str(parsed(f"01{GIVEN[2:]}-more")) == GIVEN

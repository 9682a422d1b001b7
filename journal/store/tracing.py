"""OpenTelemetry around the store: a span an append and a read, and the current span's traceparent in every event.

Only the API is used. Where the program has set up no SDK, a decorated function costs one look at the provider, and an
event still gets the trace context that came in with a request. What is current is known by context variables alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import lru_cache, wraps
from typing import Any, Final, ParamSpec, TypeVar, cast

import msgspec
from opentelemetry import context, metrics, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, ProxyTracerProvider, Span, SpanContext, SpanKind, TraceFlags

from journal.domain.event import EventData, RecordedEvent
from journal.domain.stream import category
from journal.domain.trace import TraceContext, parsed
from journal.store.protocol import Appended

SCOPE: Final = "nagare"
"""The instrumentation scope of all spans and metrics of the journal."""

APPEND: Final = "nagare.eventstore.append"
READ: Final = "nagare.eventstore.read"
APPENDED: Final = "nagare.eventstore.appended"

MOST_LINKS: Final = 32
"""Links of one span. A batch may come from as many spans as it has events."""

_MOST_TYPES: Final = 8
_NOTHING: Final = nullcontext(trace.INVALID_SPAN)

P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., Appended])


class _Given(msgspec.Struct):
    """The one key of metadata that matters here, present or not, whatever its value."""

    traceparent: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_is_stamping: ContextVar[bool] = ContextVar("is_stamping", default=True)
_given = msgspec.json.Decoder(_Given).decode


def is_on() -> bool:
    """Return whether the program has set up an SDK, so that spans are recorded by someone."""
    return not isinstance(trace.get_tracer_provider(), ProxyTracerProvider)


def span(
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    *,
    parent: Context | None = None,
    links: Sequence[Link] = (),
    **attributes: Any,
) -> AbstractContextManager[Span]:
    """Make a span current for a block. An exception that leaves the block is recorded and goes on.

    `parent` None is what is current; an empty context begins a trace. Attributes are tags below `nagare.`; dots are
    written as double underscores.
    """
    if not is_on():
        return _NOTHING
    return tracer().start_as_current_span(name, parent, kind, tags(attributes), links)


def tracer() -> trace.Tracer:
    """Return the journal's tracer of the program's provider."""
    return _tracer_of(trace.get_tracer_provider())


@lru_cache(maxsize=2)
def _tracer_of(provider: trace.TracerProvider) -> trace.Tracer:
    return provider.get_tracer(SCOPE)


def count(name: str, by: int = 1, *, description: str, tags: Mapping[str, Any]) -> None:
    """Add to a counter of events; it is nobody's where no metrics are set up. Tags have their full names."""
    _counter(metrics.get_meter_provider(), name, description).add(by, tags)


@lru_cache(maxsize=64)
def _counter(provider: metrics.MeterProvider, name: str, description: str) -> metrics.Counter:
    return provider.get_meter(SCOPE).create_counter(name, unit="{event}", description=description)


def tags(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes under their full names, without those that have no value."""
    return {f"nagare.{name.replace('__', '.')}": value for name, value in attributes.items() if value not in (None, "")}


def stamped(events: Sequence[EventData], traceparent: str | None) -> Sequence[EventData]:
    """Return the events with `traceparent` in the metadata of those that say nothing of it themselves."""
    if traceparent is None or not _is_stamping.get():
        return events
    return [_stamped(event, traceparent) for event in events]


@contextmanager
def as_recorded() -> Iterator[None]:
    """Let what is appended in the block keep the trace that its source recorded, and get none where that has none.

    An import says what happened elsewhere. Stamped with the importer's own span, its events would link to a trace in
    which they did not happen.
    """
    before = _is_stamping.set(False)
    try:
        yield
    finally:
        _is_stamping.reset(before)


def _stamped(event: EventData, traceparent: str) -> EventData:
    """Put the key behind the caller's own bytes, which stay as they are.

    Metadata that cannot be read is left alone too: what takes the event refuses it, and says why.
    """
    try:
        is_given = _given(event.metadata).traceparent is not msgspec.UNSET
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return event
    if is_given:
        return event
    before = event.metadata.rstrip()[:-1].rstrip()
    comma = b"" if before.endswith(b"{") else b","
    metadata = before + comma + f'"traceparent":"{traceparent}"'.encode() + b"}"
    return msgspec.structs.replace(event, metadata=metadata)


def current_traceparent() -> str | None:
    """Return the current span's traceparent, which is what requests to other programs send on; None outside any."""
    return traceparent_of(trace.get_current_span().get_span_context())


def traceparent_of(found: SpanContext) -> str | None:
    """Return a span's traceparent, None for one that is no span."""
    if not found.is_valid:
        return None
    ids = TraceContext(trace_id=f"{found.trace_id:032x}", span_id=f"{found.span_id:016x}", flags=found.trace_flags)
    return str(ids)


def links_to(events: Iterable[RecordedEvent]) -> list[Link]:
    """Return links to the spans that events were appended in, each once, the first `MOST_LINKS` of them."""
    found: dict[str, Link] = {}
    for event in events:
        producer = parsed(event.meta.traceparent)
        if producer is not None and len(found) < MOST_LINKS:
            found.setdefault(producer.trace_id + producer.span_id, Link(_context_of(producer)))
    return list(found.values())


def _context_of(producer: TraceContext) -> SpanContext:
    return SpanContext(
        trace_id=int(producer.trace_id, 16),
        span_id=int(producer.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(producer.flags),
    )


def traced_append(append: F) -> F:
    """Wrap a store's `append`: stamp its events, put it in a producer span, count what it stored.

    The stamp is the span that was current at the call: the one the caller knows. Where there is none, it is the
    append's own.
    """

    @wraps(append)
    def appending(self: Any, stream: str, events: Sequence[EventData], **arguments: Any) -> Appended:
        caller = current_traceparent()
        if not is_on():
            done = append(self, stream, stamped(events, caller), **arguments)
        else:
            with span(APPEND, SpanKind.PRODUCER, **_append_tags(self, stream, events)) as own:
                own_parent = traceparent_of(own.get_span_context())
                done = append(self, stream, stamped(events, caller or own_parent), **arguments)
                own.set_attribute("nagare.version", done.version)
        if done.is_new and done.ids:
            counted = {"nagare.project": self.project, "nagare.aggregate.type": category(stream)}
            count(APPENDED, len(done.ids), description="Events stored", tags=counted)
        return done

    return cast("F", appending)


def _append_tags(store: Any, stream: str, events: Sequence[EventData]) -> dict[str, Any]:
    types = dict.fromkeys(event.type for event in events)
    return {
        "project": store.project,
        "aggregate__id": stream,
        "aggregate__type": category(stream),
        "event__type": list(types)[:_MOST_TYPES],
        "event__count": len(events),
    }


def traced_read(read: Callable[P, Iterator[RecordedEvent]]) -> Callable[P, Iterator[RecordedEvent]]:
    """Wrap a store's way of reading: a span from the call to the last event, with how many there were.

    The span is never current, since a reader's own work goes on between two events. A read that finds nothing and
    belongs to no trace leaves no span: a follower at the head would make one at every look.
    """

    @wraps(read)
    def reading(*args: P.args, **kwargs: P.kwargs) -> Iterator[RecordedEvent]:
        events = read(*args, **kwargs)
        return _read_in_span(events, read.__name__, args[1:], context.get_current()) if is_on() else events

    return reading


def _read_in_span(
    events: Iterator[RecordedEvent], name: str, arguments: tuple[Any, ...], parent: Context
) -> Iterator[RecordedEvent]:
    began, seen, own = time.time_ns(), 0, None
    try:
        for event in events:
            own = own or _read_span(name, arguments, parent, began)
            seen += 1
            yield event
        if trace.get_current_span(parent).get_span_context().is_valid:
            own = own or _read_span(name, arguments, parent, began)
    finally:
        if own is not None:
            own.set_attribute("nagare.event.count", seen)
            own.end()


def _read_span(name: str, arguments: tuple[Any, ...], parent: Context, began: int) -> Span:
    """Start the span of a read at the moment it was called; `arguments` begin with the stream or the category."""
    asked = {"read_stream": "aggregate__id", "read_category": "aggregate__type"}.get(name)
    found = tags({"read": name, **({asked: arguments[0]} if asked and arguments else {})})
    return tracer().start_span(READ, parent, SpanKind.INTERNAL, found, start_time=began)

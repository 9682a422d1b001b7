"""Events: appended to a stream, read of one by version, read of all by position, and one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from django.http.response import HttpResponseBase

from journal.access import Permission
from journal.api import documents
from journal.api.answers import answer, item_list, next_address
from journal.api.asked import Asked, Limit, Position, Time, moment
from journal.api.base import ApiRequest, ApiView, operation
from journal.api.refusals import Invalid
from journal.domain import codec
from journal.domain.access_log import is_access
from journal.domain.event import EventData, RecordedEvent
from journal.domain.own import is_written_here
from journal.domain.stream import ANY_VERSION, NO_STREAM, ExpectedVersion
from journal.errors import NotPermitted, PayloadRefused, StreamNotFound
from journal.runtime.naming import events_naming
from journal.store import EventStore, get_store
from journal.store.tracing import as_recorded

MAX_EVENTS: Final = 1_000
SCANNED: Final = 20_000
"""Events that one page of the journal looks at: where few of them match, the page is short and `next` leads on."""

TAG: Final = "Events"
Payload = Annotated[msgspec.Raw, msgspec.Meta(description="Kept byte for byte.", extra_json_schema={"type": "object"})]
EventId = Annotated[
    str,
    msgspec.Meta(
        max_length=64,
        description="A UUID of yours, so that sending again is safe; a new one where it is left out.",
        extra_json_schema={"format": "uuid"},
    ),
]
OccurredAt = Annotated[datetime, msgspec.Meta(tz=True, description="When it happened; now where it is left out.")]


class NewEvent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event to append. `data` and `metadata` are kept byte for byte."""

    type: Annotated[
        str,
        msgspec.Meta(
            min_length=1,
            max_length=200,
            pattern=r"^[A-Za-z_][A-Za-z0-9_.:/-]*$",
            description="Its name, such as `agent_run.tool_failed`; unknown ones are kept and shown raw.",
        ),
    ]
    data: Payload
    metadata: Payload | msgspec.UnsetType = msgspec.UNSET
    id: EventId | None = None
    schema: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1, description="The version of the data's shape.")] = 1
    occurred_at: OccurredAt | None = None


class Append(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Events to append together: all of them or none."""

    expected_version: Annotated[
        Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | Literal["any", "none"],
        msgspec.Meta(description="The version that was decided on; `none`: no stream yet; `any`: at the end."),
    ]
    events: Annotated[list[NewEvent], msgspec.Meta(min_length=1, max_length=MAX_EVENTS)]


class StreamAsked(Asked, frozen=True, kw_only=True):
    """Which part of a stream."""

    after: Annotated[Position, msgspec.Meta(description="Only versions past this one.")] = 0
    until: Annotated[Position | None, msgspec.Meta(description="Only versions up to this one.")] = None
    limit: Limit = 100


class JournalAsked(Asked, frozen=True, kw_only=True):
    """Which events of the journal. All that is given has to hold."""

    after: Annotated[Position, msgspec.Meta(description="Only positions past this one.")] = 0
    limit: Limit = 100
    type: Annotated[str | None, msgspec.Meta(description="This event type.")] = None
    correlation: Annotated[str | None, msgspec.Meta(description="This correlation id.")] = None
    subject: Annotated[str | None, msgspec.Meta(description="Events about this subject.")] = None
    since: Annotated[Time | None, msgspec.Meta(description="Occurred then or later; ISO 8601.")] = None
    until: Annotated[Time | None, msgspec.Meta(description="Occurred then or earlier; ISO 8601.")] = None


class StreamEvents(ApiView):
    """The events of one stream."""

    @operation(
        needs=Permission.READ,
        tag=TAG,
        asked=StreamAsked,
        answers={200: documents.Events},
        refusals=(400, 404),
    )
    def get(self, request: ApiRequest, stream: str, *, asked: StreamAsked) -> HttpResponseBase:
        """Read a stream by version.

        What was appended is there at once. Versions count from 1 without holes; `after` is exclusive, `until`
        inclusive.
        """
        store = get_store(request.project)
        newest = store.stream_version(stream)
        if not newest:
            raise StreamNotFound(stream=stream, project=request.project)
        end = newest if asked.until is None else min(asked.until, newest)
        last = min(asked.after + asked.limit, end)
        more = next_address(request.django, after=last) if last < end else None
        items = map(codec.line, store.read_stream(stream, after=asked.after, until=last)) if asked.after < last else ()
        return item_list(request.django, items, lambda: more)

    @operation(
        needs=Permission.IMPORT,
        tag=TAG,
        body=Append,
        answers={201: documents.Appended, 200: documents.Appended},
        refusals=(400, 409, 413, 415, 422),
    )
    def post(self, request: ApiRequest, stream: str, *, asked: Asked, body: Append) -> HttpResponseBase:
        """Append events to a stream.

        `expected_version` is the version the writer decided on, `none` where the stream must not exist, or `any`. The
        same ids with the same content again are the same append: 200 and nothing new. Without ids, sending again
        appends again.
        """
        # A trace that came with the request is the caller's and is noted; our own span of this request is not.
        if is_access(stream):
            raise NotPermitted(who=request.grant.who, permission="write the access log", project=request.project)
        is_traced = "traceparent" in request.django.headers
        with nullcontext() if is_traced else as_recorded():
            done = get_store(request.project).append(
                _writable(stream),
                [_event(event, at) for at, event in enumerate(body.events)],
                expected_version=_expected(body.expected_version),
            )
        document = {"stream": done.stream, "version": done.version, "ids": done.ids}
        return answer(document, status=201 if done.is_new else 200)


def _writable(stream: str) -> str:
    """Return the name of a stream that programs may append to.

    Raises:
        PayloadRefused: the journal itself writes it, since outsiders are shown it or much depends on it.
    """
    if is_written_here(stream):
        raise PayloadRefused(
            what=f"an append to {stream[:80]!r}",
            reason="only the journal itself writes its evidence, its rules and its verdicts on many runs",
            way_out="use a stream of another category; incidents and re-grades have addresses of their own",
        )
    return stream


def _event(given: NewEvent, at: int) -> EventData:
    return EventData(
        type=given.type,
        data=bytes(given.data),
        metadata=b"{}" if given.metadata is msgspec.UNSET else bytes(given.metadata),
        id=given.id,
        schema=given.schema,
        occurred_at=_utc(given.occurred_at, f"/events/{at}/occurred_at"),
    )


def _utc(given: datetime | None, pointer: str) -> datetime | None:
    try:
        return given.astimezone(UTC) if given is not None else None
    except OverflowError as error:
        raise Invalid("is no time of the years 1 to 9999 in UTC", pointer=pointer) from error


def _expected(given: int | Literal["any", "none"]) -> ExpectedVersion:
    if given == "any":
        return ANY_VERSION
    return NO_STREAM if given == "none" else given


class JournalEvents(ApiView):
    """The events of all streams of the project."""

    @operation(
        needs=Permission.READ,
        tag=TAG,
        asked=JournalAsked,
        answers={200: documents.Events},
        refusals=(400,),
    )
    def get(self, request: ApiRequest, *, asked: JournalAsked) -> HttpResponseBase:
        """Read the journal by position.

        Positions rise and may have holes; no event ever appears behind one that a reader was given, so the position of
        the last item is a checkpoint: `after` goes on from it. A page that filters may be short, or empty, and still
        have a `next`: it looks at so many events and no more.
        """
        matches = _filter(asked)
        if Permission.AUDIT not in request.grant.permissions:
            matches = _but_the_access_log(matches)
        page = _Page(_candidates(get_store(request.project), asked), asked, matches)
        return item_list(
            request.django,
            map(codec.line, page),
            lambda: next_address(request.django, after=page.after) if page.has_more else None,
        )


def _candidates(store: EventStore, asked: JournalAsked) -> Iterator[RecordedEvent]:
    """Return the events to look at: by an index where a name is asked for, else all."""
    if asked.subject:
        return events_naming(store, "subject", asked.subject, after=asked.after)
    if asked.correlation:
        return events_naming(store, "correlation", asked.correlation, after=asked.after)
    return store.read_all(after=asked.after)


class _Page:
    """One page of the journal: remembers, once it was read, how far it got and whether anything is past that."""

    def __init__(
        self, events: Iterator[RecordedEvent], asked: JournalAsked, matches: Callable[[RecordedEvent], bool]
    ) -> None:
        self._events = events
        self._limit = asked.limit
        self._matches = matches
        self.after = asked.after
        self.has_more = False

    def __iter__(self) -> Iterator[RecordedEvent]:
        taken = 0
        for scanned, event in enumerate(self._events):
            if taken == self._limit or scanned == SCANNED:
                self.has_more = True
                return
            self.after = event.position
            if self._matches(event):
                taken += 1
                yield event


def _filter(asked: JournalAsked) -> Callable[[RecordedEvent], bool]:
    since, until = moment(asked.since, "since"), moment(asked.until, "until")
    tests: list[Callable[[RecordedEvent], Any]] = []
    if asked.type is not None:
        tests.append(lambda event: event.type == asked.type)
    if since is not None:
        tests.append(lambda event: event.occurred_at >= since)
    if until is not None:
        tests.append(lambda event: event.occurred_at <= until)
    if asked.correlation is not None:
        tests.append(lambda event: event.meta.correlation_id == asked.correlation)
    if asked.subject is not None:
        tests.append(lambda event: asked.subject in event.meta.subjects)
    return lambda event: all(test(event) for test in tests)


def _but_the_access_log(matches: Callable[[RecordedEvent], bool]) -> Callable[[RecordedEvent], bool]:
    return lambda event: not is_access(event.stream) and matches(event)


class OneEvent(ApiView):
    """One event."""

    @operation(needs=Permission.READ, tag=TAG, answers={200: documents.Event}, refusals=(404,))
    def get(self, request: ApiRequest, event_id: str, *, asked: Asked) -> HttpResponseBase:
        """Read one event."""
        event = get_store(request.project).event(event_id)
        if is_access(event.stream):
            request.grant.check(Permission.AUDIT)
        return answer(msgspec.Raw(codec.line(event)))

"""The Payload tab: the event as the journal holds it, and as today's code reads it where that differs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from explorer.outside import oddities
from explorer.payload import Piece, Sheet, sheet
from explorer.queries.run_address import Address
from explorer.traces import Trace, trace_of
from explorer.tree import path_of, value_text
from journal.domain.catalog import Both, both, catalog
from journal.domain.codec import encode
from journal.domain.diff import MISSING, differences
from journal.domain.event import Cause, RecordedEvent, instant
from journal.domain.text import amount, in_bytes

_CHANGES: Final = 40
_SIDE: Final = 160
_METADATA: Final = 16_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A page of stored JSON. `next` and `first` are where its next page and its beginning are.

    `shown` says which part this is, `through` how far it goes, `odd` how many characters are shown by name.
    """

    name: str
    pieces: tuple[Piece, ...]
    size: str
    shown: str
    through: str
    blobs: str
    odd: int
    href: str
    first: str
    next: str
    next_size: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Altered:
    """One difference between what is stored and what is read; a side is empty where nothing is."""

    mark: str
    path: str
    stored: str
    read: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Upcast:
    """An older event as today's code reads it: from schema `stored` to `newest`, and what that changed.

    Where it cannot be read, `reason` says why and there is no text.
    """

    stored: int
    newest: int
    text: str
    note: str
    altered: tuple[Altered, ...]
    more: int
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PayloadPanel:
    """The event as the journal holds it."""

    data: Part
    metadata: Part
    event: RecordedEvent
    occurred: str
    recorded: str
    is_time_known: bool
    actor: str
    correlation: str
    causation: str
    dispatch: str
    causes: tuple[Cause, ...]
    subjects: tuple[str, ...]
    traceparent: str
    trace: Trace | None
    wire: str
    blob: str
    upcast: Upcast | None


def payload_panel(event: RecordedEvent, address: Address) -> PayloadPanel:
    """Return an event's stored bytes for reading, a page at a time."""
    meta = event.meta
    return PayloadPanel(
        data=_part("data", event, address, address.start),
        metadata=_part("metadata", event, address, 0),
        event=event,
        occurred=instant(event.occurred_at),
        recorded=instant(event.recorded_at),
        is_time_known=meta.time == "recorded",
        actor=meta.actor or "",
        correlation=meta.correlation_id or "",
        causation=meta.causation_id or "",
        dispatch=meta.dispatch_id or "",
        causes=meta.causes,
        subjects=meta.subjects,
        traceparent=meta.traceparent or "",
        trace=trace_of(event),
        wire=address.event(event.version),
        blob=address.event(event.version, download="blob"),
        upcast=_upcast(event),
    )


def _part(name: str, event: RecordedEvent, address: Address, start: int) -> Part:
    raw = event.data if name == "data" else event.metadata
    page = sheet(raw, start) if name == "data" else sheet(raw, most=_METADATA)
    has_next = name == "data" and page.end < page.total
    return Part(
        name=name,
        pieces=page.pieces,
        size=in_bytes(len(raw)),
        shown=_shown(page),
        through=f"{in_bytes(page.end)} of {in_bytes(page.total)}, indented",
        blobs=f"{amount(page.blobs, 'attachment')} of {in_bytes(page.blob_bytes)} left out" if page.blobs else "",
        odd=sum(oddities(piece.text) for piece in page.pieces),
        href=address.event(event.version, download=name),
        first=address.at(event.version) if page.start else "",
        next=address.starting(page.end, event.version) if has_next else "",
        next_size=in_bytes(min(page.end - page.start, page.total - page.end)),
    )


def _shown(page: Sheet) -> str:
    """Return which part of a long text is shown; empty where it is all of it."""
    if page.is_all:
        return ""
    if not page.start:
        return f"{in_bytes(page.end)} of {in_bytes(page.total)}, indented"
    return f"{in_bytes(page.start)} to {in_bytes(page.end)} of {in_bytes(page.total)}, indented"


def _upcast(event: RecordedEvent) -> Upcast | None:
    newest = catalog.schema_of(event.type)
    if newest is None or event.schema >= newest:
        return None
    read = both(event)
    if read.upcast is None:
        return Upcast(stored=event.schema, newest=newest, text="", note="", altered=(), more=0, reason=read.reason)
    altered = _altered(read)
    page = sheet(encode(read.upcast))
    note = "" if page.is_all else _shown(page)
    return Upcast(
        stored=event.schema,
        newest=newest,
        text="".join(piece.text for piece in page.pieces),
        note=note,
        altered=altered[:_CHANGES],
        more=max(0, len(altered) - _CHANGES),
        reason="",
    )


def _altered(read: Both) -> tuple[Altered, ...]:
    return tuple(
        Altered(mark=_mark(stored, now), path=path_of(pointer), stored=_side(stored), read=_side(now))
        for pointer, stored, now in differences(read.raw, read.upcast)
    )


def _mark(stored: object, now: object) -> str:
    if stored is MISSING:
        return "added"
    return "removed" if now is MISSING else "changed"


def _side(value: object) -> str:
    """Return a value on a line; unlike in a state, null is what was recorded."""
    if value is MISSING:
        return ""
    return "null" if value is None else value_text(value, _SIDE)[0]

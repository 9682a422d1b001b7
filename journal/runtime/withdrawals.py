"""Carrying out an order to purge or erase: payloads, then copies, then a word that it is done.

An order that was interrupted is carried out again from the beginning; what is gone stays gone. The order of steps:

1. The marks take the payloads' places, and the copies go.
   What is held by then stays: holds are asked before each stream, also where an order is taken up again. The order
   stays undone, and is carried out to the end once nothing holds it.
2. The journal says that it is done. Whoever follows it forgets then what it kept in memory.
3. When every projection has come past that, the copies go once more: one that was made meanwhile, of what a process
   had read before, is among them.
4. The database gives up the pages that were freed, as far as it can.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final
from uuid import UUID, uuid5

import msgspec
import structlog

from journal.domain import notes
from journal.domain.event import RecordedEvent
from journal.domain.retention import (
    ERASURES,
    HOLDS,
    PURGES,
    ErasureDone,
    ErasureOrdered,
    Hold,
    Order,
    PurgeDone,
    Span,
    naming,
    order_of,
    spans_of,
)
from journal.domain.stream import category
from journal.domain.withdrawn import Kind, is_withdrawn
from journal.errors import JournalError
from journal.runtime import copies, projection, retention
from journal.runtime.copies import Gone
from journal.runtime.retention import tell
from journal.store import EventStore, compacting, get_store, holdings
from journal.store.compacting import Compacted
from journal.store.withdrawing import withdraw

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_DONE: Final = UUID("0d7d8c0e-53c5-5d0c-8f0e-9a3f6d2b4c11")
_PATIENCE_S: Final = 20.0
MOST_SPANS: Final = 2_000
"""Streams in one order: an event of some hundred kilobytes."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an order. `events` is how many payloads are gone by it; `compacted` what the database gave up.

    `held` are the streams that stay, with what holds them: where there are any, the order is not done.
    """

    order: str
    events: int
    copies: dict[str, int]
    compacted: Compacted
    held: dict[str, list[Hold]] = {}


Beat = Callable[[int], None]


def in_orders(spans: list[Span]) -> Iterator[list[Span]]:
    """Yield spans in parts that an order takes."""
    for start in range(0, len(spans), MOST_SPANS):
        yield spans[start : start + MOST_SPANS]


def carry_out(  # noqa: PLR0913 - an order, and how far to go with it
    project: str, order_id: str, *, subject: str = "", by: str = "", beat: Beat = lambda _: None, compact: bool = True
) -> Outcome:
    """Carry an order out, but for what is held. `subject` is who an erasure is about: the order itself does not say.

    Raises:
        LookupError: the event is no order.
    """
    event = get_store(project).event(order_id)
    order = order_of(event)
    if order is None:
        raise LookupError(f"event {order_id} is no order to purge or erase")
    gone, held = _withdraw(project, event, order, subject=subject, beat=beat)
    count = len(gone.event_ids)
    cleared = copies.clear(gone)
    if not held:
        _say(project, order, order_id, count, cleared, by=by)
    _catch_up()
    again = copies.clear(gone)
    cleared = {name: max(cleared.get(name, 0), again.get(name, 0)) for name in {*cleared, *again}}
    compacted = compacting.compact() if compact else Compacted(is_done=False, words="left for later")
    log.info("withdrawn", order=order_id, kind=_kind(order), events=count, held=len(held))
    return Outcome(order=order_id, events=count, copies=dict(sorted(cleared.items())), compacted=compacted, held=held)


def _kind(order: Order) -> Kind:
    return "erased" if isinstance(order, ErasureOrdered) else "purged"


class _Holding:
    """What holds the streams of an order, asked again for each: a hold that is added meanwhile binds."""

    def __init__(self, store: EventStore) -> None:
        self._store, self._known, self._binding = store, -1, list[Hold]()
        self.held: dict[str, list[Hold]] = {}

    def stays(self, stream: str, listed: list[RecordedEvent]) -> bool:
        """Whether all of a stream stays: it is held, or is the notes of a run that is."""
        run = run_of_notes(stream)
        binding = self._now()
        if binding and run != stream:
            listed = list(self._store.read_stream(run))
        by = retention.holding(binding, run, {one for event in listed for one in event.meta.subjects})
        if by:
            self.held[stream] = by
        return bool(by)

    def without_quotations(self, stream: str, events: list[RecordedEvent]) -> list[RecordedEvent]:
        """Return those events of a stream of the journal's own that say nothing of what of the order stays."""
        if not self.held or category(stream) not in holdings.QUOTING:
            return events
        names = set(self.held)
        free = [event for event in events if not _says(event.payload, names, None)]
        if len(free) < len(events):
            self.held[stream] = list({hold.id: hold for by in self.held.values() for hold in by}.values())
        return free

    def _now(self) -> list[Hold]:
        version = self._store.stream_version(HOLDS)
        if version != self._known:
            self._known, self._binding = version, retention.active_holds(self._store.project)
        return self._binding


def run_of_notes(stream: str) -> str:
    """Return the run that a stream of notes is about, and any other stream as it is."""
    return stream.partition("-")[2] if category(stream) == notes.CATEGORY else stream


def _withdraw(
    project: str, event: RecordedEvent, order: Order, *, subject: str, beat: Beat
) -> tuple[Gone, dict[str, list[Hold]]]:
    """Put the marks in the payloads' places, and return what is gone: also what an earlier attempt had done.

    With it, which streams are held.
    """
    store = get_store(project)
    holding = _Holding(store)
    ids: set[str] = set()
    whole: set[str] = set()
    streams: set[str] = set()
    for span in sorted(order.spans, key=lambda one: category(one.stream) in holdings.QUOTING):  # runs go first
        listed = list(store.read_stream(span.stream))
        if holding.stays(span.stream, listed):
            continue
        theirs = holding.without_quotations(span.stream, [one for one in listed if span.holds(one.version)])
        streams.add(span.stream)
        for done in withdraw(theirs, act=event.id, kind=_kind(order), at=event.recorded_at):
            del done
        ids.update(one.id for one in theirs)
        if {one.id for one in listed if not is_withdrawn(one.data)} <= {one.id for one in theirs}:
            whole.add(span.stream)
        beat(len(ids))
    mark = f"{_kind(order)} on {event.recorded_at:%Y-%m-%d} under request {event.id.rpartition('-')[2]}"
    gone = Gone(
        project=project,
        order=event.id,
        words=mark,
        streams=frozenset(streams),
        whole=frozenset(whole),
        event_ids=frozenset(ids),
        subject=subject,
    )
    return gone, holding.held


def _say(  # noqa: PLR0913 - what is said
    project: str, order: Order, order_id: str, count: int, cleared: dict[str, int], *, by: str
) -> None:
    done_id = str(uuid5(_DONE, order_id))
    store = get_store(project)
    if done_id in store.events([done_id]):
        return
    said: Any
    if isinstance(order, ErasureOrdered):
        stream, said = ERASURES, ErasureDone(order=order_id, events=count, copies=cleared)
    else:
        stream, said = PURGES, PurgeDone(order=order_id, events=count, copies=cleared)
    tell(project, stream, said, by=by, event_id=done_id)


def done_id_of(order_id: str) -> str:
    """Return the id of the event that says an order was carried out."""
    return str(uuid5(_DONE, order_id))


def _catch_up() -> None:
    """Let every projection come past the end, here or in the process that follows it."""
    for one in projection.registered():
        try:
            projection.catch_up(one, patience_s=_PATIENCE_S)
        except JournalError as error:
            log.warning("projection_behind", projection=one.name, reason=str(error))


def undone(project: str, stream: str) -> list[RecordedEvent]:
    """Return the orders of a stream that nothing says are done, oldest first."""
    listed = list(get_store(project).read_stream(stream))
    known = {event.id for event in listed}
    return [event for event in listed if order_of(event) is not None and done_id_of(event.id) not in known]


def streams(project: str) -> frozenset[str]:
    """Return the streams of which something is gone, or is about to go: those that orders name."""
    return frozenset(newest_orders(project))


def newest_orders(project: str) -> dict[str, str]:
    """Return these streams, each with the id of the newest order that names it, or of what says that it is done."""
    store = get_store(project)
    events = sorted((event for name in (PURGES, ERASURES) for event in store.read_stream(name)), key=_position)
    known = {event.id for event in events}
    found: dict[str, str] = {}
    for event in events:
        order, done = order_of(event), done_id_of(event.id)
        stands = done if done in known else event.id
        found |= {span.stream: stands for span in order.spans} if order is not None else {}
    return found


def told(project: str) -> tuple[int, int]:
    """Return what differs once something more was ordered, refused or done: how far the streams of orders reach."""
    store = get_store(project)
    return store.stream_version(PURGES), store.stream_version(ERASURES)


def _position(event: RecordedEvent) -> int:
    return event.position


def quotations(project: str, streams: Iterable[str], *, subject: str = "") -> list[Span]:
    """Return what the journal's own streams say of some runs, or of a subject, and still say.

    An event is such where a text in it is the name of one of the streams, or has the subject in it. The first event of
    a stream of notes names its run and nothing else; it stays, so that notes can be added.
    """
    named, subjects = set(streams), naming(subject) if subject else None
    found: dict[str, list[int]] = {}
    for event in holdings.quoting(project):
        if is_withdrawn(event.data) or event.type == "notes.opened":
            continue
        run = run_of_notes(event.stream)
        is_beside = run != event.stream and run in named
        if is_beside or _says(event.payload, named, subjects):
            found.setdefault(event.stream, []).append(event.version)
    return spans_of(found)


def _says(value: Any, named: set[str], subject: re.Pattern[str] | None) -> bool:
    if isinstance(value, str):
        return value in named or bool(subject and subject.search(value))
    if isinstance(value, dict):
        return any(_says(one, named, subject) for one in value.values())
    return isinstance(value, list) and any(_says(one, named, subject) for one in value)

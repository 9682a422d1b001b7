"""Erasing: what the journal holds of a person goes, on a ground, and a certificate says so.

What is erased of a person is what an audit of them shows: the events that name them, and those of their runs that name
nobody. An event that names only others stays. Runs that were handed on from theirs and name nobody are theirs too,
unless they say that they came of another run, and so is what the journal's own streams quote: notes, verdicts, alerts,
audits. Of its own streams nothing else goes, whatever a run says of them.

Who was erased is not kept: orders and certificates hold a pseudonym (`retention.pseudonym`).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from journal.domain import agent_run
from journal.domain.event import RecordedEvent
from journal.domain.own import is_own
from journal.domain.retention import (
    ERASURES,
    HOLDS,
    ErasureOrdered,
    ErasureRefused,
    Hold,
    Span,
    order_of,
    spans_of,
)
from journal.domain.stream import category
from journal.domain.text import amount
from journal.domain.withdrawn import is_withdrawn
from journal.errors import Refused
from journal.runtime import retention, withdrawals
from journal.runtime.retention import Held, RetentionRefused
from journal.runtime.withdrawals import Beat, Outcome, carry_out
from journal.store import EventStore, compacting, get_store, holdings
from journal.store.withdrawing import with_subject

_SHORTEST_CHECKED = 4


class NothingOf(Refused):
    """The journal holds nothing of a subject."""

    def __init__(self, *, subject: str, project: str) -> None:
        self.project = project
        super().__init__(f"nothing in project {project!r} names {subject[:200]!r}: there is nothing to erase")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What an erasure would take, and which holds forbid it."""

    spans: tuple[Span, ...]
    holds: tuple[Hold, ...]

    @property
    def events(self) -> int:
        """How many events would lose their payload."""
        return sum(span.count for span in self.spans)

    @property
    def streams(self) -> int:
        """Of how many streams these are."""
        return len(self.spans)


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """What an erasure came to: its orders, each with its outcome."""

    subject: str
    outcomes: tuple[Outcome, ...]

    @property
    def events(self) -> int:
        """How many events lost their payload."""
        return sum(outcome.events for outcome in self.outcomes)


def plan(project: str, subject: str) -> Plan:
    """Return what an erasure of a subject would take, and take nothing."""
    named: dict[str, set[str]] = {}
    by_position = dict(with_subject(project))
    places = holdings.streams_at(by_position)
    for position, subjects in by_position.items():
        if position in places:
            named.setdefault(places[position][0], set()).update(subjects)
    theirs = {stream for stream, subjects in named.items() if subject in subjects}
    runs = dict(_versions(project, theirs, subject, known=named))
    spans = [*spans_of(runs), *withdrawals.quotations(project, runs, subject=subject), *_released(project, subject)]
    binding = retention.active_holds(project)
    held = {hold.id: hold for hold in binding if hold.subject == subject}
    about = {*runs, *(withdrawals.run_of_notes(span.stream) for span in spans)}
    for by in retention.held(binding, {stream: named.get(stream, ()) for stream in about}).values():
        held |= {hold.id: hold for hold in by}
    return Plan(spans=tuple(_joined(spans)), holds=tuple(held.values()))


def _versions(
    project: str, streams: set[str], subject: str, *, known: dict[str, set[str]]
) -> Iterator[tuple[str, list[int]]]:
    """Yield the versions that go, of each stream and of the runs that were handed on from it and name nobody."""
    waiting, seen = sorted(streams), set(streams)
    store = get_store(project)
    while waiting:
        stream = waiting.pop()
        versions: list[int] = []
        for event in store.read_stream(stream):
            if is_withdrawn(event.data) or (event.meta.subjects and subject not in event.meta.subjects):
                continue
            if is_own(stream) and not event.meta.subjects:
                continue
            versions.append(event.version)
            child = _handed_to(event)
            if child and child not in seen and not known.get(child) and _came_of(store, child, stream):
                seen.add(child)
                waiting.append(child)
        yield stream, versions


def _handed_to(event: RecordedEvent) -> str:
    """Return the run that an event of a run hands on to. It may name any stream: only runs count."""
    if event.type != "agent_run.handed_off" or category(event.stream) != agent_run.CATEGORY:
        return ""
    child = event.payload.get("childRun")
    return child if isinstance(child, str) and category(child) == agent_run.CATEGORY else ""


def _came_of(store: EventStore, child: str, parent: str) -> bool:
    """Whether a run may have come of another: its first event says so, or does not say of which it came."""
    first = next(iter(store.read_stream(child, until=1)), None)
    return first is not None and (first.payload.get("parentRun") or parent) == parent


def _released(project: str, subject: str) -> list[Span]:
    """Return the events of holds on the subject, which have all been released by the time they go."""
    ids: set[str] = set()
    versions: list[int] = []
    for event in get_store(project).read_stream(HOLDS):
        if is_withdrawn(event.data):
            continue
        if event.payload.get("subject") == subject:
            ids.add(event.id)
            versions.append(event.version)
        elif event.payload.get("hold") in ids:
            versions.append(event.version)
    return spans_of({HOLDS: versions})


def _joined(spans: list[Span]) -> list[Span]:
    """Return one span a stream."""
    versions: dict[str, set[int]] = {}
    for span in spans:
        for first, last in span.versions:
            versions.setdefault(span.stream, set()).update(range(first, last + 1))
    return spans_of({stream: sorted(known) for stream, known in versions.items()})


def erase(  # noqa: PLR0913 - who, on which ground, by whom, and how far to go with it
    project: str, *, subject: str, ground: str, by: str, beat: Beat = lambda _: None, compact: bool = True
) -> Erased:
    """Erase what the journal holds of a subject. What an earlier erasure of it had not finished is finished first.

    Raises:
        RetentionRefused: no subject or ground is given, or the ground names the subject.
        Held: a hold forbids it; the refusal is journalled.
        NothingOf: nothing is held of the subject.
    """
    found, said = allow(project, subject=subject, ground=ground, by=by)
    stands_for = retention.pseudonym(project, subject)
    unfinished = _unfinished(project, stands_for)
    outcomes = [_carried_out(project, order, subject=subject, ground=said, by=by, beat=beat) for order in unfinished]
    found = plan(project, subject) if unfinished else found
    for part in withdrawals.in_orders(list(found.spans)):
        count = sum(span.count for span in part)
        order = ErasureOrdered(subject=stands_for, ground=said, spans=part, events=count, by=by)
        order_id = retention.tell(project, ERASURES, order, by=by)
        outcomes.append(_carried_out(project, order_id, subject=subject, ground=said, by=by, beat=beat))
    if compact:
        compacted = compacting.compact()
        outcomes = [msgspec.structs.replace(outcome, compacted=compacted) for outcome in outcomes]
    return Erased(subject=stands_for, outcomes=tuple(outcomes))


def _carried_out(  # noqa: PLR0913 - as `erase`
    project: str, order_id: str, *, subject: str, ground: str, by: str, beat: Beat
) -> Outcome:
    """Carry an order out, and refuse the rest of the erasure where something was held by then.

    Raises:
        Held: the refusal is journalled; the order is finished when it is asked for again after the release.
    """
    outcome = carry_out(project, order_id, subject=subject, by=by, beat=beat, compact=False)
    if outcome.held:
        by_id = {hold.id: hold for held in outcome.held.values() for hold in held}
        found = Plan(spans=(), holds=tuple(by_id.values()))
        _refuse(project, found, subject=retention.pseudonym(project, subject), ground=ground, by=by)
    return outcome


def allow(project: str, *, subject: str, ground: str, by: str) -> tuple[Plan, str]:
    """Return what an erasure would take and its ground as it is kept, where nothing forbids it.

    Raises:
        RetentionRefused, Held, NothingOf: see `erase`.
    """
    said = check(subject, ground)
    found = plan(project, subject)
    stands_for = retention.pseudonym(project, subject)
    if found.holds:
        _refuse(project, found, subject=stands_for, ground=said, by=by)
    if not found.spans and not _unfinished(project, stands_for):
        raise NothingOf(subject=subject, project=project)
    return found, said


def _unfinished(project: str, stands_for: str) -> list[str]:
    """Return the orders about a subject that were not carried out to the end."""
    return [event.id for event in withdrawals.undone(project, ERASURES) if _is_of(event, stands_for)]


def _is_of(event: RecordedEvent, stands_for: str) -> bool:
    order = order_of(event)
    return isinstance(order, ErasureOrdered) and order.subject == stands_for


def check(subject: str, ground: str) -> str:
    """Return the ground as it is kept.

    Raises:
        RetentionRefused: see `erase`.
    """
    if not subject.strip():
        raise RetentionRefused("name the subject whose data is to be erased", field="subject")
    said = retention.reason_of(ground, what="an erasure", field="ground")
    if len(subject) >= _SHORTEST_CHECKED and subject.casefold() in said.casefold():
        raise RetentionRefused("the ground names the subject; it is kept for good, so leave the id out", field="ground")
    return said


def _refuse(project: str, found: Plan, *, subject: str, ground: str, by: str) -> None:
    words = ", ".join(hold.words for hold in found.holds)
    reason = f"{amount(len(found.holds), 'hold forbids', 'holds forbid')} it: {words}; release what need not bind"
    ids = [hold.id for hold in found.holds]
    refused = ErasureRefused(subject=subject, ground=ground, reason=_without_reasons(found), holds=ids, by=by)
    retention.tell(project, ERASURES, refused, by=by)
    raise Held(reason, holds=ids)


def _without_reasons(found: Plan) -> str:
    """Return what is kept of a refusal: which kinds of hold, not what their reasons say."""
    return ", ".join(f"{hold.kind} hold {hold.id.rpartition('-')[2]}" for hold in found.holds)

"""Checking the journal against its own log: every event read again, hashed again, and compared with what was signed.

An event that was edited, removed, moved, exchanged with another or dated back has another leaf than the one under the
signed root, and so has the place where one is missing. What this cannot see is what nobody signed yet, and a journal
whose owner holds the key and rewrote it whole: that is what checkpoints elsewhere are for (`previous`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, repeat
from typing import Final

import msgspec
from django.db.models import Count, F, OuterRef, Subquery

from journal.domain.event import RecordedEvent
from journal.domain.leaf import leaf_of, occurred_leaf
from journal.domain.merkle import TILE_WIDTH, Frontier
from journal.domain.note import Checkpoint, NoteRefused, open_checkpoint
from journal.domain.proof import ProofRefused, check_consistency
from journal.domain.retention import Order, PurgeOrdered, order_of, policy_name
from journal.domain.text import amount
from journal.domain.withdrawn import is_withdrawn, mark_on
from journal.models import EventRow, Log, LogHead, StreamRow
from journal.runtime import log_heads, log_keys, log_rows
from journal.store import get_store

_HOLES: Final = 5
"""How many of what is missing are named."""

_OFTEN: Final = 2_000
_NEAR: Final = TILE_WIDTH
"""How far around a wrong leaf to look for what took its place."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the answer. `is_good` None is what could not be checked."""

    name: str
    is_good: bool | None
    words: str


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of one project's log."""

    project: str
    origin: str | None
    size: int
    unsealed: int
    checks: tuple[Check, ...]

    @property
    def is_good(self) -> bool | None:
        """False where anything is wrong, None where nothing is but not all could be checked."""
        found = [check.is_good for check in self.checks]
        return False if False in found else None if None in found else True


OnProgress = Callable[[int, int], None]
"""Is told now and then how many of how many entries were checked; what it raises stops the check."""


def unwatched(done: int, total: int) -> None:
    """Watch nothing."""
    del done, total


def check_project(project: str, *, previous: str | None = None, on_progress: OnProgress = unwatched) -> Checked:
    """Check a project's events against its log, and the log against its heads.

    `previous` is a note that somebody kept: the log has to go on from it. Others may go on sealing meanwhile.
    """
    log = log_rows.newest(project)
    if log is None:
        waiting = EventRow.objects.filter(project=project).count()
        words = f"no event is sealed yet; {waiting:,} wait for the sealer" if waiting else "no events, none sealed"
        nothing = Check(name="events", is_good=None if waiting else True, words=words)
        return Checked(project=project, origin=None, size=0, unsealed=waiting, checks=(nothing,))
    unsealed = EventRow.objects.filter(project=project, position__gt=log.position).count()
    checks = check_log(log, previous=previous, on_progress=on_progress)
    return Checked(project=project, origin=log.origin, size=log.size, unsealed=unsealed, checks=checks)


def check_log(log: Log, *, previous: str | None = None, on_progress: OnProgress = unwatched) -> tuple[Check, ...]:
    """Check the events under a log's row, as it was read."""
    checks = [*_head(log), *_events(log, on_progress), *_outside(log)]
    if previous is not None:
        checks.append(_goes_on(log, previous, name="previous checkpoint"))
    if log.broken:
        checks.append(Check(name="sealing", is_good=False, words=f"stopped: {log.broken}"))
    return tuple(checks)


def _head(log: Log) -> Iterator[Check]:
    """The newest head is signed by this installation and says what the log's row says."""
    newest = log_rows.head_at(log)
    if newest is None:
        yield Check(name="checkpoint", is_good=log.size == 0 or None, words="nothing is signed yet")
        return
    try:
        signed = open_checkpoint(newest.note, log_keys.in_use().keyring().verifiers).checkpoint
    except NoteRefused as error:
        yield Check(name="checkpoint", is_good=False, words=f"the newest one is not this installation's: {error}")
        return
    is_same = (signed.origin, signed.size, signed.root) == (log.origin, log.size, bytes(newest.root))
    says = f"{signed.size:,} events, root {signed.root.hex()[:16]}"
    words = f"signed: {says}" if is_same else f"it says {says}, the log's row {log.size:,} events of {log.origin}"
    yield Check(name="checkpoint", is_good=is_same, words=words)


def _events(log: Log, on_progress: OnProgress) -> Iterator[Check]:
    """Every event has the leaf that was sealed, and the leaves give the signed roots."""
    heads = _Heads(log)
    frontier, times, missing = Frontier(), Frontier(), _Withdrawn(log.project)
    events = _sealed_events(log)
    sealed_times = log_rows.leaves(log, base=log_rows.OCCURRED) if log.occurred else repeat(None)
    for index, leaf in enumerate(log_rows.leaves(log)):
        event, occurred = next(events, None), next(sealed_times, b"")
        if event is None or leaf_of(event).hash != leaf:
            words = "; ".join([_what_is_wrong(log, index, event), *_holes(log)])
            yield Check(name="events", is_good=False, words=words)
            return
        missing.look_at(event)
        if occurred is not None and occurred_leaf(event) != occurred:
            yield Check(name="events", is_good=False, words=_dated(index, event, occurred))
            return
        frontier.add(leaf)
        times.add(occurred or b"")
        if not heads.agree_with(frontier):
            words = f"the leaves do not give the root signed at {frontier.size:,} events"
            yield Check(name="tree", is_good=False, words=words)
            return
        if index % _OFTEN == 0:
            on_progress(index, log.size)
    yield from _ends(log, frontier, next(events, None), is_signed=heads.are_done)
    yield from missing.checks()
    if log.occurred:
        yield _times(log, times)
    elif log_rows.has_times(log, log_rows.head_at(log)):
        yield Check(name="times", is_good=False, words="times were signed, and the log's tree over them is gone")


class _Heads:
    """The roots that were signed, smallest tree first."""

    def __init__(self, log: Log) -> None:
        rows = LogHead.objects.filter(log=log, size__lte=log.size).order_by("size").values_list("size", "root")
        self._rows = rows.iterator(chunk_size=2_000)
        self._due = next(self._rows, None)

    @property
    def are_done(self) -> bool:
        """Whether every root was compared."""
        return self._due is None

    def agree_with(self, frontier: Frontier) -> bool:
        """Compare with what was signed at that size, if anything was."""
        if self._due is None or self._due[0] != frontier.size:
            return True
        root, self._due = bytes(self._due[1]), next(self._rows, None)
        return frontier.root == root


def _ends(log: Log, frontier: Frontier, extra: RecordedEvent | None, *, is_signed: bool) -> Iterator[Check]:
    """Nothing stands past the last leaf, and none is missing."""
    if extra is not None:
        words = f"{_named(extra)} stands among sealed events and was not sealed"
        yield Check(name="events", is_good=False, words=words)
    elif frontier.size < log.size:
        words = f"the log's tiles hold {frontier.size:,} of {log.size:,} leaves: rows of the log are missing"
        yield Check(name="tree", is_good=False, words=words)
    else:
        yield Check(name="events", is_good=True, words=f"all {log.size:,} sealed events are there, as they were sealed")
        yield Check(name="tree", is_good=is_signed, words="the leaves give every signed root")


def _times(log: Log, found: Frontier) -> Check:
    """The leaves over the times give the root that was signed of them."""
    newest = log_rows.head_at(log)
    try:
        opened = open_checkpoint(newest.occurred_note if newest else "", log_keys.in_use().keyring().verifiers)
    except NoteRefused as error:
        return Check(name="times", is_good=False, words=f"the head over the times is not this installation's: {error}")
    signed, origin = opened.checkpoint, log_rows.occurred_origin(log)
    is_same = (signed.origin, signed.size, signed.root) == (origin, found.size, found.root)
    words = f"all {found.size:,} occurred when they were sealed to have" if is_same else "they give another root"
    return Check(name="times", is_good=is_same, words=words)


class _Withdrawn:
    """The payloads that are gone: each has to be one that an order in the journal names."""

    def __init__(self, project: str) -> None:
        self._store = get_store(project)
        self._orders: dict[str, tuple[Order | None, RecordedEvent | None]] = {}
        self._counts: dict[str, int] = {}
        self._unordered: RecordedEvent | None = None

    def look_at(self, event: RecordedEvent) -> None:
        """Take note of an event whose payload is gone."""
        mark = mark_on(event)
        if mark is None and not is_withdrawn(event.metadata):
            return
        order = self._order(mark.act)[0] if mark is not None else None
        spans = order.spans if order is not None else ()
        if mark is None or not any(span.stream == event.stream and span.holds(event.version) for span in spans):
            self._unordered = self._unordered or event
            return
        self._counts[mark.act] = self._counts.get(mark.act, 0) + 1

    def checks(self) -> Iterator[Check]:
        """Yield a line for each order, or the first payload that is gone without one."""
        if self._unordered is not None:
            words = f"{_named(self._unordered)} has lost its payload, and no order in the journal says so"
            yield Check(name="payloads", is_good=False, words=words)
            return
        for act, count in self._counts.items():
            yield Check(name="payloads", is_good=True, words=self._words(act, count))

    def _order(self, act: str) -> tuple[Order | None, RecordedEvent | None]:
        if act not in self._orders:
            event = self._store.events([act]).get(act)
            self._orders[act] = (order_of(event) if event is not None else None, event)
        return self._orders[act]

    def _words(self, act: str, count: int) -> str:
        order, event = self._order(act)
        at = f"{event.recorded_at:%Y-%m-%d %H:%M} UTC" if event is not None else "an unknown time"
        payloads = amount(count, "payload")
        if isinstance(order, PurgeOrdered):
            return f"{payloads} purged under {policy_name(order.policy)} at {at} (order {act})"
        return f"{payloads} erased at {at} under request {act.rpartition('-')[2]} (order {act})"


def _sealed_events(log: Log) -> Iterator[RecordedEvent]:
    for event in get_store(log.project).read_all():
        if event.position > log.position:
            return
        yield event


def _what_is_wrong(log: Log, index: int, event: RecordedEvent | None) -> str:
    """Say what stands at the first wrong leaf: one removed, one inserted, or one that was altered."""
    place = f"entry {index:,} of the log"
    if event is None:
        return f"{place} has no event any more: the last {log.size - index:,} sealed events are gone"
    leaf = leaf_of(event).hash
    tile_from = index // TILE_WIDTH * TILE_WIDTH
    near = list(islice(log_rows.leaves(log, first=tile_from), _NEAR * 2))
    later = [tile_from + at for at, one in enumerate(near) if one == leaf]
    if later and later[0] > index:
        return f"{place} is missing: {later[0] - index:,} events were removed before {_named(event)}, or moved"
    following = _after(log, event)
    if index < tile_from + len(near) and any(leaf_of(one).hash == near[index - tile_from] for one in following):
        return f"{place}: {_named(event)} stands there now and was not sealed, or was moved there"
    sealed = near[index - tile_from].hex() if index < tile_from + len(near) else "none"
    return f"{place} is not what was sealed: {_named(event)} was altered; leaf {sealed} was sealed, it has {leaf.hex()}"


def _dated(index: int, event: RecordedEvent, sealed: bytes) -> str:
    return (
        f"entry {index:,} of the log is not what was sealed: {_named(event)} was given another time of occurrence;"
        f" leaf {sealed.hex()} was sealed, it has {occurred_leaf(event).hex()}"
    )


def _holes(log: Log) -> Iterator[str]:
    """Name the versions that streams lack: what was taken out has no row any more, but its number is not another's."""
    held = StreamRow.objects.filter(project=log.project, pk=OuterRef("stream_id")).values("version")
    counted = EventRow.objects.filter(project=log.project).order_by().values("stream_id")
    short = counted.annotate(held=Count("position"), newest=Subquery(held)).filter(held__lt=F("newest"))
    for row in short.order_by("stream_id")[:_HOLES]:
        stream = StreamRow.objects.get(pk=row["stream_id"])
        there = EventRow.objects.filter(stream=stream).order_by("version").values_list("version", flat=True)
        yield from (f"{stream.name} version {missing} is missing" for missing in _missing(there, stream.version))


def _missing(there: Iterable[int], newest: int) -> list[int]:
    """Return the first few numbers up to the newest that are not there."""
    found: list[int] = []
    due = 1
    for version in (*there, newest + 1):
        found += range(due, min(version, due + _HOLES))
        due = version + 1
        if len(found) >= _HOLES:
            break
    return found[:_HOLES]


def _after(log: Log, event: RecordedEvent) -> Sequence[RecordedEvent]:
    return list(get_store(log.project).read_all(after=event.position, limit=_NEAR))


def _named(event: RecordedEvent) -> str:
    return f"{event.stream} version {event.version} ({event.type}, event {event.id})"


def _outside(log: Log) -> Iterator[Check]:
    """The log goes on from the newest head that is kept outside the database."""
    known = log_heads.in_use().newest(log.origin)
    if known is not None:
        yield _goes_on(log, known[0], name="head kept outside the database")


def _goes_on(log: Log, note: str, *, name: str) -> Check:
    try:
        before = open_checkpoint(note, log_keys.in_use().keyring().verifiers).checkpoint
    except NoteRefused as error:
        return Check(name=name, is_good=None, words=f"cannot be read: {error}")
    if before.origin != log.origin:
        words = f"is of {before.origin}; the log of this project is {log.origin} now"
        return Check(name=name, is_good=None, words=words)
    return _consistent(log, before, name)


def _consistent(log: Log, before: Checkpoint, name: str) -> Check:
    if before.size > log.size:  # sealed since the row was read, unless it was never sealed here
        log = Log.objects.get(pk=log.pk)
    if before.size > log.size:
        words = f"was signed at {before.size:,} events, of which the log holds {log.size:,}"
        return Check(name=name, is_good=False, words=words)
    try:
        tree = log_rows.tiles(log)
        path = tree.consistency(before.size)
        check_consistency(old=before.size, old_root=before.root, size=log.size, root=tree.root(), path=path)
    except (ProofRefused, IndexError) as error:
        return Check(name=name, is_good=False, words=f"the log does not go on from {before.size:,} events: {error}")
    return Check(name=name, is_good=True, words=f"the log goes on from its {before.size:,} events")

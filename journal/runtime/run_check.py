"""Whether one run's events are those that were sealed: what the mark in the debugger rests on.

The whole journal takes as long to check as it is long (`log_check`). A run is checked in the time that reading it
takes: each of its events has to have one of the leaves that were sealed in its batch, in the order of its versions; the
tiles these leaves stand in have to lead to the signed root; no version may be missing up to the newest that was ever
told of; and the journal has to hold as many events as were sealed. What another run's events say is not looked at.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec
from django.core.cache import cache

from journal.domain.event import RecordedEvent
from journal.domain.leaf import leaf_of, occurred_leaf
from journal.domain.merkle import TILE_WIDTH, Tiles
from journal.domain.note import NoteRefused, open_checkpoint
from journal.domain.proof import ProofRefused, check_inclusion
from journal.domain.text import amount
from journal.models import EventRow, Log, LogHead
from journal.runtime import log_keys, log_rows
from journal.runtime.log_keys import Keyring
from journal.store import get_store

MOST_EVENTS: Final = 20_000
"""A longer run is not checked while somebody waits for a page; `nagare verify` checks the whole journal."""

_COUNTED_EACH_TIME: Final = 100_000
"""Sealed events that are counted at every check."""

State = Literal["intact", "altered", "unsealed", "unchecked"]


class RunChecked(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of a run. `altered_at` is the first version that is not as it was sealed, where one can be named.

    `unsealed` counts the events that stand under no checkpoint yet, the oldest of which waits for `waits_s` seconds;
    `position` is the last one under a checkpoint.
    """

    state: State
    words: str
    events: int
    unsealed: int
    waits_s: float
    position: int
    checked_at: datetime
    altered_at: int | None = None


class _Altered(Exception):
    """What is wrong, and from which version on."""

    def __init__(self, words: str, version: int | None = None) -> None:
        super().__init__(words)
        self.version = version


def check_run(project: str, stream: str, *, told: int = 0, now: datetime | None = None) -> RunChecked | None:
    """Check a run's events against the log. None where there is no such stream.

    `told` is the newest version that somebody knows of, such as a read model: a journal that ends before it lacks
    events.
    """
    now = now or datetime.now(UTC)
    store = get_store(project)
    newest = max(store.stream_version(stream), told)
    if not newest:
        return None
    log = log_rows.newest(project)
    if newest > MOST_EVENTS:
        words = f"{amount(newest, 'event')}: too many to check for a page; nagare verify checks the whole journal"
        return _found("unchecked", words, [], log, now)
    events = list(store.read_stream(stream))
    try:
        _check_versions(events, newest)
        if log is not None:
            _check_log(log, events)
    except _Altered as altered:
        return _found("altered", str(altered), events, log, now, altered_at=altered.version)
    found = _found("intact", "", events, log, now)
    if not found.unsealed:
        return msgspec.structs.replace(found, words=f"all {amount(found.events, 'event')} as they were sealed")
    words = (
        f"{found.unsealed:,} of {amount(found.events, 'event')} not sealed yet, the oldest for {found.waits_s:.0f} s"
    )
    return msgspec.structs.replace(found, state="unsealed", words=words)


def _found(  # noqa: PLR0913 - the fields of one answer
    state: State,
    words: str,
    events: Sequence[RecordedEvent],
    log: Log | None,
    now: datetime,
    *,
    altered_at: int | None = None,
) -> RunChecked:
    position = log.position if log else 0
    waiting = [event for event in events if event.position > position]
    waits = max((now - waiting[0].recorded_at).total_seconds(), 0.0) if waiting else 0.0
    return RunChecked(
        state=state,
        words=words,
        events=len(events),
        unsealed=len(waiting),
        waits_s=waits,
        position=position,
        checked_at=now,
        altered_at=altered_at,
    )


def _check_versions(events: Sequence[RecordedEvent], newest: int) -> None:
    """No version is missing, and later ones stand later in the journal."""
    before = 0
    for version, event in enumerate(events, 1):
        if event.version != version:
            raise _Altered(f"event {version} is missing", version)
        if event.position < before:
            raise _Altered(f"event {version} stands before event {version - 1} in the journal", version)
        before = event.position
    if len(events) < newest:
        missing = newest - len(events)
        last = f"the last {missing} events are" if missing > 1 else f"event {newest}, the last, is"
        raise _Altered(f"{last} missing", len(events) + 1)


def _check_log(log: Log, events: Sequence[RecordedEvent]) -> None:
    """Each sealed event has its leaf under the newest signed root, and the journal holds as many as were sealed."""
    if log.broken:
        raise _Altered(f"the log stopped: {log.broken}")
    sealed = [event for event in events if event.position <= log.position]
    keyring = log_keys.in_use().keyring()
    leaves = _Sealed(log, _signed_root(log, keyring), log_rows.tiles(log))
    times = _Times(log, keyring) if log.occurred else None
    after = -1
    for first, size, batch in _batches(log, sealed):
        places = {leaves.at(index): index for index in range(first, size)}
        for event in batch:
            index = places.get(leaf_of(event).hash)
            if index is None:
                raise _Altered(f"event {event.version} does not match the log", event.version)
            if index <= after:
                raise _Altered(f"event {event.version} was moved", event.version)
            after = index
            if times is not None and times.at(index) != occurred_leaf(event):
                raise _Altered(f"event {event.version} was given another time", event.version)
    held = _held(log)
    if held != log.size:
        raise _Altered(f"the journal holds {held:,} events where {log.size:,} were sealed")


def _held(log: Log) -> int:
    """Return how many events the journal holds up to where the log goes; of many it is counted once a minute."""
    rows = EventRow.objects.filter(project=log.project, position__lte=log.position)
    if log.size <= _COUNTED_EACH_TIME:
        return rows.count()
    return int(cache.get_or_set(f"nagare.held.{log.pk}.{log.size}", rows.count, 60) or 0)


def _batches(log: Log, sealed: Sequence[RecordedEvent]) -> Iterator[tuple[int, int, Sequence[RecordedEvent]]]:
    """Yield the entries of each batch of the sealer, from and to, with the events of the run that stand in it."""
    if not sealed:
        return
    positions = [event.position for event in sealed]
    rows = LogHead.objects.filter(log=log, size__lte=log.size)
    before = rows.filter(position__lt=positions[0]).order_by("-size").values_list("size", flat=True).first() or 0
    heads = rows.filter(position__gte=positions[0]).order_by("size").values_list("size", "position")
    done = 0
    for size, position in heads.iterator(chunk_size=2_000):
        upper = bisect_left(positions, position + 1, lo=done)
        if upper > done:
            yield before, size, sealed[done:upper]
        before, done = size, upper
        if done == len(positions):
            return
    raise _Altered(f"event {sealed[done].version} stands under no checkpoint", sealed[done].version)


def _signed_root(log: Log, keyring: Keyring) -> bytes:
    newest = log_rows.head_at(log)
    return _root(newest.note if newest else "", log.origin, log.size, keyring)


def _root(note: str, origin: str, size: int, keyring: Keyring) -> bytes:
    try:
        signed = open_checkpoint(note, keyring.verifiers).checkpoint
    except NoteRefused as error:
        raise _Altered(f"the newest checkpoint is not this installation's: {error}") from error
    if (signed.origin, signed.size) != (origin, size):
        raise _Altered("the newest checkpoint is of another size than the log")
    return signed.root


class _Sealed:
    """The leaves of a log, each tile of which is shown to stand under the root before one is believed."""

    def __init__(self, log: Log, root: bytes, tree: Tiles) -> None:
        self._size, self._root, self._tree = log.size, root, tree
        self._shown: set[int] = set()

    def at(self, index: int) -> bytes:
        """Return the hash of a leaf."""
        try:
            leaf = self._tree.node(0, index)
            if index // TILE_WIDTH not in self._shown:
                path = self._tree.inclusion(index)  # made of every leaf of the tile
                check_inclusion(leaf, index=index, size=self._size, path=path, root=self._root)
                self._shown.add(index // TILE_WIDTH)
        except (ProofRefused, IndexError) as error:
            raise _Altered("the log's own hashes do not lead to the root that was signed") from error
        return leaf


class _Times(_Sealed):
    """The same of the tree over when the events occurred."""

    def __init__(self, log: Log, keyring: Keyring) -> None:
        newest = log_rows.head_at(log)
        root = _root(newest.occurred_note if newest else "", log_rows.occurred_origin(log), log.size, keyring)
        super().__init__(log, root, log_rows.tiles(log, base=log_rows.OCCURRED))

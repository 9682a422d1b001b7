"""The sealer: gives each event its place in its project's log and signs the head, behind the append path.

It is a subscription like any other: it sees every event once, in position order, and none can appear behind it. Leaves,
tiles, head and checkpoint are one transaction; a sealer that lost its lease can move neither the subscription's
checkpoint nor the log's row, so that there is one history. A log signs no head that does not go on from its last one:
each batch begins by working the last root out of the tiles again, and one that differs stops that log, with an alarm,
until a person looks. Other projects' logs go on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import chain, takewhile
from typing import Final

import structlog
from django.db import transaction
from django.db.models.functions import Now

from journal.domain import codec
from journal.domain.alerts import LOG_BROKEN, Raised
from journal.domain.catalog import catalog
from journal.domain.event import EventData, RecordedEvent
from journal.domain.leaf import leaf_of, occurred_leaf
from journal.domain.merkle import Frontier, Growth, ReadTile, grow
from journal.domain.note import Checkpoint, NoteRefused, open_checkpoint, sign
from journal.domain.sealing import LogReopened, stream_of
from journal.domain.stream import ANY_VERSION
from journal.models import EventRow, Log
from journal.runtime import alerting, checkpoint, lease, log_heads, log_keys, log_rows, witnessing
from journal.runtime.checkpoint import Overtaken
from journal.runtime.log_keys import Keyring
from journal.runtime.subscription import Subscription, follow, run_once, stop_at
from journal.store import get_store

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

NAME: Final = "sealer"
LEASE: Final = "sealer"
BATCH: Final = 256
"""Events under one checkpoint at most: a full tile."""

PACE_S: Final = 1.0
"""How long to wait after a batch that was not full, so that a busy journal is not signed event by event."""


class LogBroken(Exception):
    """A log does not fit what was signed of it: nothing more may be signed until a person has looked."""


Tell = Callable[[str], None]
"""Is given each signed head once it is committed."""


def subscription(tell: Tell | None = None) -> Subscription:
    """Return the subscription that seals. It stops rather than leave an event out."""
    return Subscription(name=NAME, handle=partial(seal, tell=tell), batch=BATCH, policy=stop_at)


def run(*, stop: threading.Event, wakeups: Callable[[], Iterable[None]], holder: str | None = None) -> None:
    """Seal until `stop`, whenever the lease is ours. Each head also goes into the process's log: a copy elsewhere."""
    follow(
        partial(subscription, _say), lease_name=LEASE, wakeups=partial(_paced, wakeups, stop), stop=stop, holder=holder
    )


def _say(note: str) -> None:
    log.info("sealed", checkpoint=note)


def _paced(wakeups: Callable[[], Iterable[None]], stop: threading.Event) -> Iterator[None]:
    """At the beginning of a term, look at every log before anything is signed; then one batch a pace, or full ones."""
    look_back()
    for _ in wakeups():
        yield
        catch_up_behind()
        witnessing.ask_all()
        stop.wait(PACE_S)


def catch_up() -> bool:
    """Seal all that is there, unless another process is at it. Returns whether it was done here."""
    with lease.guard(LEASE) as term:
        if term is None:
            return False
        checkpoint.take(NAME, token=term.token)
        look_back()
        while not run_once(subscription(), token=term.token).is_at_head:
            term.check()
        catch_up_behind()
    return True


# --- A batch --------------------------------------------------------------------------------------------------------


def seal(events: Sequence[RecordedEvent], *, tell: Tell | None = None) -> None:
    """Seal events, which come in position order, inside the caller's transaction."""
    of_project: dict[str, list[RecordedEvent]] = {}
    for event in events:
        of_project.setdefault(event.project, []).append(event)
    for project, theirs in of_project.items():
        found = log_rows.newest(project) or _opened(project, epoch=1)
        fresh = [event for event in theirs if event.position > found.position]
        if fresh and not found.broken and not _is_behind(found, before=fresh[0].position):
            _seal(found, fresh, tell)


def _seal(found: Log, events: Sequence[RecordedEvent], tell: Tell | None = None) -> None:
    keyring = log_keys.in_use().keyring()
    try:
        growth = grow(checked(found, keyring), [leaf_of(event).hash for event in events], _reader(found))
        times = _grown_times(found, events, keyring)
    except LogBroken as broken:
        _break(found, str(broken), events[-1])
        return
    position = events[-1].position
    if not log_rows.move_on(found, frontier=growth.frontier, occurred=times.frontier, position=position):
        raise Overtaken(NAME)
    above = {(log_rows.OCCURRED + level, index): tile for (level, index), tile in times.tiles.items()}
    log_rows.write_tiles(found, growth.tiles | above)
    signed = _head(found.origin, growth)
    note = sign(signed, [keyring.current])
    occurred_note = sign(_head(log_rows.occurred_origin(found), times), [keyring.current])
    log_rows.write_head(found, signed, note=note, occurred_note=occurred_note, position=position)
    for kept in (note, occurred_note):
        transaction.on_commit(partial(log_heads.in_use().keep, kept), robust=True)
    if tell is not None:
        transaction.on_commit(partial(tell, note), robust=True)


def _head(origin: str, growth: Growth) -> Checkpoint:
    return Checkpoint(origin=origin, size=growth.frontier.size, root=growth.frontier.root)


def _reader(found: Log, base: int = 0) -> ReadTile:
    return lambda level, index, width: log_rows.read_tile(found, base + level, index, width)


def _grown_times(found: Log, events: Sequence[RecordedEvent], keyring: Keyring) -> Growth:
    """Let the tree over the times grow; one that a log from before it lacks is made in whole."""
    frontier = _checked_times(found, keyring)
    leaves = [occurred_leaf(event) for event in chain(_before(found, frontier), events)]
    if frontier.size + len(leaves) != found.size + len(events):
        raise LogBroken(f"{found.origin} has {found.size:,} leaves, and the journal another number of events to them")
    return grow(frontier, leaves, _reader(found, log_rows.OCCURRED))


def _checked_times(found: Log, keyring: Keyring) -> Frontier:
    """Return the frontier of the tree over the times, once its tiles, the log's row and its signed head agree.

    It is empty where nothing was signed of times yet. Times that were sealed once are never sealed anew: whoever could
    take their tree away could give events other ones.
    """
    try:
        frontier = log_rows.occurred_frontier_of(found)
    except ValueError as error:
        raise LogBroken(f"the row of {found.origin} is damaged: {error}") from error
    newest, origin = log_rows.head(found), log_rows.occurred_origin(found)
    if not frontier.size and not log_rows.has_times(found, newest):
        return frontier
    try:
        signed = open_checkpoint(newest.occurred_note if newest else "", keyring.verifiers).checkpoint
    except NoteRefused as error:
        raise LogBroken(f"the head of {origin} is not signed by this installation: {error}") from error
    if (signed.origin, signed.size, signed.root) != (origin, found.size, frontier.root):
        raise LogBroken(f"the row of {found.origin} holds other times than were signed at {signed.size:,} leaves")
    if root_of(found, base=log_rows.OCCURRED) != signed.root:
        raise LogBroken(f"the tiles of {origin} do not give the root that was signed at {signed.size:,} leaves")
    return frontier


def _before(found: Log, frontier: Frontier) -> Iterator[RecordedEvent]:
    """Yield the sealed events that the tree over the times lacks: all of them or none."""
    if frontier.size < found.size:
        every = get_store(found.project).read_all()
        yield from takewhile(lambda event: event.position <= found.position, every)


def checked(found: Log, keyring: Keyring) -> Frontier:
    """Return a log's frontier, once its tiles, its row and its signed head agree.

    Raises:
        LogBroken: they do not; the message says which.
    """
    try:
        frontier = log_rows.frontier_of(found)
    except ValueError as error:
        raise LogBroken(f"the row of {found.origin} is damaged: {error}") from error
    newest = log_rows.head(found)
    if newest is None:
        if found.size:
            raise LogBroken(f"{found.origin} has {found.size:,} leaves and no signed head")
        return frontier
    try:
        opened = open_checkpoint(newest.note, keyring.verifiers)
    except NoteRefused as error:
        raise LogBroken(f"the newest head of {found.origin} is not signed by this installation: {error}") from error
    signed = opened.checkpoint
    if (signed.origin, signed.size) != (found.origin, found.size):
        raise LogBroken(f"{found.origin} has {found.size:,} leaves, its newest signed head {signed.size:,}")
    if signed.root != frontier.root or root_of(found) != signed.root:
        raise LogBroken(f"the tiles of {found.origin} do not give the root that was signed at {signed.size:,} leaves")
    return frontier


def root_of(found: Log, size: int | None = None, *, base: int = 0) -> bytes:
    """Return the root that a log's tiles give, or those over its times; nothing where tiles are missing."""
    try:
        return log_rows.tiles(found, base=base).root(size)
    except IndexError:
        return b""


def _break(found: Log, reason: str, event: RecordedEvent) -> None:
    log.error("log_broken", origin=found.origin, reason=reason)
    Log.objects.filter(pk=found.pk).update(broken=reason)
    _alert(event, reason)


def _alert(event: RecordedEvent, reason: str) -> None:
    title = f"The log of {event.project} does not fit its last signed checkpoint"
    raised = Raised(
        kind=LOG_BROKEN, run=event.stream, version=event.version, event_id=event.id, title=title, summary=reason
    )
    alerting.ask(event, raised, now=datetime.now(UTC))


# --- Logs that are behind, and logs that cannot go on ---------------------------------------------------------------


def look_back() -> None:
    """Compare every log with the newest head that is known outside the database.

    A database that holds less than was signed was put back to an earlier day: its log ends, and another one begins. One
    that holds something else in the same place is broken.
    """
    for found in log_rows.all_newest():
        if not found.broken:
            _look_back(found)


def _look_back(found: Log) -> None:
    known = log_heads.in_use().newest(found.origin)
    if known is None:
        return
    note, signed = known
    if signed.size > found.size:
        reason = (
            f"the database held {found.size:,} of the {signed.size:,} events that were signed: it was put back to an"
            " earlier day"
        )
        reopen(found, note=note, reason=reason)
    elif root_of(found, signed.size) != signed.root:
        reason = f"{found.origin} no longer holds the first {signed.size:,} events as they were signed"
        log.error("log_broken", origin=found.origin, reason=reason)
        Log.objects.filter(pk=found.pk).update(broken=reason)


def reopen(found: Log, *, note: str, reason: str, by: str = "") -> None:
    """End a log that cannot go on and begin another one; the event that says so is sealed in that one."""
    log.error("log_reopened", origin=found.origin, size=found.size, reason=reason)
    said = LogReopened(origin=found.origin, checkpoint=note, reason=reason, by=by)
    with transaction.atomic():
        _opened(found.project, epoch=found.epoch + 1)
        Log.objects.filter(pk=found.pk, broken="").update(broken=reason)
    event = EventData(type=catalog.name_of(LogReopened), data=codec.encode(said))
    get_store(found.project).append(stream_of(found.project), [event], expected_version=ANY_VERSION)


def catch_up_behind() -> None:
    """Seal what logs lack that the subscription has passed already: new ones after a restore, and mended ones."""
    passed = checkpoint.read(NAME).position
    for found in log_rows.all_newest():
        while not found.broken and found.position < passed and _is_behind(found, before=passed + 1):
            events = list(get_store(found.project).read_all(after=found.position, limit=BATCH))
            within = [event for event in events if event.position <= passed]
            if not within:
                break
            with transaction.atomic():
                checkpoint.check(NAME, token=checkpoint.read(NAME).token)
                _seal(found, within)
            found = Log.objects.get(pk=found.pk)  # noqa: PLW2901 - the same log, a batch on


def _is_behind(found: Log, *, before: int) -> bool:
    """Whether the project has events past the log's last one and before a position."""
    return EventRow.objects.filter(project=found.project, position__gt=found.position, position__lt=before).exists()


def _opened(project: str, *, epoch: int) -> Log:
    name = log_keys.in_use().keyring().current.name
    origin = f"{name}/log/{project}" + (f"/{epoch}" if epoch > 1 else "")
    return Log.objects.create(project=project, epoch=epoch, origin=origin, opened_at=Now())

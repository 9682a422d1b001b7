"""A log's rows: its newest head, its tiles, and where in it an event stands."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

import msgspec
from django.db.models.functions import Now

from journal.domain.merkle import HASH_BYTES, TILE_WIDTH, Frontier, Tiles
from journal.domain.note import Checkpoint, Proof
from journal.errors import JournalError
from journal.models import EventRow, Log, LogHead, LogTile
from journal.runtime import census, log_heads

OCCURRED: Final = 64
"""Where the levels of the tree over the times begin among a log's tiles; no log is 64 levels high."""


class NotSealed(JournalError):
    """An event that stands under no checkpoint yet, or a project without a log."""

    def __init__(self, *, project: str, event_id: str | None = None) -> None:
        self.project = project
        self.event_id = event_id
        what = f"event {event_id}" if event_id else "no event"
        is_not = "is not" if event_id else "is"
        super().__init__(
            f"{what} of project {project!r} {is_not} under a signed checkpoint yet; the sealer, which `nagare serve`"
            " runs, signs one about every second"
        )


def newest(project: str) -> Log | None:
    """Return the log that a project's events are sealed in now, None where there is none yet."""
    return Log.objects.filter(project=project).order_by("-epoch").first()


def all_newest() -> list[Log]:
    """Return every project's newest log, by project."""
    found: dict[str, Log] = {}
    for log in Log.objects.order_by("project", "epoch"):
        found[log.project] = log
    return list(found.values())


def frontier_of(log: Log) -> Frontier:
    """Return the frontier that stands in a log's row.

    Raises:
        ValueError: it is not one of a tree of the log's size.
    """
    return Frontier(log.size, _hashes(bytes(log.frontier)))


def occurred_frontier_of(log: Log) -> Frontier:
    """Return the frontier of the tree over the times: an empty one where the log was begun before there was that tree.

    Raises:
        ValueError: it is not one of a tree of the log's size.
    """
    kept = bytes(log.occurred)
    return Frontier(log.size if kept else 0, _hashes(kept))


def _hashes(kept: bytes) -> list[bytes]:
    return [kept[at : at + HASH_BYTES] for at in range(0, len(kept), HASH_BYTES)]


def head(log: Log) -> LogHead | None:
    """Return the newest checkpoint of a log."""
    return LogHead.objects.filter(log=log).order_by("-size").first()


def head_at(log: Log) -> LogHead | None:
    """Return the checkpoint at the size that a log's row had when it was read: others may have come since."""
    return LogHead.objects.filter(log=log, size__lte=log.size).order_by("-size").first()


def tiles(log: Log, *, size: int | None = None, base: int = 0) -> Tiles:
    """Return the log's tree, or with `OCCURRED` that over the times; it reads its tiles as they are needed."""
    return Tiles(
        log.size if size is None else size, lambda level, index, width: read_tile(log, base + level, index, width)
    )


def read_tile(log: Log, level: int, index: int, width: int) -> bytes:
    """Return a tile's hashes; nothing where there is none. Fewer than `width` mean that rows are missing."""
    del width
    found = LogTile.objects.filter(log=log, level=level, index=index).values_list("hashes", flat=True).first()
    return bytes(found) if found is not None else b""


def leaves(log: Log, *, first: int = 0, base: int = 0) -> Iterator[bytes]:
    """Yield the hashes of a log's leaves in order, from the tile that holds leaf `first` on, a tile at a time.

    As many as the log had when its row was read: its last tile may be wider by now.
    """
    start = first // TILE_WIDTH
    every = (
        leaf
        for index in range(start, -(-log.size // TILE_WIDTH))
        for leaf in _hashes(read_tile(log, base, index, TILE_WIDTH))
    )
    return islice(every, max(log.size - start * TILE_WIDTH, 0))


def write_tiles(log: Log, changed: Mapping[tuple[int, int], bytes]) -> None:
    """Write new tiles and widen those that are there."""
    known = {
        (row.level, row.index): row
        for row in LogTile.objects.filter(log=log, index__in={index for _, index in changed}).defer("hashes")
    }
    for place, hashes in changed.items():
        if place in known:
            LogTile.objects.filter(pk=known[place].pk).update(hashes=hashes)
    LogTile.objects.bulk_create(
        LogTile(log=log, level=level, index=index, hashes=hashes)
        for (level, index), hashes in changed.items()
        if (level, index) not in known
    )


def move_on(log: Log, *, frontier: Frontier, occurred: Frontier, position: int) -> bool:
    """Move a log's row on from the size that was read. Returns whether it was still there."""
    return bool(
        Log.objects.filter(pk=log.pk, size=log.size, broken="").update(
            size=frontier.size,
            frontier=b"".join(frontier.roots),
            occurred=b"".join(occurred.roots),
            position=position,
        )
    )


def write_head(log: Log, checkpoint: Checkpoint, *, note: str, occurred_note: str, position: int) -> None:
    """Write a signed checkpoint, with that of the tree over the times."""
    LogHead.objects.create(
        log=log,
        size=checkpoint.size,
        root=checkpoint.root,
        note=note,
        occurred_note=occurred_note,
        position=position,
        sealed_at=Now(),
    )


def occurred_origin(log: Log) -> str:
    """Return the origin that heads of the tree over the times are signed under."""
    return f"{log.origin}/occurred"


def has_times(log: Log, newest: LogHead | None) -> bool:
    """Return whether times of a log were signed, as its newest head says, or one that is kept outside the database."""
    is_said = newest is not None and bool(newest.occurred_note)
    return is_said or log_heads.in_use().newest(occurred_origin(log)) is not None


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where an event stands in its log, and the first checkpoint it stands under."""

    index: int
    size: int


def place_of(log: Log, position: int) -> Place | None:
    """Return the place of the event at a position, None where it is not sealed yet.

    Counts the project's events in one batch of the sealer, which bounds the work. Where rows were removed since, the
    count is wrong, and so is the proof made with it: that is found when it is checked.
    """
    after = LogHead.objects.filter(log=log, position__gte=position).order_by("size").values("size").first()
    if after is None:
        return None
    before = LogHead.objects.filter(log=log, position__lt=position).order_by("-size").values("size", "position").first()
    start, first = (before["position"], before["size"]) if before else (0, 0)
    within = EventRow.objects.filter(project=log.project, position__gt=start, position__lt=position).count()
    return Place(index=first + within, size=after["size"])


def proof_of(log: Log, position: int, *, under: LogHead | None = None) -> Proof | None:
    """Return the proof of the event at a position under a checkpoint, the newest by default; None if not sealed."""
    under = under or head(log)
    place = place_of(log, position)
    if place is None or under is None or place.index >= under.size:
        return None
    path = tiles(log, size=under.size).inclusion(place.index)
    return Proof(index=place.index, path=tuple(path), note=under.note)


def indexes_of(log: Log, positions: Sequence[int]) -> dict[int, int]:
    """Return the places in a log of the events at these positions, each batch of the sealer counted once.

    One that is not sealed, or is not there, is left out.
    """
    found: dict[int, int] = {}
    wanted = sorted(positions)
    heads = LogHead.objects.filter(log=log).order_by("size").values_list("position", "size").iterator(chunk_size=2_000)
    after = first = at = 0
    for until, size in heads:
        upper = bisect_right(wanted, until, lo=at)
        if upper > at:
            within = census.positions_between(log.project, after=after, until=until)
            place = {position: first + index for index, position in enumerate(within)}
            found |= {position: place[position] for position in wanted[at:upper] if position in place}
            at = upper
        if at == len(wanted):
            break
        after, first = until, size
    return found

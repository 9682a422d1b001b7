"""The access log: records of who did what, appended to the project's journal in its stream of the day.

Two ways in. `record_access` is for what matters each time, such as an export, an erasure or a role: it is appended at
once, after the transaction that it is called in. `note_access` is for what happens with every move of a cursor, and
for refusals, which a stranger can have as many of as they like: the first of a kind is written within a second, by a
thread behind the pages, and what is the same for ten minutes after is counted and written as one. Neither ever raises:
what could not be written is tried again, logged and counted.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from django.db import DataError, connections, transaction
from uuid_utils.compat import uuid7

from journal.access.acting import Actor, actor
from journal.domain import codec
from journal.domain.access_log import EVENTS, AccessKind, Outcome, stream_of
from journal.domain.catalog import catalog
from journal.domain.event import EventData, Metadata, instant
from journal.domain.stream import ANY_VERSION
from journal.errors import EventIdReused, PayloadRefused
from journal.models import Project
from journal.store import get_store

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

WINDOW_S: Final = 600.0
"""How long the same again is counted instead of written."""

EVERY_S: Final = 1.0
"""How often the thread behind the pages writes."""

MOST_WINDOWS: Final = 20_000
MOST_REFUSED: Final = 200
"""Different refusals that one project's log tells apart in a window; more are told as one sum."""

_MOST_WAITING: Final = 20_000
_MOST_TRIES: Final = 100
"""How often one record is tried while the database answers."""
_MOST_MISSES: Final = 10
"""How many records may fail at one go: those behind them have their turn first a second later."""
_BATCH: Final = 500
_LONGEST: Final = 300


@dataclass(frozen=True, kw_only=True)
class Record:
    """One record on its way into the journal. `id` makes a second try the same event."""

    id: str
    project: str
    kind: AccessKind
    at: datetime
    said: dict[str, Any]
    correlation: str = ""
    resolve: Callable[[Record], Sequence[Record]] | None = None
    """What is to be found out before it is written, behind the page: whose a wrong token was, whose a stream is."""
    tries: int = 0

    def event(self) -> EventData:
        """Return the record as an event."""
        struct = EVENTS[self.kind]
        actor = f"user:{self.said['by']}" if self.said.get("by") else None
        return EventData(
            id=self.id,
            type=catalog.name_of(struct),
            data=codec.encode(struct(**self.said)),
            metadata=codec.encode(Metadata(correlation_id=self.correlation or None, actor=actor)),
            occurred_at=self.at,
        )


@dataclass(kw_only=True)
class _Window:
    """The same thing, done again and again: what is counted until it is written as one record."""

    first: Record
    opened: float
    again: int = 0
    since: datetime | None = None
    last: datetime | None = None
    versions: list[int] = field(default_factory=list)

    def count(self, record: Record) -> None:
        """Take another one in."""
        self.again += 1
        self.since = self.since or record.at
        self.last = record.at
        for name in ("first_version", "last_version"):
            if version := record.said.get(name):
                self.versions = [min([version, *self.versions]), max([version, *self.versions])]

    def sum(self) -> Record | None:
        """Return what came after the first as one record, None where nothing did."""
        if not self.again or self.since is None or self.last is None:
            return None
        said = {**self.first.said, "count": self.again, "since": instant(self.since)}
        if self.versions:
            said |= {"first_version": self.versions[0], "last_version": self.versions[1]}
        return Record(
            id=str(uuid7()),
            project=self.first.project,
            kind=self.first.kind,
            at=self.last,
            said=said,
            correlation="",
            resolve=self.first.resolve,
        )


def _one_of_many(record: Record) -> Record:
    said = {"what": "many different things", "outcome": record.said["outcome"]}
    return replace(record, said=said, correlation="", resolve=_where_somebody_looks)


def _where_somebody_looks(record: Record) -> Sequence[Record]:
    """Return the record for its project, or where there is none of that name for the first by name."""
    known = Project.objects.filter(slug=record.project).exists()
    slug = record.project if known else first_project()
    return [replace(record, project=slug, resolve=None)] if slug else []


def first_project() -> str:
    """Return where the installation's own people look, empty where there is no project at all."""
    return Project.objects.order_by("slug").values_list("slug", flat=True).first() or ""


class Recorder:
    """Takes records and writes them. `is_on` False keeps nothing; `has_thread` False writes when `flush` is called."""

    def __init__(self, *, is_on: bool = False, has_thread: bool = False) -> None:
        self._is_on = is_on
        self._has_thread = has_thread
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._waiting: deque[Record] = deque()
        self._windows: OrderedDict[tuple[Any, ...], _Window] = OrderedDict()
        self._refused: Counter[str] = Counter()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.failed = 0
        """Records that could not be written at the first try."""
        self.lost = 0
        """Records that were given up: more waited than is kept, or one that never can be written."""

    # --- Taking -------------------------------------------------------------------------------------------------------

    def take(self, record: Record) -> None:
        """Write a record now; inside a transaction, once that is committed. One that cannot be written waits."""
        if not self._is_on:
            return
        if transaction.get_connection().in_atomic_block:
            transaction.on_commit(lambda: self._write_now(record))
        else:
            self._write_now(record)

    def note(self, record: Record, *, key: tuple[Any, ...]) -> None:
        """Count a record; the first of a window waits for the thread. Touches no database."""
        if not self._is_on:
            return
        with self._lock:
            if self._is_flood(record, key):
                record, key = _one_of_many(record), (record.project, AccessKind.REFUSED)
            window = self._windows.get(key)
            if window is not None and time.monotonic() - window.opened < WINDOW_S:
                window.count(record)
                return
            self._close(key)
            if len(self._windows) >= MOST_WINDOWS:
                self._close(next(iter(self._windows)))
            self._windows[key] = _Window(first=record, opened=time.monotonic())
            if record.kind is AccessKind.REFUSED:
                self._refused[record.project] += 1
            self._wait(record)
        self._wake()

    def _is_flood(self, record: Record, key: tuple[Any, ...]) -> bool:
        is_new = record.kind is AccessKind.REFUSED and key not in self._windows
        return is_new and self._refused[record.project] >= MOST_REFUSED

    # --- Writing ------------------------------------------------------------------------------------------------------

    def flush(self, *, all_windows: bool = False) -> None:
        """Write what waits, and the windows that are over; with `all_windows`, all of them: before a stop."""
        with self._writing:
            with self._lock:
                self._sweep(0.0 if all_windows else WINDOW_S)
                batch = list(self._waiting)
                self._waiting.clear()
            for record in self._written(batch):
                with self._lock:
                    self._wait(record)

    def close(self) -> None:
        """Stop the thread and write everything."""
        self._stop.set()
        thread = self._thread
        if thread is not None:
            thread.join(timeout=5)
        self.flush(all_windows=True)

    def _write_now(self, record: Record) -> None:
        for left in self._written([record]):
            with self._lock:
                self._wait(left)
            self._wake()

    def _written(self, batch: Sequence[Record]) -> Iterator[Record]:
        """Write records by stream, and yield those that are to be tried again."""
        left: list[Record] = []
        streams: dict[tuple[str, str], list[Record]] = {}
        for record in self._each(self._ready, batch, left):
            streams.setdefault((record.project, stream_of(record.at)), []).append(record)
        for records in streams.values():
            for start in range(0, len(records), _BATCH):
                self._append(records[start : start + _BATCH], left)
        yield from left

    def _ready(self, record: Record) -> Sequence[Record]:
        return record.resolve(record) if record.resolve else [record]

    def _append(self, part: Sequence[Record], left: list[Record]) -> None:
        """Append together what may be; where that fails, one at a time: the others do not wait for one's sake."""
        if len(part) > 1 and self._is_appended(part):
            return
        for _ in self._each(_appended, part, left):
            pass

    def _is_appended(self, part: Sequence[Record]) -> bool:
        try:
            _append(part)
        except Exception:  # noqa: BLE001 - it is told of the record that it fails for
            return False
        return True

    def _each(
        self, do: Callable[[Record], Sequence[Record]], batch: Sequence[Record], left: list[Record]
    ) -> Iterator[Record]:
        """Do something with each record. One that fails does not hold up the others; `left` are to be tried again."""
        misses = 0
        for at, record in enumerate(batch):
            try:
                done = do(record)
            except Exception as error:  # noqa: BLE001 - no page and no command fails for want of its record
                if not _is_answering():
                    self._fail(len(batch) - at, error)
                    left += batch[at:]
                    return
                self._fail(1, error)
                if _is_hopeless(error) or record.tries == _MOST_TRIES:
                    self._lose(error)
                    continue
                left.append(replace(record, tries=record.tries + 1))
                misses += 1
                if misses == _MOST_MISSES:
                    left[:0] = batch[at + 1 :]
                    return
            else:
                yield from done

    def _lose(self, error: Exception | None = None) -> None:
        self.lost += 1
        log.error("access_record_lost", lost=self.lost, reason=type(error).__name__ if error else "too many waited")

    def _fail(self, count: int, error: Exception) -> None:
        self.failed += count
        log.warning("access_records_not_written", count=count, failed=self.failed, reason=type(error).__name__)

    def _wait(self, record: Record) -> None:
        if len(self._waiting) >= _MOST_WAITING:
            self._waiting.popleft()
            self._lose()
        self._waiting.append(record)

    def _close(self, key: tuple[Any, ...]) -> None:
        window = self._windows.pop(key, None)
        if window is None:
            return
        if window.first.kind is AccessKind.REFUSED:
            self._refused[window.first.project] -= 1
            if not self._refused[window.first.project]:
                del self._refused[window.first.project]
        if (total := window.sum()) is not None:
            self._wait(total)

    def _sweep(self, older_than_s: float) -> None:
        """Close the windows that are over: they stand in the order in which they were opened."""
        now = time.monotonic()
        while self._windows:
            key, window = next(iter(self._windows.items()))
            if now - window.opened < older_than_s:
                return
            self._close(key)

    def _wake(self) -> None:
        if self._has_thread and (self._thread is None or not self._thread.is_alive()) and not self._stop.is_set():
            self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            self.flush()
            connections.close_all()


def _append(part: Sequence[Record]) -> None:
    project, at = part[0].project, part[0].at
    events = [record.event() for record in part]
    get_store(project).append(stream_of(at), events, expected_version=ANY_VERSION)


def _appended(record: Record) -> Sequence[Record]:
    with suppress(EventIdReused):  # an earlier try got through, and its answer did not
        _append([record])
    return [record]


def _is_hopeless(error: Exception) -> bool:
    """Return whether a record can never be written, whenever it is tried."""
    return isinstance(error, DataError | PayloadRefused | ValueError | TypeError)


def _is_answering() -> bool:
    """Return whether the database answers: then it is the record that something is wrong with."""
    try:
        Project.objects.exists()
    except Exception:  # noqa: BLE001 - a database that is away raises its driver's own
        return False
    return True


_in_use = Recorder()


def use(recorder: Recorder) -> None:
    """Say what records in this process."""
    global _in_use  # noqa: PLW0603 - set once, as the app is loaded
    _in_use = recorder


def in_use() -> Recorder:
    """Return what records in this process."""
    return _in_use


def close() -> None:
    """Write what waits, before the process stops."""
    _in_use.close()


def record_access(  # noqa: PLR0913 - what a record consists of
    project: str,
    kind: AccessKind,
    what: str,
    *,
    of: str = "",
    detail: str = "",
    outcome: Outcome = "done",
    who: Actor | None = None,
) -> None:
    """Record something that counts each time: it is in the journal when this returns, or once the transaction is.

    `of` names the object; neither it nor `detail` may hold anything of a payload. `who` is the one who acts now unless
    another is given. Never raises.
    """
    _in_use.take(_record(project, kind, what, of=of, detail=detail, outcome=outcome, who=who or actor()))


def note_access(  # noqa: PLR0913 - what a record consists of
    project: str,
    kind: AccessKind,
    what: str,
    *,
    of: str = "",
    version: int = 0,
    detail: str = "",
    outcome: Outcome = "done",
    who: Actor | None = None,
    resolve: Callable[[Record], Sequence[Record]] | None = None,
    beside: str = "",
) -> None:
    """Note something that happens often; one record for each person, object and `what` in ten minutes, and a sum.

    `project` is one that exists; what else somebody asked for stands in `beside`, which tells records apart and is not
    kept. Asks no database. Never raises.
    """
    who = who or actor()
    record = _record(
        project, kind, what, of=of, version=version, detail=detail, outcome=outcome, who=who, resolve=resolve
    )
    about = detail if kind is AccessKind.REFUSED else of
    _in_use.note(record, key=(project, kind, what, who.by, who.via, who.origin, outcome, about, beside))


def _record(  # noqa: PLR0913 - what a record consists of
    project: str,
    kind: AccessKind,
    what: str,
    *,
    who: Actor,
    of: str = "",
    version: int = 0,
    detail: str = "",
    outcome: Outcome = "done",
    resolve: Callable[[Record], Sequence[Record]] | None = None,
) -> Record:
    texts = {"what": what, "object": of, "detail": detail, "by": who.by, "via": who.via, "origin": who.origin}
    said: dict[str, Any] = {name: _kept(text) for name, text in texts.items()}
    if version:
        said |= {"first_version": version, "last_version": version}
    return Record(
        id=str(uuid7()),
        project=project,
        kind=kind,
        at=datetime.now(UTC),
        said={**said, "outcome": outcome},
        correlation=_kept(who.correlation),
        resolve=resolve,
    )


def _kept(text: str) -> str:
    """Return a text that the journal keeps, cut to what is a name: no NUL, no half of a character."""
    return text.replace("\x00", "").encode(errors="ignore").decode()[:_LONGEST]

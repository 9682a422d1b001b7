"""The bridge to LangGraph's checkpointers: reads a database that agents write, and brings what is new in it.

A thread is read again once its mark differs from the one that is remembered, which is written after its runs: stopping
anywhere, starting again, or two bridges at once bring every event once. Nothing is written to the other database.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

import psycopg

from journal.errors import ImportRefused
from journal.ingest import Format
from journal.ingest.files import Found
from journal.ingest.importer import FileReport, Importer, Report, totals
from journal.ingest.langgraph import FORMAT
from journal.ingest.langgraph_postgres import PostgresCheckpoints
from journal.ingest.langgraph_saved import CheckpointDatabase, Saved, SqliteCheckpoints, has_checkpoints, open_file
from journal.ingest.langgraph_thread import runs_of
from journal.ingest.source import Source
from journal.models import BridgedThread
from journal.store import EventStore

_PATIENCE_S: Final = 10
_LONGEST_PAUSE_S: Final = 60.0
_POSTGRESQL: Final = ("postgresql", "postgres", "postgresql+psycopg")
_LOST: Final = (psycopg.OperationalError, sqlite3.DatabaseError)
_AWAY: Final = (psycopg.OperationalError, sqlite3.OperationalError)
_ODD: Final = (psycopg.DataError, sqlite3.DatabaseError)
"""What reading a thread raises that is not `_AWAY`: this thread cannot be read, and the others can."""

OnReport = Callable[[FileReport], None]


@dataclass(kw_only=True)
class Bridge:
    """Brings one database's threads into one project's journal."""

    store: EventStore
    url: str
    replace: bool = False
    on_report: OnReport = lambda _report: None
    on_trouble: Callable[[str], None] = lambda _reason: None
    _source: str = field(init=False)

    def __post_init__(self) -> None:
        """Name the database as the marks remember it: a password that changes makes no other database of it."""
        self._source = sha256(shown(self.url).encode()).hexdigest()

    def once(self) -> Report:
        """Bring what is new, and return a report in which each thread stands as a file.

        Raises:
            ImportRefused: the database cannot be opened, or is none of a saver's.
        """
        try:
            with _opened(self.url) as database:
                return self._poll(database)
        except _LOST as lost:
            raise ImportRefused(
                f"{shown(self.url)} went away: {str(lost).strip()}; what was read so far is in"
            ) from lost

    def follow(self, stop: threading.Event, *, poll_s: float, on_new: Callable[[], None] = lambda: None) -> Report:
        """Bring what is new until `stop` is set; a database that goes away is waited for. Returns what came in all.

        `on_new` is called after each look that found something.
        """
        brought = Report(files=[], totals=totals([]))
        pause_s = poll_s
        while not stop.is_set():
            try:
                with _opened(self.url) as database:
                    while not stop.is_set():
                        found = self._poll(database)
                        pause_s = poll_s
                        if found.files:
                            brought = Report(files=[], totals=_sum(brought.totals, found.totals))
                            on_new()
                        stop.wait(poll_s)
            except (ImportRefused, *_LOST) as lost:
                self.on_trouble(f"{lost}; looking again in {pause_s:g} s")
                stop.wait(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        return brought

    def _poll(self, database: CheckpointDatabase) -> Report:
        known = dict(self._remembered())
        marks = {thread: mark for thread, mark in database.marks().items() if known.get(_digest(thread)) != mark}
        as_files = Format(
            name=FORMAT.name,
            title=FORMAT.title,
            detect=FORMAT.detect,
            read=lambda source: runs_of(_checkpoints(database, source)),
        )
        importer = Importer(store=self.store, format_name=FORMAT.name, replace=self.replace, formats=(as_files,))

        def done(report: FileReport) -> None:
            self._remember(report.path, marks[report.path])
            self.on_report(report)

        return importer.run((Found(name=thread) for thread in sorted(marks)), on_file=done)

    def _remembered(self) -> Iterator[tuple[str, str]]:
        rows = BridgedThread.objects.filter(project=self.store.project, source=self._source)
        yield from rows.values_list("thread", "mark").iterator()

    def _remember(self, thread: str, mark: str) -> None:
        """Remember that a thread was read; one that was refused is read again once it changes."""
        BridgedThread.objects.update_or_create(
            project=self.store.project, source=self._source, thread=_digest(thread), defaults={"mark": mark}
        )


def _checkpoints(database: CheckpointDatabase, thread: Source) -> list[Saved]:
    """Return a thread's checkpoints.

    Raises:
        ImportRefused: the database is there, and this thread in it cannot be read.
    """
    try:
        return database.read(thread.name, thread.note)
    except _AWAY:
        raise
    except _ODD as error:
        raise ImportRefused(f"the database cannot read it ({str(error).strip()})") from error


def shown(url: str) -> str:
    """Return a database's URL without its password."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    user = f"{parts.username}@" if parts.username else ""
    return parts._replace(netloc=user + parts.netloc.rpartition("@")[2]).geturl()


@contextmanager
def _opened(url: str) -> Iterator[CheckpointDatabase]:
    """Open a saver's database to read it.

    Raises:
        ImportRefused: it is not there, or has no such tables.
    """
    scheme, _, rest = url.partition("://")
    if scheme in _POSTGRESQL:
        with _postgresql(f"postgresql://{rest}") as connection:
            yield PostgresCheckpoints(connection=connection)
    elif rest and scheme != "sqlite":
        raise ImportRefused(
            f"a LangGraph saver keeps nothing at {scheme}://; name a sqlite:/// or postgresql:// database"
        )
    else:
        with closing(open_file(rest.removeprefix("/") if rest else url)) as connection:
            if not has_checkpoints(connection):
                raise ImportRefused(_no_tables(url))
            yield SqliteCheckpoints(connection=connection)


@contextmanager
def _postgresql(url: str) -> Iterator[psycopg.Connection]:
    try:
        connection = psycopg.connect(
            url, autocommit=True, connect_timeout=_PATIENCE_S, fallback_application_name="nagare-bridge"
        )
    except psycopg.Error as error:
        raise ImportRefused(f"{shown(url)} cannot be opened: {str(error).strip()}") from error
    with closing(connection):
        connection.read_only = True
        try:
            yield connection
        except psycopg.errors.UndefinedTable as error:
            raise ImportRefused(_no_tables(url)) from error


def _no_tables(url: str) -> str:
    return f"{shown(url)} has none of a LangGraph saver's tables; run the graph once, or call the saver's setup()"


def _digest(thread: str) -> str:
    """Return a name of a thread that every database tells apart from others, however long it is and however cased."""
    return sha256(thread.encode("utf-8", "surrogatepass")).hexdigest()


def _sum(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {name: value + other[name] for name, value in one.items()}

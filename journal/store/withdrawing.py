"""The one path by which a payload leaves the journal: a mark takes its place (`journal.domain.withdrawn`).

The database lets no other change through (migration `withdrawn`), and this one only on an order that stands in the
journal. Doing it again changes nothing: what is a mark already is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final

import msgspec
from django.db import connections, transaction

from journal.domain.event import RecordedEvent
from journal.domain.leaf import subject_keys
from journal.domain.withdrawn import Kind, is_withdrawn, marked

_BATCH: Final = 500
"""Events in one transaction: writers wait for no longer than that takes."""

_REPLACE: Final = "UPDATE journal_event SET data = %s, metadata = %s WHERE position = %s AND project = %s"


_METADATA: Final = "SELECT position, metadata FROM journal_event WHERE project = %s AND position > %s ORDER BY position"
_PAGE: Final = 5_000


def withdraw(
    events: Iterable[RecordedEvent], *, act: str, kind: Kind, at: datetime, using: str = "default"
) -> Iterator[RecordedEvent]:
    """Take the payloads of events away, in transactions of their own; yield those that had one, as they were.

    `act` is the event that orders it.
    """
    there = (event for event in events if not is_withdrawn(event.data))
    while batch := list(islice(there, _BATCH)):
        _overwrite_freed_pages(using)
        with transaction.atomic(using=using), connections[using].cursor() as cursor:
            cursor.executemany(_REPLACE, [_row(event, act, kind, at) for event in batch])
        yield from batch


def _row(event: RecordedEvent, act: str, kind: Kind, at: datetime) -> Sequence[Any]:
    """Whether the time was a real one is said on: a list that forgot it would show the moment of import as one."""
    time = {} if event.meta.time == "recorded" else {"time": event.meta.time}
    data = marked(event.data, act=act, kind=kind, at=at, keys=subject_keys(event.data))
    metadata = marked(event.metadata, act=act, kind=kind, at=at, keys=subject_keys(event.metadata), **time)
    return data, metadata, event.position, event.project


def _overwrite_freed_pages(using: str) -> None:
    """Let SQLite write zeros where a longer payload stood. A pragma is the connection's, so it is said each time."""
    if connections[using].vendor == "sqlite":
        with connections[using].cursor() as cursor:
            cursor.execute("PRAGMA secure_delete = ON")


def with_subject(project: str, *, using: str = "default") -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield, of every event of a project that names subjects, its position and those.

    It reads the metadata of all events, and trusts no index: what is to be erased may not be overlooked.
    """
    after = 0
    while True:
        with connections[using].cursor() as cursor:
            cursor.execute(_METADATA + _first(using), [project, after])
            rows = cursor.fetchall()
        for position, metadata in rows:
            raw = bytes(metadata)
            if b"subjects" in raw and (named := _subjects(raw)):
                yield position, named
        if len(rows) < _PAGE:
            return
        after = rows[-1][0]


def _first(using: str) -> str:
    if connections[using].vendor == "microsoft":
        return f" OFFSET 0 ROWS FETCH NEXT {_PAGE} ROWS ONLY"
    return f" LIMIT {_PAGE}"


class _Named(msgspec.Struct):
    subjects: Any = None


_decode: Final = msgspec.json.Decoder(_Named).decode


def _subjects(metadata: bytes) -> tuple[str, ...]:
    found = _decode(metadata).subjects
    return tuple(one for one in found if isinstance(one, str) and one) if isinstance(found, list) else ()

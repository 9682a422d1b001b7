"""Events as a fold needs them, of many streams at once: few columns, only some types, and no objects made of rows.

A stream a query is most of what reading short runs costs, and columns that nobody looks at are a good part of the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from journal.domain.sieve import Types
from journal.store.protocol import Told

Fetch = Callable[[str, Sequence[Any]], Sequence[tuple[Any, ...]]]

WINDOW: Final = 1_000
"""Events that are read at once, at most: a request to a model may be a megabyte, and they are all in memory."""

_NAMES: Final = 500
_PLACES: Final = 100
_SELECT: Final = "SELECT stream_id, version, type, schema_version, data, occurred_us FROM journal_event"
_stream: Final = itemgetter(0)


def read(
    fetch: Fetch, project: str | None, runs: Mapping[str, int], types: Types
) -> Iterator[tuple[str, Sequence[Told]]]:
    """Yield rows by stream. See `EventStore.read_told`."""
    among, kinds = _among(types)
    for streams in _windows(_known(fetch, project, runs), runs):
        longest = max(until for _, until in streams.values())
        sole = next(iter(streams)) if longest > WINDOW else None
        for after in range(0, longest, WINDOW) if sole is not None else (0,):
            # Numbers are written into the statement: what a database does with 500 parameters differs.
            until = min(after + WINDOW, longest) if sole is not None else longest
            where = f"WHERE stream_id IN ({', '.join(map(str, streams))}) AND version > %s AND version <= %s"
            rows = fetch(f"{_SELECT} {where}{among} ORDER BY stream_id, version", [after, until, *kinds])
            for stream, told in groupby(rows, _stream):
                name, last = streams[stream]
                found = list(told)
                if last < longest:  # it went on while others did not
                    found = [row for row in found if row[1] <= last]
                yield name, found


def _among(types: Types) -> tuple[str, list[str]]:
    """Return the clause for some types, and its values."""
    if not types.names:
        return ("", []) if types.are_left_out else (" AND version = 1", [])
    names = sorted(types.names)
    test = "NOT IN" if types.are_left_out else "IN"
    return f" AND (type {test} ({', '.join(['%s'] * len(names))}) OR version = 1)", names


def _known(fetch: Fetch, project: str | None, runs: Mapping[str, int]) -> list[tuple[int, str]]:
    """Return the streams that there are, in order of their ids, which is that of their places in the journal."""
    names, found = list(runs), list[tuple[Any, ...]]()
    for start in range(0, len(names), _NAMES):
        page = names[start : start + _NAMES]
        marks = ", ".join(["%s"] * len(page))
        sql = f"SELECT id, name FROM journal_stream WHERE project = %s AND name IN ({marks})"  # noqa: S608 - marks
        found += fetch(sql, [project, *page])
    return sorted((int(pk), str(name)) for pk, name in found)


def _windows(known: Sequence[tuple[int, str]], runs: Mapping[str, int]) -> Iterator[dict[int, tuple[str, int]]]:
    """Yield streams that are read together, by their ids, with their names and last versions."""
    window: dict[int, tuple[str, int]] = {}
    events = 0
    for pk, name in known:
        if window and (events + runs[name] > WINDOW or len(window) >= _NAMES):
            yield window
            window, events = {}, 0
        window[pk] = (name, runs[name])
        events += runs[name]
    if window:
        yield window


def places(
    fetch: Fetch, project: str | None, wanted: Mapping[str, int], select: str
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield the row of the event at a version of each stream, with the stream's name."""
    known = dict(_known(fetch, project, wanted))
    ids = list(known)
    for start in range(0, len(ids), _PLACES):
        page = ids[start : start + _PLACES]
        either = " OR ".join(f"(e.stream_id = {pk} AND e.version = {int(wanted[known[pk]])})" for pk in page)
        for row in fetch(f"{select} FROM journal_event e WHERE {either}", []):
            yield known[row[2]], row

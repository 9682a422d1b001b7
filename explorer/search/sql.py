"""What the databases' search indexes share: words lead to rows, and the rows' text is then looked at.

`SearchText.folded` is null where folding a text is nothing but making ASCII letters small, which every database does
alike: most texts are stored once. Offsets are the same in both.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from django.db import connections

from explorer import search
from explorer.models import SEARCH, SearchText
from explorer.search.passages import READ, READ_BEFORE, Passage, passage
from explorer.search.text import fold
from explorer.search.words import Needle, in_project, in_run, words_of
from journal.runtime.bulk import insert
from journal.runtime.read_model import live_generation_sql

_CHUNK: Final = 200
_LIVE: Final = f"t.generation = {live_generation_sql(SEARCH)} AND t.project = %s"
# The sum keeps planners from looking a run's rows up again for each id that was found, as PostgreSQL does as long as it
# has no statistics of the table: a row is looked up by its id.
_FOUND_LIVE: Final = f"t.generation + 0 = {live_generation_sql(SEARCH)} AND t.project = %s"
_SMALL: Final = str.maketrans({chr(code): chr(code + 32) for code in range(ord("A"), ord("Z") + 1)})


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A `SearchText` to be inserted."""

    generation: int
    project: str
    stream: str
    version: int
    event_id: str
    is_cut: bool
    words: str
    folded: str | None
    text: str


class SqlIndex:
    """A search index in `SearchText` and what hangs on its column `words`.

    A database's class says how words become ids (`found`), how it asks for them (`asked`), and where in a row's text a
    needle begins (`place`; 0 where it does not).
    """

    found: ClassVar[str]
    most: ClassVar[int] = sys.maxsize
    """Bytes that the column `words` takes; of a text with more the beginning is held, as much as has no more."""

    place: str
    substring: str = "SUBSTR"
    false: str = "FALSE"
    top: str = ""
    limit: str = f" LIMIT {search.EVENTS}"

    def __init__(self, using: str) -> None:
        self._using = using

    def asked(self, place: str, sought: Needle) -> str:
        """Return the full-text query for the texts of a place that have a needle's words."""
        raise NotImplementedError

    def candidates(self, project: str, stream: str | None, sought: Needle) -> tuple[str, list[Any]]:
        """Return a statement for the ids of texts that may hold a needle: a run's oldest, or a project's newest.

        Rows of other generations may be among them.
        """
        if stream is not None:
            return self.found.format(direction="ASC", most=search.IN_RUN), [self.asked(in_run(project, stream), sought)]
        return self.found.format(direction="DESC", most=search.ACROSS), [self.asked(in_project(project), sought)]

    def words(self, document: search.Document) -> str:
        """Return the words of a text and of its places, as the column takes them."""
        places = {in_run(document.project, document.stream)}
        if document.is_listed:
            places.add(in_project(document.project))
        return " ".join(sorted(words_of(document.text) | places))

    # --- Writing ------------------------------------------------------------------------------------------------------

    def add(self, documents: Sequence[search.Document], *, generation: int) -> None:
        """Insert the texts; a database's triggers and generated columns do the rest."""
        rows = [self._row(document, generation) for document in documents]
        insert(SearchText, rows, ignore_conflicts=True, using=self._using)

    def _row(self, document: search.Document, generation: int) -> Row:
        held, words = document, self.words(document)
        while len(words) > self.most:
            held = replace(held, text=held.text[: len(held.text) * 3 // 4], is_cut=True)
            words = self.words(held)
        return Row(
            generation=generation,
            project=held.project,
            stream=held.stream,
            version=held.version,
            event_id=held.event_id,
            is_cut=held.is_cut,
            words=words,
            folded=_folded(held.text),
            text=held.text,
        )

    def forget(self, project: str, event_ids: Collection[str]) -> int:
        """Delete the rows of some events, in every generation: the one being built has them too."""
        ids, gone = sorted(event_ids), 0
        for start in range(0, len(ids), _CHUNK):
            rows = SearchText.every.using(self._using).filter(project=project, event_id__in=ids[start : start + _CHUNK])
            gone += rows.delete()[0]
        return gone

    def sweep(self) -> None:
        """Do nothing: no words are kept beside the rows."""

    # --- Finding ------------------------------------------------------------------------------------------------------

    def in_run(self, project: str, stream: str, sought: Needle) -> search.InRun:
        """Return the oldest events of a run. The row that is not positive counts what was looked at."""
        if not sought:
            return search.InRun()
        found, asked = self.candidates(project, stream, sought)
        verified, checked = self.verified(sought)
        statement = (
            f"SELECT t.version FROM ({found}) f JOIN explorer_searchtext t ON t.id = f.id"  # noqa: S608 - as above
            f" WHERE {_FOUND_LIVE} AND t.stream = %s{verified}"
        )
        values = [*asked, project, stream, *checked]
        if verified:
            statement += f" UNION ALL SELECT -COUNT(*) FROM ({found}) n"  # noqa: S608
            values += asked
        rows = [version for (version,) in self._rows(statement, values)]
        versions = tuple(sorted(version for version in rows if version > 0))
        return search.InRun(versions=versions, is_all=max(len(versions), -min(rows, default=0)) < search.IN_RUN)

    def runs(self, project: str, sought: Sequence[Needle]) -> list[search.Hits]:
        """Return the runs of each needle. What was looked at and does not hold it is counted as a run without name."""
        statements, values = [], []
        for at, one in enumerate(sought):
            if one:
                found, asked = self.candidates(project, None, one)
                verified, checked = self.verified(one)
                statements.append(
                    f"SELECT {at} AS needle, t.stream, MIN(t.version), MAX(f.id), COUNT(*) FROM ({found}) f"  # noqa: S608
                    f" LEFT JOIN explorer_searchtext t ON t.id = f.id AND {_FOUND_LIVE}{verified} GROUP BY t.stream"
                )
                values += [*asked, project, *checked]
        groups: list[list[Any]] = [[] for _ in sought]
        for at, *group in self._rows(" UNION ALL ".join(statements), values) if statements else ():
            groups[at].append(group)
        return [_hits(found) for found in groups]

    def events(self, project: str, sought: Sequence[Needle]) -> list[search.EventHits]:
        """Return the newest events of each needle. A row without a version counts what was looked at."""
        statements, values = [], []
        for at, one in enumerate(sought):
            if one:
                found, asked = self.candidates(project, None, one)
                verified, checked = self.verified(one)
                columns = "t.id AS place, t.stream, t.version, t.event_id, t.is_cut, t.text"
                statements.append(
                    f"SELECT {at} AS needle, h.* FROM (SELECT {self.top}{columns}"  # noqa: S608 - as above
                    f" FROM ({found}) f JOIN explorer_searchtext t ON t.id = f.id WHERE {_FOUND_LIVE}{verified}"
                    f" ORDER BY t.id DESC{self.limit}) h"
                    f" UNION ALL SELECT {at}, COUNT(*), '', 0, '', {self.false}, '' FROM ({found}) n"
                )
                values += [*asked, project, *checked, *asked]
        looked_at = [0 for _ in sought]
        hits: list[list[tuple[int, search.EventHit]]] = [[] for _ in sought]
        for at, place, stream, version, event_id, is_cut, text in (
            self._rows(" UNION ALL ".join(statements), values) if statements else ()
        ):
            if not version:
                looked_at[at] = place
                continue
            hit = search.EventHit(stream=stream, version=version, event_id=event_id, text=text, is_cut=bool(is_cut))
            hits[at].append((place, hit))
        return [
            search.EventHits(
                hits=tuple(hit for _place, hit in sorted(found, key=lambda known: -known[0])),
                is_all=len(found) < search.EVENTS and count < search.ACROSS,
            )
            for found, count in zip(hits, looked_at, strict=True)
        ]

    def passages(
        self, project: str, places: Collection[tuple[str, int]], sought: Needle
    ) -> Mapping[tuple[str, int], Passage]:
        """Return the first hit in each of some events."""
        if not places or not sought:
            return {}
        one = "(t.stream = %s AND t.version = %s)"
        return self._passages(
            project, sought, " OR ".join([one] * len(places)), [value for place in places for value in place]
        )

    def passages_between(
        self, project: str, stream: str, sought: Needle, *, after: int, until: int
    ) -> Mapping[int, Passage]:
        """Return the first hit in each event of a part of a run."""
        if not sought:
            return {}
        where = "t.stream = %s AND t.version > %s AND t.version <= %s"
        found = self._passages(project, sought, where, [stream, after, until])
        return {version: hit for (_stream, version), hit in found.items()}

    def _passages(
        self, project: str, sought: Needle, where: str, values: Sequence[Any]
    ) -> dict[tuple[str, int], Passage]:
        """Let the database cut the texts: of one that has 64 kB, a page shows a line."""
        begin = f"CASE WHEN h.place > {READ_BEFORE} THEN h.place - {READ_BEFORE} ELSE 1 END"
        cut = f"{self.substring}(h.text, {begin}, {READ})"
        rows = self._rows(
            f"SELECT h.stream, h.version, h.is_cut, h.place, {cut} FROM (SELECT t.stream, t.version, t.is_cut, t.text,"  # noqa: S608
            f" {self.place} AS place FROM explorer_searchtext t WHERE {_LIVE} AND ({where})) h WHERE h.place > 0",
            [sought.folded, project, *values],
        )
        return {
            (stream, version): passage(
                piece, sought.folded, version=version, is_start=place <= READ_BEFORE, is_cut=bool(is_cut)
            )
            for stream, version, is_cut, place, piece in rows
        }

    # --- Statements ---------------------------------------------------------------------------------------------------

    def verified(self, sought: Needle) -> tuple[str, list[Any]]:
        """Return the condition that a text holds a needle, with its values."""
        return ("", []) if sought.is_enough else (f" AND {self.place} > 0", [sought.folded])

    def _rows(self, statement: str, values: Sequence[Any]) -> list[Any]:
        with connections[self._using].cursor() as cursor:
            cursor.execute(statement, values)
            rows: list[Any] = list(cursor.fetchall())
            return rows


def _hits(groups: list[Any]) -> search.Hits:
    """Return the runs among groups of (stream, first version, newest id, number of texts)."""
    newest = sorted((group for group in groups if group[0] is not None), key=lambda group: -group[2])
    return search.Hits(
        runs=tuple(search.RunHit(stream=group[0], version=group[1]) for group in newest[: search.RUNS]),
        is_all=len(newest) <= search.RUNS and sum(group[3] for group in groups) < search.ACROSS,
    )


def _folded(text: str) -> str | None:
    """Return a text's folded form where it is more than ASCII letters made small, by any database's reckoning."""
    if text.isascii():
        return None
    small = text.translate(_SMALL)
    folded = fold(text)
    return None if folded == small == text.lower() else folded

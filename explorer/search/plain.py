"""Search where a database has no full-text index that we know: the texts themselves are read.

A run's texts are found by the run's index. Across runs, only the newest texts are looked at. Written for SQL Server,
in SQL that others take too.
"""

from __future__ import annotations

from typing import Any

from django.db import connections

from explorer import search
from explorer.models import SEARCH
from explorer.search.sql import SqlIndex
from explorer.search.words import Needle
from journal.runtime.read_model import live_generation_sql


class PlainIndex(SqlIndex):
    """Looks into each text. Of the words only stands there whether a search across runs looks at the text."""

    def __init__(self, using: str) -> None:
        super().__init__(using)
        self._is_microsoft = connections[using].vendor == "microsoft"
        if self._is_microsoft:
            self.place = "CHARINDEX(%s, COALESCE(t.folded, LOWER(t.text)) COLLATE Latin1_General_100_BIN2_UTF8)"
            self.substring = "SUBSTRING"
            self.false, self.top, self.limit = "0", f"TOP ({search.EVENTS}) ", ""
        else:
            self.place = "INSTR(COALESCE(t.folded, LOWER(t.text)), %s)"

    def words(self, document: search.Document) -> str:
        """Return a word for texts that are listed."""
        return "listed" if document.is_listed else ""

    def candidates(self, project: str, stream: str | None, sought: Needle) -> tuple[str, list[Any]]:
        """Return a statement for the texts of a run, or the newest of a project, whatever they say."""
        del sought
        live = f"w.generation = {live_generation_sql(SEARCH)} AND w.project = %s"
        if stream is not None:
            return self._first(f"{live} AND w.stream = %s", "w.version", search.IN_RUN), [project, stream]
        return self._first(f"{live} AND w.words <> ''", "w.id DESC", search.ACROSS), [project]

    def verified(self, sought: Needle) -> tuple[str, list[Any]]:
        """Return the condition that a text holds a needle: no index has said so."""
        return f" AND {self.place} > 0", [sought.folded]

    def _first(self, where: str, order: str, most: int) -> str:
        top, limit = (f"TOP ({most}) ", "") if self._is_microsoft else ("", f" LIMIT {most}")
        return f"SELECT {top}w.id AS id FROM explorer_searchtext w WHERE {where} ORDER BY {order}{limit}"  # noqa: S608

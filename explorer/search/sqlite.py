"""Search in SQLite: FTS5 over the words of `SearchText`, kept in step by triggers (migration `search`).

The index holds for each word the rows that have it and nothing else (`detail=none`); where in the text it stands, the
text says. It has no copy of the words: to delete a row from it, the trigger gives it the row's words back.
"""

from __future__ import annotations

from typing import Final

from django.db import connections

from explorer.search.sql import SqlIndex
from explorer.search.words import Needle

TABLE: Final = "explorer_searchword"

CREATE: Final = (
    f"""CREATE VIRTUAL TABLE {TABLE} USING fts5(
        words, content='explorer_searchtext', content_rowid='id', detail=none, columnsize=0, tokenize='ascii')""",
    f"""CREATE TRIGGER {TABLE}_added AFTER INSERT ON explorer_searchtext BEGIN
        INSERT INTO {TABLE}(rowid, words) VALUES (new.id, new.words); END""",  # noqa: S608 - a constant
    f"""CREATE TRIGGER {TABLE}_deleted AFTER DELETE ON explorer_searchtext BEGIN
        INSERT INTO {TABLE}({TABLE}, rowid, words) VALUES ('delete', old.id, old.words); END""",  # noqa: S608
)
DROP: Final = (
    f"DROP TRIGGER IF EXISTS {TABLE}_deleted",
    f"DROP TRIGGER IF EXISTS {TABLE}_added",
    f"DROP TABLE IF EXISTS {TABLE}",
)


class SqliteIndex(SqlIndex):
    """FTS5."""

    found = f"SELECT rowid AS id FROM {TABLE} WHERE {TABLE} MATCH %s ORDER BY rowid {{direction}} LIMIT {{most}}"  # noqa: S608
    place = "INSTR(COALESCE(t.folded, LOWER(t.text)), %s)"

    def asked(self, place: str, sought: Needle) -> str:
        """Return the words joined by AND; a star stands for the rest of a word."""
        terms = [f"{term.word} *" if term.is_prefix else term.word for term in sought.terms]
        return " AND ".join([*terms, place])

    def sweep(self) -> None:
        """Merge the index's segments: those of before a deletion still hold the words."""
        with connections[self._using].cursor() as cursor:
            cursor.execute(f"INSERT INTO {TABLE}({TABLE}) VALUES ('optimize')")  # noqa: S608 - a constant

"""Search in PostgreSQL: `words` is a tsvector with a GIN index. No extension is needed.

The words come ready-made, so no text search configuration and no locale has a say in them.
"""

from __future__ import annotations

from typing import Final

from django.db import connections

from explorer.search.sql import SqlIndex
from explorer.search.words import Needle

CREATE: Final = (
    "ALTER TABLE explorer_searchtext ALTER COLUMN words TYPE tsvector USING words::tsvector",
    "CREATE INDEX explorer_searchtext_words ON explorer_searchtext USING gin (words)",
)
DROP: Final = (
    "DROP INDEX IF EXISTS explorer_searchtext_words",
    "ALTER TABLE explorer_searchtext ALTER COLUMN words TYPE text USING words::text",
)


class PostgresIndex(SqlIndex):
    """Texts whose words match a tsquery."""

    most = 2**20 - 1  # what a tsvector holds; a row with more is refused
    found = (
        "SELECT w.id AS id FROM explorer_searchtext w WHERE w.words @@ CAST(%s AS tsquery)"
        " ORDER BY w.id {direction} LIMIT {most}"
    )
    place = """STRPOS(COALESCE(t.folded, LOWER(t.text COLLATE "C")), %s)"""

    def asked(self, place: str, sought: Needle) -> str:
        """Return the words joined by &."""
        terms = [f"{term.word}:*" if term.is_prefix else term.word for term in sought.terms]
        return " & ".join([*terms, place])

    def sweep(self) -> None:
        """Vacuum the table: pages and index keep deleted rows until then."""
        with connections[self._using].cursor() as cursor:
            cursor.execute("VACUUM explorer_searchtext")

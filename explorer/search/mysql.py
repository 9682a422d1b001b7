"""Search in MySQL and MariaDB: a FULLTEXT index of InnoDB on `words`.

InnoDB leaves out words of fewer than three letters, those of a list of frequent English ones, and cuts none of Chinese
or Japanese; MariaDB has no n-gram parser. Ours come ready-made, all of them longer than that and on no list, also those
of scripts without spaces. It sees a row when it is committed, not before.
"""

from __future__ import annotations

from typing import Final

from django.db import connections

from explorer.search.sql import SqlIndex
from explorer.search.words import Needle

CREATE: Final = (
    """ALTER TABLE explorer_searchtext
        MODIFY words LONGTEXT CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        MODIFY folded LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
        MODIFY text LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL""",
    "CREATE FULLTEXT INDEX explorer_searchtext_words ON explorer_searchtext (words)",
)
DROP: Final = ("DROP INDEX explorer_searchtext_words ON explorer_searchtext",)


class MySqlIndex(SqlIndex):
    """Texts whose words match in boolean mode."""

    found = (
        "SELECT w.id AS id FROM explorer_searchtext w WHERE MATCH (w.words) AGAINST (%s IN BOOLEAN MODE)"
        " ORDER BY w.id {direction} LIMIT {most}"
    )
    place = "LOCATE(%s, COALESCE(t.folded, LOWER(t.text)))"

    def asked(self, place: str, sought: Needle) -> str:
        """Return the words, each with the sign that it must be there."""
        terms = [f"+{term.word}*" if term.is_prefix else f"+{term.word}" for term in sought.terms]
        return " ".join([*terms, f"+{place}"])

    def sweep(self) -> None:
        """Rebuild the table: the index keeps the words of deleted rows until then."""
        with connections[self._using].cursor() as cursor:
            cursor.execute("OPTIMIZE TABLE explorer_searchtext")
            cursor.fetchall()

"""Ids and names compare byte by byte in the explorer's tables as they do in the journal's, so that joins use an index.

An index in one collation answers nothing that is asked in another: an event's row could be found by the journal's id
of it only by reading all rows. With a collation that folds case, two streams' runs would be one besides.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations

_POSTGRESQL = ("explorer_eventline", "explorer_searchtext")

# Whoever looks without regard to case says so in the query (`explorer.queries.run_filters.alike`).
_MYSQL = (
    "explorer_embedding",
    "explorer_embedlink",
    "explorer_eventline",
    "explorer_runsummary",
    "explorer_savedview",
)
_BINARY = "CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL"

STATEMENTS = {
    "postgresql": tuple(
        f'ALTER TABLE {table} ALTER COLUMN event_id TYPE varchar(36) COLLATE "C"' for table in _POSTGRESQL
    ),
    "mysql": (
        *(f"ALTER TABLE {table} CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin" for table in _MYSQL),
        # Its other columns have collations of their own, which the full-text index needs.
        f"ALTER TABLE explorer_searchtext MODIFY project varchar(64) {_BINARY},"  # noqa: ISC004 - one statement
        f" MODIFY stream varchar(245) {_BINARY}, MODIFY event_id varchar(36) {_BINARY}",
    ),
}


def _apply(apps: Any, schema_editor: Any) -> None:
    del apps
    for statement in STATEMENTS.get(schema_editor.connection.vendor, ()):
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    """Make columns binary. Undoing leaves them: the older code works with them."""

    dependencies = [("explorer", "0060_one_table_of_causes"), ("journal", "0070_bytes")]
    # Not atomic in itself: MySQL commits at each of these anyway. The migration is, where the database can.
    operations = [migrations.RunPython(_apply, migrations.RunPython.noop, atomic=False)]

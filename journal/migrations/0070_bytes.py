"""Ids and names compare byte by byte in the tables beside the events as well, whatever the database was made with.

With a collation that folds case or accents, two streams' causes, snapshots or dispatches would be one. SQL Server
changes no column that an index stands on, so there it is the database that has to be made with a binary collation;
`nagare doctor` looks.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations

# Equality is of bytes on PostgreSQL anyway; in order of bytes an index also finds what begins with a job's id.
_POSTGRESQL = {
    "journal_cause": {"project": 64, "cause": 36, "effect": 36},
    "journal_dispatch": {"id": 36, "project": 64, "event_id": 36, "effect": 60, "target": 245},
    "journal_parked_event": {"project": 64, "event_id": 36},
    "journal_snapshot": {"project": 64, "stream": 245},
}

# What else is looked up by text is a project's slug, a job's or a token's id: small letters all, and foreign keys, of
# which the server changes no side.
_MYSQL = (
    "journal_cause",
    "journal_checkpoint",
    "journal_dispatch",
    "journal_lease",
    "journal_parked_event",
    "journal_snapshot",
)

STATEMENTS = {
    "postgresql": tuple(
        f"ALTER TABLE {table} "
        + ", ".join(f'ALTER COLUMN {name} TYPE varchar({size}) COLLATE "C"' for name, size in columns.items())
        for table, columns in _POSTGRESQL.items()
    ),
    "mysql": tuple(f"ALTER TABLE {table} CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin" for table in _MYSQL),
}


def _apply(apps: Any, schema_editor: Any) -> None:
    del apps
    for statement in STATEMENTS.get(schema_editor.connection.vendor, ()):
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    """Make columns binary. Undoing leaves them: the older code works with them."""

    dependencies = [("journal", "0060_sessions")]
    # Not atomic in itself: MySQL commits at each of these anyway. The migration is, where the database can.
    operations = [migrations.RunPython(_apply, migrations.RunPython.noop, atomic=False)]

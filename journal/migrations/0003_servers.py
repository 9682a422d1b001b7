"""What the journal needs on database servers and not on SQLite; and an index for following one project.

Ids and stream names are compared byte by byte. Writers that announce themselves get slots to do it in (see
`journal/store/announced.py`). Where no trigger sees TRUNCATE, a table that refers to the events stands in its way.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations, models

_SLOTS = 128

# The store writes an event and its stream's row in one transaction, and streams are never deleted: PostgreSQL's check
# of the foreign key, a lookup and a row lock per event at commit, guards nothing that can happen here.
_POSTGRESQL = (
    'ALTER TABLE journal_stream ALTER COLUMN project TYPE varchar(64) COLLATE "C",'
    ' ALTER COLUMN name TYPE varchar(245) COLLATE "C", ALTER COLUMN category TYPE varchar(64) COLLATE "C"',
    'ALTER TABLE journal_event ALTER COLUMN project TYPE varchar(64) COLLATE "C",'
    ' ALTER COLUMN event_id TYPE varchar(36) COLLATE "C", ALTER COLUMN type TYPE varchar(200) COLLATE "C"',
)
_WRITER = (
    "CREATE TABLE journal_writer (slot int NOT NULL PRIMARY KEY, ticket bigint NOT NULL, low bigint NOT NULL,"
    " session_id bigint NOT NULL, since_us bigint NOT NULL)"
)
_GUARD = (
    "CREATE TABLE journal_event_guard (position bigint NOT NULL PRIMARY KEY,"
    " CONSTRAINT journal_event_no_truncate FOREIGN KEY (position) REFERENCES journal_event (position))"
)
_FILL = "INSERT INTO journal_writer VALUES " + ", ".join(f"({slot}, 0, 0, 0, 0)" for slot in range(_SLOTS))

# Names, ids and types are ASCII, checked before they are stored.
_ASCII = "CHARACTER SET ascii COLLATE ascii_bin NOT NULL"
_MYSQL = (
    f"ALTER TABLE journal_stream MODIFY project varchar(64) {_ASCII}, MODIFY name varchar(245) {_ASCII},"
    f" MODIFY category varchar(64) {_ASCII}",
    f"ALTER TABLE journal_event MODIFY project varchar(64) {_ASCII}, MODIFY event_id varchar(36) {_ASCII},"
    f" MODIFY type varchar(200) {_ASCII}",
    f"{_WRITER} ENGINE = InnoDB",
    _FILL,
    f"{_GUARD} ENGINE = InnoDB",
)
# SQL Server changes no column that an index stands on.
_BINARY = "COLLATE Latin1_General_BIN2 NOT NULL"
_MICROSOFT = (
    "ALTER TABLE journal_stream DROP CONSTRAINT journal_stream_name",
    f"ALTER TABLE journal_stream ALTER COLUMN project nvarchar(64) {_BINARY}",
    f"ALTER TABLE journal_stream ALTER COLUMN name nvarchar(245) {_BINARY}",
    f"ALTER TABLE journal_stream ALTER COLUMN category nvarchar(64) {_BINARY}",
    "ALTER TABLE journal_stream ADD CONSTRAINT journal_stream_name UNIQUE (project, name)",
    "ALTER TABLE journal_event DROP CONSTRAINT journal_event_identity",
    f"ALTER TABLE journal_event ALTER COLUMN project nvarchar(64) {_BINARY}",
    f"ALTER TABLE journal_event ALTER COLUMN event_id nvarchar(36) {_BINARY}",
    f"ALTER TABLE journal_event ALTER COLUMN type nvarchar(200) {_BINARY}",
    "ALTER TABLE journal_event ADD CONSTRAINT journal_event_identity UNIQUE (project, event_id)",
    _WRITER,
    _FILL,
    _GUARD,
)
STATEMENTS = {"postgresql": _POSTGRESQL, "mysql": _MYSQL, "microsoft": _MICROSOFT}
_UNDO = ("DROP TABLE journal_event_guard", "DROP TABLE journal_writer")


def _apply(apps: Any, schema_editor: Any) -> None:
    del apps
    if schema_editor.connection.vendor == "postgresql":
        _drop_foreign_key(schema_editor)
    for statement in STATEMENTS.get(schema_editor.connection.vendor, ()):
        schema_editor.execute(statement)


def _drop_foreign_key(schema_editor: Any) -> None:
    connection = schema_editor.connection
    with connection.cursor() as cursor:
        constraints = connection.introspection.get_constraints(cursor, "journal_event")
    for name, constraint in constraints.items():
        if constraint["foreign_key"]:
            schema_editor.execute(f"ALTER TABLE journal_event DROP CONSTRAINT {schema_editor.quote_name(name)}")


def _undo(apps: Any, schema_editor: Any) -> None:
    """Take the tables away. Collations stay: the older code works with them."""
    del apps
    if schema_editor.connection.vendor in ("mysql", "microsoft"):
        for statement in _UNDO:
            schema_editor.execute(statement)


class Migration(migrations.Migration):
    """Prepare database servers."""

    dependencies = [("journal", "0002_append_only")]
    # Not atomic in itself: MySQL commits at each of these anyway. The migration is, where the database can.
    operations = [
        migrations.RunPython(_apply, _undo, atomic=False),
        migrations.AddIndex("eventrow", models.Index(fields=["project", "position"], name="journal_event_order")),
    ]

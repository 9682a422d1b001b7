"""Events are written once: the database itself refuses to change or delete one."""

from __future__ import annotations

from typing import Any

from django.db import migrations

_CHANGED = "journal_event is append-only: events are never changed"
_DELETED = "journal_event is append-only: events are never deleted"
_TRUNCATED = "journal_event is append-only: events are never truncated"

_SQLITE = {
    "journal_event_no_update": (
        "CREATE TRIGGER journal_event_no_update BEFORE UPDATE ON journal_event BEGIN"
        " SELECT RAISE(ABORT, 'journal_event is append-only: events are never changed'); END"
    ),
    "journal_event_no_delete": (
        "CREATE TRIGGER journal_event_no_delete BEFORE DELETE ON journal_event BEGIN"
        " SELECT RAISE(ABORT, 'journal_event is append-only: events are never deleted'); END"
    ),
    # INSERT OR REPLACE would delete the row it collides with, on any of its keys, without firing the trigger above.
    "journal_event_no_replace": (
        "CREATE TRIGGER journal_event_no_replace BEFORE INSERT ON journal_event"
        " WHEN EXISTS (SELECT 1 FROM journal_event WHERE position = NEW.position)"
        " OR EXISTS (SELECT 1 FROM journal_event WHERE stream_id = NEW.stream_id AND version = NEW.version)"
        " OR EXISTS (SELECT 1 FROM journal_event WHERE project = NEW.project AND event_id = NEW.event_id)"
        " BEGIN SELECT RAISE(ABORT, 'journal_event is append-only: events are never replaced'); END"
    ),
}

# Statement triggers: they fire also where no row is met, and cost nothing per row. The class of the error is that of
# a broken constraint, as on SQLite.
_POSTGRESQL = {
    "journal_event_no_update": (
        "CREATE TRIGGER journal_event_no_update BEFORE UPDATE ON journal_event"
        f" FOR EACH STATEMENT EXECUTE FUNCTION journal_event_refuse('{_CHANGED}')"
    ),
    "journal_event_no_delete": (
        "CREATE TRIGGER journal_event_no_delete BEFORE DELETE ON journal_event"
        f" FOR EACH STATEMENT EXECUTE FUNCTION journal_event_refuse('{_DELETED}')"
    ),
    "journal_event_no_truncate": (
        "CREATE TRIGGER journal_event_no_truncate BEFORE TRUNCATE ON journal_event"
        f" FOR EACH STATEMENT EXECUTE FUNCTION journal_event_refuse('{_TRUNCATED}')"
    ),
}
_POSTGRESQL_FUNCTION = """
CREATE OR REPLACE FUNCTION journal_event_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION USING MESSAGE = TG_ARGV[0], ERRCODE = 'integrity_constraint_violation'; END $$
"""

# REPLACE deletes the row it collides with, and ON DUPLICATE KEY UPDATE changes it: both fire these. No trigger sees
# TRUNCATE; the table that 0003 lets refer to the events stands in its way. 1644 is SIGNAL's own error number; 45000
# means that someone decided so.
_MYSQL = {
    "journal_event_no_update": (
        "CREATE TRIGGER journal_event_no_update BEFORE UPDATE ON journal_event FOR EACH ROW"
        f" SIGNAL SQLSTATE '23000' SET MESSAGE_TEXT = '{_CHANGED}', MYSQL_ERRNO = 1048"
    ),
    "journal_event_no_delete": (
        "CREATE TRIGGER journal_event_no_delete BEFORE DELETE ON journal_event FOR EACH ROW"
        f" SIGNAL SQLSTATE '23000' SET MESSAGE_TEXT = '{_DELETED}', MYSQL_ERRNO = 1048"
    ),
}

_MICROSOFT = {
    "journal_event_no_update": (
        "CREATE TRIGGER journal_event_no_update ON journal_event INSTEAD OF UPDATE AS"
        f" THROW 51000, '{_CHANGED}', 1"
    ),
    "journal_event_no_delete": (
        "CREATE TRIGGER journal_event_no_delete ON journal_event INSTEAD OF DELETE AS"
        f" THROW 51000, '{_DELETED}', 1"
    ),
}

TRIGGERS = {"sqlite": _SQLITE, "postgresql": _POSTGRESQL, "mysql": _MYSQL, "microsoft": _MICROSOFT}


def _add(apps: Any, schema_editor: Any) -> None:
    del apps
    vendor = schema_editor.connection.vendor
    if vendor == "postgresql":
        schema_editor.execute(_POSTGRESQL_FUNCTION)
    for statement in TRIGGERS.get(vendor, {}).values():
        schema_editor.execute(statement)


def _drop(apps: Any, schema_editor: Any) -> None:
    del apps
    vendor = schema_editor.connection.vendor
    on = " ON journal_event" if vendor == "postgresql" else ""
    for name in TRIGGERS.get(vendor, {}):
        schema_editor.execute(f"DROP TRIGGER {name}{on}")


class Migration(migrations.Migration):
    """Add the triggers."""

    dependencies = [("journal", "0001_initial")]
    # Not atomic in itself: MySQL commits at each of these anyway. The migration is, where the database can.
    operations = [migrations.RunPython(_add, _drop, atomic=False)]

"""Events are written once: the database itself refuses to change or delete one."""

from __future__ import annotations

from typing import Any

from django.db import migrations

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


def _add(apps: Any, schema_editor: Any) -> None:
    del apps
    if schema_editor.connection.vendor == "sqlite":
        for statement in _SQLITE.values():
            schema_editor.execute(statement)


def _drop(apps: Any, schema_editor: Any) -> None:
    del apps
    if schema_editor.connection.vendor == "sqlite":
        for name in _SQLITE:
            schema_editor.execute(f"DROP TRIGGER {name}")


class Migration(migrations.Migration):
    """Add the triggers."""

    dependencies = [("journal", "0001_initial")]
    operations = [migrations.RunPython(_add, _drop)]

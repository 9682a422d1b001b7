"""One change of a stored event is let through: its payload gives way to the mark that says so.

The database itself looks at it: only data and metadata change, both become marks (`journal.domain.withdrawn`), each
holds the SHA-256 of the bytes that stood there, so that the leaf stays what it was, and both name an order to purge or
erase that stands in the journal already. A mark is never changed again. All else is refused as before.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.db import migrations

from journal.domain.withdrawn import BEGINNING, LONGEST

_CHANGED = "journal_event is append-only: events are never changed"
_ORDERS = "('retention.purge_ordered', 'retention.erasure_ordered')"
_KEPT = ("position", "project", "stream_id", "version", "event_id", "type", "schema_version", "occurred_us", "recorded_us")
_HEX, _LENGTH = BEGINNING.hex(), len(BEGINNING)
_AT, _ACT = len(BEGINNING) + 1, len(BEGINNING) + 64 + len('","act":"') + 1
"""Where in a mark the digest and the order's id begin, counted from one."""


_BOTH = ("data", "metadata")


def _same(old: str, new: str, equal: str) -> str:
    return " AND ".join(f"{new}.{column} {equal} {old}.{column}" for column in _KEPT)


def _both(template: str) -> str:
    """Return a condition on one column, said of data and of metadata."""
    return " AND ".join(template.replace("COLUMN", column) for column in _BOTH)


# Django gives each of its connections SHA256; where it is missing, as in the sqlite3 shell, the statement is refused.
_SQLITE_MARK = f"""
    substr(NEW.COLUMN, 1, {_LENGTH}) = X'{_HEX}' AND length(NEW.COLUMN) <= {LONGEST}
    AND substr(NEW.COLUMN, {_AT}, 64) = CAST(SHA256(CAST(OLD.COLUMN AS TEXT)) AS BLOB)
    AND EXISTS (SELECT 1 FROM journal_event a WHERE a.project = OLD.project AND a.type IN {_ORDERS}
        AND a.event_id = CAST(substr(NEW.COLUMN, {_ACT}, 36) AS TEXT))"""
_SQLITE = f"""
CREATE TRIGGER journal_event_no_update BEFORE UPDATE ON journal_event WHEN NOT ({_same("OLD", "NEW", "IS")}
    AND substr(OLD.data, 1, {_LENGTH}) <> X'{_HEX}' AND {_both(_SQLITE_MARK)})
BEGIN SELECT RAISE(ABORT, '{_CHANGED}'); END
"""

_POSTGRESQL_MARK = f"""
        substring(NEW.COLUMN from 1 for {_LENGTH}) = decode('{_HEX}', 'hex') AND length(NEW.COLUMN) <= {LONGEST}
        AND encode(substring(NEW.COLUMN from {_AT} for 64), 'escape') = encode(sha256(OLD.COLUMN), 'hex')
        AND EXISTS (SELECT 1 FROM journal_event a WHERE a.project = OLD.project AND a.type IN {_ORDERS}
            AND a.event_id = encode(substring(NEW.COLUMN from {_ACT} for 36), 'escape'))"""
_POSTGRESQL_FUNCTION = f"""
CREATE OR REPLACE FUNCTION journal_event_withdraw() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF {_same("OLD", "NEW", "=")}
        AND substring(OLD.data from 1 for {_LENGTH}) <> decode('{_HEX}', 'hex') AND {_both(_POSTGRESQL_MARK)}
    THEN RETURN NEW; END IF;
    RAISE EXCEPTION USING MESSAGE = '{_CHANGED}', ERRCODE = 'integrity_constraint_violation';
END $$
"""
_POSTGRESQL = (
    "CREATE TRIGGER journal_event_no_update BEFORE UPDATE ON journal_event"
    " FOR EACH ROW EXECUTE FUNCTION journal_event_withdraw()"
)

_MYSQL_MARK = f"""
    SUBSTRING(NEW.COLUMN, 1, {_LENGTH}) = X'{_HEX}' AND LENGTH(NEW.COLUMN) <= {LONGEST}
    AND SUBSTRING(NEW.COLUMN, {_AT}, 64) = CAST(SHA2(OLD.COLUMN, 256) AS BINARY)
    AND EXISTS (SELECT 1 FROM journal_event a WHERE a.project = OLD.project AND a.type IN {_ORDERS}
        AND a.event_id = CONVERT(SUBSTRING(NEW.COLUMN, {_ACT}, 36) USING ascii))"""
_MYSQL = f"""
CREATE TRIGGER journal_event_no_update BEFORE UPDATE ON journal_event FOR EACH ROW
IF NOT ({_same("OLD", "NEW", "<=>")}
    AND SUBSTRING(OLD.data, 1, {_LENGTH}) <> X'{_HEX}' AND {_both(_MYSQL_MARK)})
THEN SIGNAL SQLSTATE '23000' SET MESSAGE_TEXT = '{_CHANGED}', MYSQL_ERRNO = 1048; END IF
"""

_MICROSOFT_MARK = f"""
            SUBSTRING(n.COLUMN, 1, {_LENGTH}) = 0x{_HEX} AND DATALENGTH(n.COLUMN) <= {LONGEST}
            AND CONVERT(varchar(64), SUBSTRING(n.COLUMN, {_AT}, 64))
                = LOWER(CONVERT(varchar(64), HASHBYTES('SHA2_256', o.COLUMN), 2))
            AND EXISTS (SELECT 1 FROM journal_event a WHERE a.project = o.project AND a.type IN {_ORDERS}
                AND a.event_id = CONVERT(nvarchar(36), CONVERT(varchar(36), SUBSTRING(n.COLUMN, {_ACT}, 36))))"""
MICROSOFT_WRONG = f"""SELECT 1 FROM inserted n LEFT JOIN deleted o ON {_same("o", "n", "=")}
        WHERE o.position IS NULL OR SUBSTRING(o.data, 1, {_LENGTH}) = 0x{_HEX} OR NOT ({_both(_MICROSOFT_MARK)})"""
MICROSOFT_WRITE = (
    "UPDATE e SET data = n.data, metadata = n.metadata FROM journal_event e JOIN inserted n ON n.position = e.position"
)
_MICROSOFT = f"""CREATE TRIGGER journal_event_no_update ON journal_event INSTEAD OF UPDATE AS
BEGIN
    IF EXISTS ({MICROSOFT_WRONG})
        THROW 51000, '{_CHANGED}', 1;
    {MICROSOFT_WRITE};
END
"""

TRIGGERS = {"sqlite": _SQLITE, "postgresql": _POSTGRESQL, "mysql": _MYSQL, "microsoft": _MICROSOFT}


def _drop(schema_editor: Any) -> None:
    on = " ON journal_event" if schema_editor.connection.vendor == "postgresql" else ""
    schema_editor.execute(f"DROP TRIGGER journal_event_no_update{on}")


def _apply(apps: Any, schema_editor: Any) -> None:
    del apps
    vendor = schema_editor.connection.vendor
    if vendor not in TRIGGERS:
        return
    _drop(schema_editor)
    if vendor == "postgresql":
        schema_editor.execute(_POSTGRESQL_FUNCTION)
    schema_editor.execute(TRIGGERS[vendor])


def _undo(apps: Any, schema_editor: Any) -> None:
    """Put the trigger back that lets nothing through. What was withdrawn stays so."""
    del apps
    vendor = schema_editor.connection.vendor
    if vendor not in TRIGGERS:
        return
    _drop(schema_editor)
    before = import_module("journal.migrations.0002_append_only").TRIGGERS
    schema_editor.execute(before[vendor]["journal_event_no_update"])
    if vendor == "postgresql":
        schema_editor.execute("DROP FUNCTION journal_event_withdraw()")


class Migration(migrations.Migration):
    """Let payloads give way to their marks."""

    dependencies = [("journal", "0102_log_times")]
    operations = [migrations.RunPython(_apply, _undo, atomic=False)]

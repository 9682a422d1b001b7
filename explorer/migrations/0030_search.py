"""What agents said can be found: a table of texts, and the full-text index of the database that is used.

SQLite keeps its index in step by triggers of the table. A later migration that makes Django copy the table (SQLite
alters most things so) has to drop them first and to create them again.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations, models

from explorer.search import mysql, postgres, sqlite

_CREATE = {"sqlite": sqlite.CREATE, "postgresql": postgres.CREATE, "mysql": mysql.CREATE}
_DROP = {"sqlite": sqlite.DROP, "postgresql": postgres.DROP, "mysql": mysql.DROP}


def create(apps: Any, schema_editor: Any) -> None:
    """Add the full-text index; other databases read the texts."""
    for statement in _CREATE.get(schema_editor.connection.vendor, ()):
        schema_editor.execute(statement)


def drop(apps: Any, schema_editor: Any) -> None:
    """Take it away again."""
    for statement in _DROP.get(schema_editor.connection.vendor, ()):
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    """The table, then its index."""

    dependencies = [("explorer", "0020_kept")]

    operations = [
        migrations.CreateModel(
            name="SearchText",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("generation", models.PositiveBigIntegerField(default=0)),
                ("project", models.CharField(max_length=64)),
                ("stream", models.CharField(max_length=245)),
                ("version", models.PositiveBigIntegerField()),
                ("event_id", models.CharField(max_length=36)),
                ("is_cut", models.BooleanField(default=False)),
                ("words", models.TextField()),
                ("folded", models.TextField(null=True)),
                ("text", models.TextField()),
            ],
            options={
                "indexes": [models.Index(fields=["event_id"], name="explorer_text_event")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("generation", "project", "stream", "version"), name="explorer_text_once"
                    )
                ],
            },
        ),
        migrations.RunPython(create, drop, atomic=False),  # MySQL alters tables outside transactions alone
    ]

"""Notes and grades of people: the projection `notes` fills the table."""

from __future__ import annotations

from typing import Any

from django.db import migrations, models


def _by_bytes(apps: Any, schema_editor: Any) -> None:
    """Names compare byte by byte, as they do in the tables of events (migration `bytes`)."""
    del apps
    if schema_editor.connection.vendor == "mysql":
        schema_editor.execute("ALTER TABLE explorer_noterow CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")


class Migration(migrations.Migration):
    """Add the table."""

    dependencies = [("explorer", "0071_tool_kind")]

    operations = [
        migrations.CreateModel(
            name="NoteRow",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("generation", models.PositiveBigIntegerField(default=0)),
                ("project", models.CharField(max_length=64)),
                ("run", models.CharField(max_length=245)),
                ("is_own", models.BooleanField(default=False)),
                ("number", models.PositiveBigIntegerField()),
                ("version", models.PositiveBigIntegerField()),
                ("event_id", models.CharField(max_length=36)),
                ("by", models.CharField(max_length=200)),
                ("text", models.TextField()),
                ("label", models.CharField(max_length=60)),
                ("rule", models.CharField(max_length=120)),
                ("verdict", models.CharField(max_length=16)),
                ("at_version", models.PositiveBigIntegerField(default=0)),
                ("created_us", models.BigIntegerField()),
                ("changed_us", models.BigIntegerField()),
                ("changes", models.PositiveIntegerField(default=0)),
                ("is_retracted", models.BooleanField(default=False)),
                ("retracted_by", models.CharField(max_length=200)),
            ],
            options={
                "indexes": [models.Index(fields=["generation", "project", "rule"], name="explorer_note_rule")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("generation", "project", "run", "is_own", "number"), name="explorer_note_once"
                    )
                ],
            },
        ),
        migrations.RunPython(_by_bytes, migrations.RunPython.noop, atomic=False),
    ]

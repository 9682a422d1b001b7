"""Spans and log records that came over HTTP, until and after they are told as runs."""

from __future__ import annotations

from typing import Any

import django.db.models.deletion
from django.db import migrations, models

_MYSQL = ("journal_span_trace", "journal_span_record")
"""Names compare byte by byte, as they do in the tables of events (migration `bytes`)."""


def _apply(apps: Any, schema_editor: Any) -> None:
    del apps
    for table in _MYSQL if schema_editor.connection.vendor == "mysql" else ():
        schema_editor.execute(f"ALTER TABLE {table} CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")


class Migration(migrations.Migration):
    """Add the tables."""

    dependencies = [
        ("journal", "0080_grading"),
    ]

    operations = [
        migrations.CreateModel(
            name="SpanTrace",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("project", models.CharField(max_length=64)),
                ("name", models.CharField(max_length=64)),
                ("news", models.PositiveBigIntegerField(default=0)),
                ("waiting_us", models.BigIntegerField(null=True)),
                ("last_us", models.BigIntegerField()),
                ("is_rooted", models.BooleanField(default=False)),
                ("is_run", models.BooleanField(default=False)),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("problem", models.TextField(default="")),
            ],
            options={
                "db_table": "journal_span_trace",
                "indexes": [models.Index(fields=["waiting_us"], name="journal_span_trace_waiting")],
                "constraints": [models.UniqueConstraint(fields=("project", "name"), name="journal_span_trace_once")],
            },
        ),
        migrations.CreateModel(
            name="SpanRecord",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("project", models.CharField(max_length=64)),
                ("kind", models.CharField(max_length=4)),
                ("digest", models.CharField(max_length=64)),
                ("hint", models.CharField(default="", max_length=64)),
                ("run", models.TextField(default="")),
                ("body", models.BinaryField()),
                (
                    "trace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="records", to="journal.spantrace"
                    ),
                ),
            ],
            options={
                "db_table": "journal_span_record",
                "indexes": [models.Index(fields=["project", "hint"], name="journal_span_record_hint")],
                "constraints": [models.UniqueConstraint(fields=("project", "digest"), name="journal_span_record_once")],
            },
        ),
        migrations.RunPython(_apply, migrations.RunPython.noop, atomic=False),
    ]

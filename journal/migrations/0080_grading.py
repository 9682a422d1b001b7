"""Saved rules, verdicts, what jobs are made of, and schedules."""

from __future__ import annotations

from typing import Any

import django.db.models.deletion
from django.db import migrations, models

_MYSQL = ("journal_rule", "journal_grade", "journal_job_run")
"""Names compare byte by byte, as they do in the tables of events (migration `bytes`)."""


def _apply(apps: Any, schema_editor: Any) -> None:
    del apps
    for table in _MYSQL if schema_editor.connection.vendor == "mysql" else ():
        schema_editor.execute(f"ALTER TABLE {table} CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")


class Migration(migrations.Migration):
    """Add the tables."""

    dependencies = [
        ("journal", "0070_bytes"),
    ]

    operations = [
        migrations.CreateModel(
            name="GradeRow",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("generation", models.PositiveBigIntegerField(default=0)),
                ("project", models.CharField(max_length=64)),
                ("grade", models.CharField(max_length=36)),
                ("job", models.CharField(max_length=36)),
                ("rule", models.CharField(max_length=120)),
                ("rule_version", models.PositiveIntegerField()),
                ("run", models.CharField(max_length=245)),
                ("run_version", models.PositiveBigIntegerField()),
                ("is_whole", models.BooleanField(default=True)),
                ("verdict", models.CharField(max_length=8)),
                ("previous", models.CharField(max_length=8)),
                ("at_version", models.PositiveBigIntegerField(null=True)),
                ("at_position", models.BigIntegerField(null=True)),
                ("event_id", models.CharField(max_length=36)),
                ("event_type", models.CharField(max_length=200)),
                ("message", models.TextField()),
                ("tool", models.CharField(max_length=200)),
                ("model", models.CharField(max_length=200)),
                ("agent", models.CharField(max_length=200)),
                ("started_us", models.BigIntegerField(null=True)),
                ("occurred_us", models.BigIntegerField(null=True)),
                ("flips", models.PositiveIntegerField(default=0)),
                ("position", models.BigIntegerField()),
            ],
            options={
                "db_table": "journal_grade",
                "indexes": [models.Index(fields=["generation", "project", "run", "rule"], name="journal_grade_run")],
                "constraints": [
                    models.UniqueConstraint(fields=("generation", "project", "grade"), name="journal_grade_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="JobRun",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("job", models.CharField(max_length=36)),
                ("part", models.PositiveIntegerField(null=True)),
                ("run", models.CharField(max_length=245)),
                ("run_version", models.PositiveBigIntegerField()),
                ("since_us", models.BigIntegerField(null=True)),
                ("until_us", models.BigIntegerField(null=True)),
                ("grade", models.CharField(max_length=36)),
                ("previous", models.CharField(default="", max_length=8)),
                ("is_kept", models.BooleanField(default=False)),
            ],
            options={
                "db_table": "journal_job_run",
                "indexes": [models.Index(fields=["job", "part"], name="journal_job_run_part")],
                "constraints": [models.UniqueConstraint(fields=("job", "run"), name="journal_job_run_once")],
            },
        ),
        migrations.CreateModel(
            name="RuleRow",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("generation", models.PositiveBigIntegerField(default=0)),
                ("project", models.CharField(max_length=64)),
                ("name", models.CharField(max_length=80)),
                ("version", models.PositiveIntegerField()),
                ("description", models.TextField()),
                ("expression", models.TextField()),
                ("monotone", models.BooleanField(default=False)),
                ("saved_by", models.CharField(max_length=200)),
                ("saved_us", models.BigIntegerField()),
                ("is_retired", models.BooleanField(default=False)),
            ],
            options={
                "db_table": "journal_rule",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("generation", "project", "name", "version"), name="journal_rule_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="JobPart",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("number", models.PositiveIntegerField()),
                ("state", models.CharField(default="waiting", max_length=8)),
                ("attempt", models.PositiveIntegerField(default=0)),
                ("heartbeat_at", models.DateTimeField(null=True)),
                ("runs", models.PositiveIntegerField(default=0)),
                ("events", models.PositiveBigIntegerField(default=0)),
                ("holds", models.PositiveIntegerField(default=0)),
                ("fails", models.PositiveIntegerField(default=0)),
                ("errors", models.PositiveIntegerField(default=0)),
                ("newly_failing", models.PositiveIntegerField(default=0)),
                ("newly_holding", models.PositiveIntegerField(default=0)),
                ("seconds", models.FloatField(default=0)),
                (
                    "job",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="parts",
                        to="journal.job",
                    ),
                ),
            ],
            options={
                "db_table": "journal_job_part",
                "constraints": [models.UniqueConstraint(fields=("job", "number"), name="journal_job_part_once")],
            },
        ),
        migrations.CreateModel(
            name="Schedule",
            fields=[
                ("id", models.CharField(max_length=36, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=120)),
                ("kind", models.CharField(max_length=40)),
                ("cron", models.CharField(max_length=120)),
                ("timezone", models.CharField(default="UTC", max_length=64)),
                ("arguments", models.JSONField(default=dict)),
                ("is_paused", models.BooleanField(default=False)),
                ("next_due_at", models.DateTimeField(null=True)),
                ("last_due_at", models.DateTimeField(null=True)),
                ("last_job", models.CharField(default="", max_length=36)),
                ("settled_job", models.CharField(default="", max_length=36)),
                ("outcome", models.JSONField(null=True)),
                ("created_by", models.CharField(default="", max_length=200)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="schedules", to="journal.project"
                    ),
                ),
            ],
            options={
                "db_table": "journal_schedule",
                "indexes": [models.Index(fields=["is_paused", "next_due_at"], name="journal_schedule_due")],
            },
        ),
        migrations.RunPython(_apply, migrations.RunPython.noop, atomic=False),
    ]

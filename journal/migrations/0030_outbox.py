"""The outbox, and where alerts and events are sent."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Add the tables of dispatches and webhooks."""

    dependencies = [("journal", "0020_causes")]
    operations = [
        migrations.CreateModel(
            name="Dispatch",
            fields=[
                ("id", models.CharField(max_length=36, primary_key=True, serialize=False)),
                ("project", models.CharField(max_length=64)),
                ("event_id", models.CharField(max_length=36)),
                ("effect", models.CharField(max_length=60)),
                ("target", models.CharField(max_length=245)),
                ("payload", models.TextField()),
                ("state", models.CharField(default="pending", max_length=12)),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("token", models.PositiveBigIntegerField(default=0)),
                ("next_try_us", models.BigIntegerField()),
                ("last_error", models.TextField()),
                ("created_us", models.BigIntegerField()),
                ("ended_us", models.BigIntegerField(null=True)),
            ],
            options={
                "db_table": "journal_dispatch",
                "indexes": [
                    models.Index(fields=["state", "effect", "next_try_us"], name="journal_dispatch_due"),
                    models.Index(fields=["project", "target", "created_us"], name="journal_dispatch_target"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Webhook",
            fields=[
                ("id", models.CharField(max_length=36, primary_key=True, serialize=False)),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="webhooks", to="journal.project"
                    ),
                ),
                ("url", models.CharField(max_length=2000)),
                ("secret", models.CharField(max_length=100)),
                ("on", models.JSONField(default=list)),
                ("after_position", models.BigIntegerField(default=0)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={"db_table": "journal_webhook"},
        ),
    ]

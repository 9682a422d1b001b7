"""The course of a run in buckets, its verdicts and its pauses: the projection fills them when it is built again."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("explorer", "0030_search")]

    operations = [
        migrations.AddField("runsummary", "verdicts", models.JSONField(default=list)),
        migrations.AddField("runsummary", "gaps", models.JSONField(default=dict)),
        migrations.CreateModel(
            name="RunMap",
            fields=[
                (
                    "run",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="explorer.runsummary",
                    ),
                ),
                ("data", models.JSONField(default=dict)),
            ],
        ),
    ]

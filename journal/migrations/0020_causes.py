"""The links between events, walked both ways."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """Add the table of causes."""

    dependencies = [("journal", "0003_servers")]
    operations = [
        migrations.CreateModel(
            name="CauseRow",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("generation", models.PositiveBigIntegerField(default=0)),
                ("project", models.CharField(max_length=64)),
                ("cause", models.CharField(max_length=36)),
                ("effect", models.CharField(max_length=36)),
                ("kind", models.CharField(max_length=12)),
                ("certainty", models.CharField(max_length=10)),
            ],
            options={
                "db_table": "journal_cause",
                "indexes": [models.Index(fields=["generation", "project", "cause"], name="journal_cause_down")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("generation", "project", "effect", "cause", "kind"), name="journal_cause_once"
                    )
                ],
            },
        ),
    ]

"""What events name, so that the journal is asked for a correlation id or a subject by an index."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """Add the table of names, which its projection fills; where that has not come to, the journal itself is read."""

    dependencies = [("journal", "0110_withdrawn")]
    operations = [
        migrations.CreateModel(
            name="NameRow",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("generation", models.PositiveBigIntegerField(default=0)),
                ("project", models.CharField(max_length=64)),
                ("kind", models.CharField(max_length=12)),
                ("value", models.CharField(max_length=200)),
                ("position", models.BigIntegerField()),
                ("event_id", models.CharField(max_length=36)),
            ],
            options={
                "db_table": "journal_name",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("generation", "project", "kind", "value", "position"), name="journal_name_once"
                    )
                ],
            },
        ),
    ]

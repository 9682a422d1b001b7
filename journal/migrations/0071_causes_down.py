"""What an event led to is answered by the index alone: without its effects, SQLite read a project's links instead."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """The index by cause knows the effect."""

    dependencies = [("journal", "0070_bytes")]

    operations = [
        migrations.RemoveIndex(model_name="causerow", name="journal_cause_down"),
        migrations.AddIndex(
            model_name="causerow",
            index=models.Index(fields=["generation", "project", "cause", "effect"], name="journal_cause_down"),
        ),
    ]

"""Events can be found by the span they were appended in."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("explorer", "0002_generations")]

    operations = [
        migrations.AddField("eventline", "trace_id", models.CharField(default="", max_length=32)),
        migrations.AddField("eventline", "span_id", models.CharField(default="", max_length=16)),
        migrations.AddIndex("eventline", models.Index(fields=["trace_id", "span_id"], name="explorer_line_trace")),
    ]

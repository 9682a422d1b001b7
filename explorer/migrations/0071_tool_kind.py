"""The next decision for a tool is one place in the index: the results of its calls are not looked at on the way."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """The index by tool knows the kind."""

    dependencies = [("explorer", "0070_bytes")]

    operations = [
        migrations.RemoveIndex(model_name="eventline", name="explorer_line_tool"),
        migrations.AddIndex(
            model_name="eventline",
            index=models.Index(fields=["run", "tool", "kind", "version"], name="explorer_line_tool"),
        ),
    ]

"""A token says when it was last used."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """Add the column."""

    dependencies = [("journal", "0040_leases")]

    operations = [migrations.AddField("apitoken", "last_used_at", models.DateTimeField(null=True))]

"""Causes are read from the journal's own table of links, which has the same rows."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    """Drop the explorer's copy. Nothing is lost: it was made from the journal's events, and so is the other one.

    Back again it is empty, and `nagare rebuild explorer` under the older code fills it.
    """

    dependencies = [("explorer", "0040_run_map")]
    operations = [migrations.DeleteModel("CauseLink")]

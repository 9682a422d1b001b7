"""The table of open orders."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies: list[tuple[str, str]] = []

    operations = [
        migrations.CreateModel(
            name="OpenOrder",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("generation", models.PositiveBigIntegerField(default=0)),
                ("project", models.CharField(max_length=64)),
                ("stream", models.CharField(max_length=245)),
                ("customer", models.CharField(max_length=200)),
                ("is_paid", models.BooleanField(default=False)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("generation", "project", "stream"), name="orders_open_once")
                ],
            },
        ),
    ]

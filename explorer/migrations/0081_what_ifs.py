"""Saved what-ifs."""

from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Add the table."""

    dependencies = [("explorer", "0080_notes"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]

    operations = [
        migrations.CreateModel(
            name="WhatIf",
            fields=[
                ("id", models.CharField(max_length=36, primary_key=True, serialize=False)),
                ("project", models.CharField(max_length=64)),
                ("stream", models.CharField(max_length=245)),
                ("name", models.CharField(default="", max_length=80)),
                ("shared", models.BooleanField(default=False)),
                ("edits", models.TextField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("changed_at", models.DateTimeField(auto_now=True)),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["project", "stream"], name="explorer_whatif_run"),
                    models.Index(fields=["project", "owner", "name"], name="explorer_whatif_owner"),
                ],
            },
        ),
    ]

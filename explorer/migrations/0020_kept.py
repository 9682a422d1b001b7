"""Saved views, and links that show a run in other sites' pages."""

from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Add the tables."""

    dependencies = [("explorer", "0010_trace"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]

    operations = [
        migrations.CreateModel(
            name="SavedView",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("project", models.CharField(max_length=64)),
                ("name", models.CharField(max_length=60)),
                ("query", models.CharField(max_length=2000)),
                ("shared", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["project", "shared"], name="explorer_view_shared")],
                "constraints": [
                    models.UniqueConstraint(fields=("project", "owner", "name"), name="explorer_view_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Embedding",
            fields=[
                ("project", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("is_allowed", models.BooleanField(default=False)),
                ("origins", models.JSONField(default=list)),
            ],
        ),
        migrations.CreateModel(
            name="EmbedLink",
            fields=[
                ("id", models.CharField(max_length=36, primary_key=True, serialize=False)),
                ("project", models.CharField(max_length=64)),
                ("stream", models.CharField(max_length=245)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("expires_at", models.DateTimeField()),
                ("revoked_at", models.DateTimeField(null=True)),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={"indexes": [models.Index(fields=["project", "stream"], name="explorer_embed_run")]},
        ),
    ]

"""What people keep in the explorer: saved views, what-ifs, links for other sites' pages, and whether those are allowed.

Unlike the read models these are nobody's projection: the journal cannot give them back, so a backup must.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models


class SavedView(models.Model):
    """A query with a name, as a tab of the run list: its owner's, or everybody's in the project where it is shared."""

    id = models.BigAutoField(primary_key=True)
    project = models.CharField(max_length=64)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=2000)
    shared = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "owner", "name"], name="explorer_view_once")]
        indexes = [models.Index(fields=["project", "shared"], name="explorer_view_shared")]

    def __str__(self) -> str:
        return self.name


class Embedding(models.Model):
    """Whether runs of a project may be shown in pages of other sites, and of which. No row: they may not."""

    project = models.CharField(max_length=64, primary_key=True)
    is_allowed = models.BooleanField(default=False)
    origins = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"{self.project}: {'allowed' if self.is_allowed else 'not allowed'}"


class EmbedLink(models.Model):
    """A link that shows one run, read-only, to whoever has it. The address is signed; the row says it still counts."""

    id = models.CharField(max_length=36, primary_key=True)
    project = models.CharField(max_length=64)
    stream = models.CharField(max_length=245)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["project", "stream"], name="explorer_embed_run")]

    def __str__(self) -> str:
        return f"{self.stream} until {self.expires_at:%Y-%m-%d}"


class WhatIf(models.Model):
    """Edits to a run's history, as JSON text. Without a name it is its owner's draft; shared, members may open it."""

    id = models.CharField(max_length=36, primary_key=True)
    project = models.CharField(max_length=64)
    stream = models.CharField(max_length=245)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=80, default="")
    shared = models.BooleanField(default=False)
    edits = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [
            models.Index(fields=["project", "stream"], name="explorer_whatif_run"),
            models.Index(fields=["project", "owner", "name"], name="explorer_whatif_owner"),
        ]

    def __str__(self) -> str:
        return self.name or f"draft on {self.stream}"

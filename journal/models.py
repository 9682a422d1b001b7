"""The journal's tables. Events are written and read by `journal.store` alone; here they only get their shape.

Times of events are microseconds since 1970 as integers: exact, and the same on every database.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models


class StreamRow(models.Model):
    """One stream and its newest version: the row an append moves on."""

    id = models.BigAutoField(primary_key=True)
    project = models.CharField(max_length=64)
    name = models.CharField(max_length=245)
    category = models.CharField(max_length=64)
    version = models.PositiveBigIntegerField()

    class Meta:
        db_table = "journal_stream"
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="journal_stream_name")]

    def __str__(self) -> str:
        return self.name


class EventRow(models.Model):
    """One event. Triggers refuse UPDATE and DELETE."""

    position = models.BigAutoField(primary_key=True)
    project = models.CharField(max_length=64)
    stream = models.ForeignKey(StreamRow, on_delete=models.PROTECT, db_index=False, related_name="+")
    version = models.PositiveBigIntegerField()
    event_id = models.CharField(max_length=36)
    type = models.CharField(max_length=200)
    schema_version = models.PositiveIntegerField()
    data = models.BinaryField()
    metadata = models.BinaryField()
    occurred_us = models.BigIntegerField()
    recorded_us = models.BigIntegerField()

    class Meta:
        db_table = "journal_event"
        constraints = [
            models.UniqueConstraint(fields=["stream", "version"], name="journal_event_version"),
            models.UniqueConstraint(fields=["project", "event_id"], name="journal_event_identity"),
        ]
        # A project is followed by position however small a part of the journal it is.
        indexes = [models.Index(fields=["project", "position"], name="journal_event_order")]

    def __str__(self) -> str:
        return f"{self.type} at {self.position}"


class Checkpoint(models.Model):
    """The last position a subscriber has handled, and the version of the code that handled it."""

    name = models.CharField(max_length=100, primary_key=True)
    position = models.BigIntegerField(default=0)
    code_version = models.PositiveIntegerField(default=1)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "journal_checkpoint"

    def __str__(self) -> str:
        return f"{self.name} at {self.position}"


class Project(models.Model):
    """What everything belongs to. The slug stands in every event, so it never changes."""

    slug = models.SlugField(max_length=64, primary_key=True)
    name = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "journal_project"

    def __str__(self) -> str:
        return self.slug


class Membership(models.Model):
    """A person's role in a project."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16)

    class Meta:
        db_table = "journal_membership"
        constraints = [models.UniqueConstraint(fields=["project", "user"], name="journal_membership_once")]

    def __str__(self) -> str:
        return f"{self.user} is {self.role} in {self.project_id}"


class ApiToken(models.Model):
    """A program's access: the SHA-256 of a random secret, never the secret itself."""

    id = models.CharField(max_length=36, primary_key=True)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="tokens")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="tokens")
    digest = models.CharField(max_length=64, unique=True)
    prefix = models.CharField(max_length=16)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "journal_token"

    def __str__(self) -> str:
        return self.prefix


class Job(models.Model):
    """Long work as a row: the row is the truth, Celery only wakes it."""

    id = models.CharField(max_length=36, primary_key=True)
    kind = models.CharField(max_length=40)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="jobs")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    status = models.CharField(max_length=16, default="queued")
    arguments = models.JSONField(default=dict)
    done = models.PositiveBigIntegerField(default=0)
    total = models.PositiveBigIntegerField(null=True)
    unit = models.CharField(max_length=20, default="")
    result = models.JSONField(null=True)
    error = models.TextField(default="")
    attempt = models.PositiveIntegerField(default=0)
    heartbeat_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "journal_job"
        indexes = [models.Index(fields=["project", "kind", "-created_at"], name="journal_job_recent")]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}: {self.status}"

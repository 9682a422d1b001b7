"""The journal's tables. Events are written and read by `journal.store` alone; here they only get their shape.

Times of events are microseconds since 1970 as integers: exact, and the same on every database.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.sessions.base_session import AbstractBaseSession
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
    """The last position a subscriber has handled, and the version of the code that handled it.

    `generation` names the rows of a read model that pages show; `token` is that of the last lease that wrote here.
    """

    name = models.CharField(max_length=100, primary_key=True)
    position = models.BigIntegerField(default=0)
    generation = models.PositiveBigIntegerField(default=0)
    code_version = models.PositiveIntegerField(default=1)
    token = models.PositiveBigIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "journal_checkpoint"

    def __str__(self) -> str:
        return f"{self.name} at {self.position}"


class Lease(models.Model):
    """Who may do what only one may do at a time, and until when, by the database's clock."""

    name = models.CharField(max_length=100, primary_key=True)
    holder = models.CharField(max_length=160, default="")
    token = models.PositiveBigIntegerField(default=0)
    acquired_at = models.DateTimeField()
    heartbeat_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "journal_lease"

    def __str__(self) -> str:
        return f"{self.name}: {self.holder or 'free'}, token {self.token}"


class ParkedEvent(models.Model):
    """An event a subscriber could not handle: set aside with the reason, so that the others go on."""

    id = models.BigAutoField(primary_key=True)
    subscription = models.CharField(max_length=100)
    project = models.CharField(max_length=64)
    event_id = models.CharField(max_length=36)
    position = models.BigIntegerField()
    reason = models.TextField()
    attempts = models.PositiveIntegerField(default=1)
    next_try_at = models.DateTimeField()
    state = models.CharField(max_length=16, default="waiting")
    parked_at = models.DateTimeField()

    class Meta:
        db_table = "journal_parked_event"
        constraints = [
            models.UniqueConstraint(fields=["subscription", "project", "event_id"], name="journal_parked_once")
        ]
        indexes = [models.Index(fields=["subscription", "state", "next_try_at"], name="journal_parked_due")]

    def __str__(self) -> str:
        return f"{self.subscription}: event {self.event_id} at {self.position}, {self.state}"


class Snapshot(models.Model):
    """A stream's state at a version, as some version of the code folded it. Deleting all of them loses only time."""

    id = models.BigAutoField(primary_key=True)
    project = models.CharField(max_length=64)
    stream = models.CharField(max_length=245)
    version = models.PositiveBigIntegerField()
    code_version = models.CharField(max_length=40)
    state = models.BinaryField()
    made_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "journal_snapshot"
        constraints = [
            models.UniqueConstraint(
                fields=["project", "stream", "code_version", "version"], name="journal_snapshot_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.stream} at {self.version}"


class CauseRow(models.Model):
    """One link between two events of a project, by event id. The cause may be one the journal does not hold."""

    id = models.BigAutoField(primary_key=True)
    generation = models.PositiveBigIntegerField(default=0)
    project = models.CharField(max_length=64)
    cause = models.CharField(max_length=36)
    effect = models.CharField(max_length=36)
    kind = models.CharField(max_length=12)
    certainty = models.CharField(max_length=10)

    class Meta:
        db_table = "journal_cause"
        constraints = [
            models.UniqueConstraint(
                fields=["generation", "project", "effect", "cause", "kind"], name="journal_cause_once"
            )
        ]
        # With the effect it answers by itself, so that no planner thinks the other index the shorter way.
        indexes = [models.Index(fields=["generation", "project", "cause", "effect"], name="journal_cause_down")]

    def __str__(self) -> str:
        return f"{self.cause} {self.kind} {self.effect}"


class Dispatch(models.Model):
    """Something an event set off outside its stream, until it is delivered or a person has to look.

    Written by raw SQL in the append's transaction (`journal.store.outbox_rows`), so each column is given a value there.
    """

    id = models.CharField(max_length=36, primary_key=True)
    project = models.CharField(max_length=64)
    event_id = models.CharField(max_length=36)
    effect = models.CharField(max_length=60)
    target = models.CharField(max_length=245)
    payload = models.TextField()
    state = models.CharField(max_length=12, default="pending")
    attempts = models.PositiveIntegerField(default=0)
    token = models.PositiveBigIntegerField(default=0)
    next_try_us = models.BigIntegerField()
    last_error = models.TextField()
    created_us = models.BigIntegerField()
    ended_us = models.BigIntegerField(null=True)

    class Meta:
        db_table = "journal_dispatch"
        indexes = [
            models.Index(fields=["state", "effect", "next_try_us"], name="journal_dispatch_due"),
            models.Index(fields=["project", "target", "created_us"], name="journal_dispatch_target"),
        ]

    def __str__(self) -> str:
        return f"{self.effect} to {self.target}: {self.state}"


class Webhook(models.Model):
    """Where a project's alerts and events are sent: an http, https or mailto address.

    `secret` signs what is sent, so it is kept as it is: a digest cannot sign. `after_position` is the journal's head
    when the webhook was made: what was recorded before is not sent.
    """

    id = models.CharField(max_length=36, primary_key=True)
    project = models.ForeignKey("Project", on_delete=models.CASCADE, related_name="webhooks")
    url = models.CharField(max_length=2000)
    secret = models.CharField(max_length=100)
    on = models.JSONField(default=list)
    after_position = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "journal_webhook"

    def __str__(self) -> str:
        return f"webhook {self.id}"


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


class Session(AbstractBaseSession):
    """A signed-in browser. The user stands in a column, so that session, user and memberships are one query."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="+")

    class Meta(AbstractBaseSession.Meta):
        db_table = "journal_session"

    @classmethod
    def get_session_store_class(cls) -> Any:
        """Return what reads and writes these rows: the settings name it, since it is of a layer above this module."""
        return import_module(settings.SESSION_ENGINE).SessionStore


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
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "journal_token"

    def __str__(self) -> str:
        return self.prefix


class Job(models.Model):
    """Long work as a row: the row is the truth, Celery only wakes it. One without a project is the whole journal's."""

    id = models.CharField(max_length=36, primary_key=True)
    kind = models.CharField(max_length=40)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, null=True, related_name="jobs")
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

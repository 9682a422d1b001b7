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
        indexes = [models.Index(fields=["generation", "project", "cause"], name="journal_cause_down")]

    def __str__(self) -> str:
        return f"{self.cause} {self.kind} {self.effect}"


class NameRow(models.Model):
    """A correlation id or a subject that an event names, cut to `LONGEST_NAME`: what the journal is asked by."""

    LONGEST_NAME = 200

    id = models.BigAutoField(primary_key=True)
    generation = models.PositiveBigIntegerField(default=0)
    project = models.CharField(max_length=64)
    kind = models.CharField(max_length=12)
    value = models.CharField(max_length=LONGEST_NAME)
    position = models.BigIntegerField()
    event_id = models.CharField(max_length=36)

    class Meta:
        db_table = "journal_name"
        constraints = [
            models.UniqueConstraint(
                fields=["generation", "project", "kind", "value", "position"], name="journal_name_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.value} at {self.position}"


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


class RuleRow(models.Model):
    """A version of a saved rule, as lists show it. Filled by the projection `rules` from the rules' streams."""

    id = models.BigAutoField(primary_key=True)
    generation = models.PositiveBigIntegerField(default=0)
    project = models.CharField(max_length=64)
    name = models.CharField(max_length=80)
    version = models.PositiveIntegerField()
    description = models.TextField()
    expression = models.TextField()
    monotone = models.BooleanField(default=False)
    saved_by = models.CharField(max_length=200)
    saved_us = models.BigIntegerField()
    is_retired = models.BooleanField(default=False)

    class Meta:
        db_table = "journal_rule"
        constraints = [
            models.UniqueConstraint(fields=["generation", "project", "name", "version"], name="journal_rule_once")
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class GradeRow(models.Model):
    """A rule's verdict on a run. Filled by the projection `grades` from `agent_run.graded` in streams `grades-…`.

    `grade` is the event's id, which is derived from what was judged. An empty text or a null is "there is none".
    """

    id = models.BigAutoField(primary_key=True)
    generation = models.PositiveBigIntegerField(default=0)
    project = models.CharField(max_length=64)
    grade = models.CharField(max_length=36)
    job = models.CharField(max_length=36)
    rule = models.CharField(max_length=120)
    rule_version = models.PositiveIntegerField()
    run = models.CharField(max_length=245)
    run_version = models.PositiveBigIntegerField()
    is_whole = models.BooleanField(default=True)
    verdict = models.CharField(max_length=8)
    previous = models.CharField(max_length=8)
    at_version = models.PositiveBigIntegerField(null=True)
    at_position = models.BigIntegerField(null=True)
    event_id = models.CharField(max_length=36)
    event_type = models.CharField(max_length=200)
    message = models.TextField()
    tool = models.CharField(max_length=200)
    model = models.CharField(max_length=200)
    agent = models.CharField(max_length=200)
    started_us = models.BigIntegerField(null=True)
    occurred_us = models.BigIntegerField(null=True)
    flips = models.PositiveIntegerField(default=0)
    position = models.BigIntegerField()

    class Meta:
        db_table = "journal_grade"
        constraints = [models.UniqueConstraint(fields=["generation", "project", "grade"], name="journal_grade_once")]
        indexes = [models.Index(fields=["generation", "project", "run", "rule"], name="journal_grade_run")]

    def __str__(self) -> str:
        return f"{self.rule} on {self.run}: {self.verdict}"


class JobPart(models.Model):
    """A part of a job that any worker may take: by conditional update, under an attempt that rises each time."""

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="parts", db_index=False)
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=8, default="waiting")
    attempt = models.PositiveIntegerField(default=0)
    heartbeat_at = models.DateTimeField(null=True)
    runs = models.PositiveIntegerField(default=0)
    events = models.PositiveBigIntegerField(default=0)
    holds = models.PositiveIntegerField(default=0)
    fails = models.PositiveIntegerField(default=0)
    errors = models.PositiveIntegerField(default=0)
    newly_failing = models.PositiveIntegerField(default=0)
    newly_holding = models.PositiveIntegerField(default=0)
    seconds = models.FloatField(default=0)

    class Meta:
        db_table = "journal_job_part"
        constraints = [models.UniqueConstraint(fields=["job", "number"], name="journal_job_part_once")]

    def __str__(self) -> str:
        return f"part {self.number} of job {self.job_id}: {self.state}"


class JobRun(models.Model):
    """A run that a job looks at, frozen: up to which version, and which of its events count.

    `grade` is the id that its verdict has or will have; `is_kept` where that was there before the job. `previous` is
    what the rule's previous version says of the run, where that is known without asking it.
    """

    id = models.BigAutoField(primary_key=True)
    job = models.CharField(max_length=36)
    part = models.PositiveIntegerField(null=True)
    run = models.CharField(max_length=245)
    run_version = models.PositiveBigIntegerField()
    since_us = models.BigIntegerField(null=True)
    until_us = models.BigIntegerField(null=True)
    grade = models.CharField(max_length=36)
    previous = models.CharField(max_length=8, default="")
    is_kept = models.BooleanField(default=False)

    class Meta:
        db_table = "journal_job_run"
        constraints = [models.UniqueConstraint(fields=["job", "run"], name="journal_job_run_once")]
        indexes = [models.Index(fields=["job", "part"], name="journal_job_run_part")]

    def __str__(self) -> str:
        return f"{self.run} in job {self.job}"


class Schedule(models.Model):
    """Work that is due again and again. `next_due_at` is moved on by conditional update, which claims the time."""

    id = models.CharField(max_length=36, primary_key=True)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="schedules")
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=40)
    cron = models.CharField(max_length=120)
    timezone = models.CharField(max_length=64, default="UTC")
    arguments = models.JSONField(default=dict)
    is_paused = models.BooleanField(default=False)
    next_due_at = models.DateTimeField(null=True)
    last_due_at = models.DateTimeField(null=True)
    last_job = models.CharField(max_length=36, default="")
    settled_job = models.CharField(max_length=36, default="")
    outcome = models.JSONField(null=True)
    created_by = models.CharField(max_length=200, default="")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "journal_schedule"
        indexes = [models.Index(fields=["is_paused", "next_due_at"], name="journal_schedule_due")]

    def __str__(self) -> str:
        return f"{self.name}: {self.cron}"


class Log(models.Model):
    """A project's transparency log at its newest head. `epoch` rises where one cannot go on and another begins.

    `frontier` is that of the tree over the events, `occurred` that of the tree over when they occurred.
    """

    id = models.BigAutoField(primary_key=True)
    project = models.CharField(max_length=64)
    epoch = models.PositiveIntegerField(default=1)
    origin = models.CharField(max_length=300)
    size = models.PositiveBigIntegerField(default=0)
    position = models.BigIntegerField(default=0)
    frontier = models.BinaryField(default=b"")
    occurred = models.BinaryField(default=b"")
    broken = models.TextField(default="")
    opened_at = models.DateTimeField()

    class Meta:
        db_table = "journal_log"
        constraints = [models.UniqueConstraint(fields=["project", "epoch"], name="journal_log_epoch")]

    def __str__(self) -> str:
        return f"{self.origin}: {self.size}"


class LogHead(models.Model):
    """A signed checkpoint of a log, and the position of the last event under it.

    `occurred_note` is the signed head of the tree over when these events occurred; none is of a log before it had one.
    """

    id = models.BigAutoField(primary_key=True)
    log = models.ForeignKey(Log, on_delete=models.PROTECT, db_index=False, related_name="heads")
    size = models.PositiveBigIntegerField()
    position = models.BigIntegerField()
    root = models.BinaryField()
    note = models.TextField()
    occurred_note = models.TextField(default="")
    sealed_at = models.DateTimeField()

    class Meta:
        db_table = "journal_log_head"
        constraints = [models.UniqueConstraint(fields=["log", "size"], name="journal_log_head_size")]
        indexes = [models.Index(fields=["log", "position"], name="journal_log_head_position")]

    def __str__(self) -> str:
        return f"{self.log_id} at {self.size}"


class LogTile(models.Model):
    """Up to 256 hashes of one level of a log's tree, 32 bytes each; a partial one is widened in place.

    Levels from 64 on are those of the tree over when the events occurred.
    """

    id = models.BigAutoField(primary_key=True)
    log = models.ForeignKey(Log, on_delete=models.PROTECT, db_index=False, related_name="tiles")
    level = models.PositiveSmallIntegerField()
    index = models.PositiveBigIntegerField()
    hashes = models.BinaryField()

    class Meta:
        db_table = "journal_log_tile"
        constraints = [models.UniqueConstraint(fields=["log", "level", "index"], name="journal_log_tile_place")]

    def __str__(self) -> str:
        return f"{self.log_id}: {self.level}/{self.index}"


class SpanTrace(models.Model):
    """A trace that spans came for over HTTP, until it is told as a run. `name` is its id, or what stands for one.

    `news` counts the records that came; `waiting_us` is when the first came that is not told yet. `is_rooted`: a span
    without a parent came, which is the last to end. `is_run`: something of it was told.
    """

    id = models.BigAutoField(primary_key=True)
    project = models.CharField(max_length=64)
    name = models.CharField(max_length=64)
    news = models.PositiveBigIntegerField(default=0)
    waiting_us = models.BigIntegerField(null=True)
    last_us = models.BigIntegerField()
    is_rooted = models.BooleanField(default=False)
    is_run = models.BooleanField(default=False)
    attempts = models.PositiveIntegerField(default=0)
    problem = models.TextField(default="")

    class Meta:
        db_table = "journal_span_trace"
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="journal_span_trace_once")]
        indexes = [models.Index(fields=["waiting_us"], name="journal_span_trace_waiting")]

    def __str__(self) -> str:
        return f"trace {self.name}: {self.news} records"


class SpanRecord(models.Model):
    """A span or log record as it came over HTTP: added, never changed, but for the run it was told in.

    `digest` is of its content, so that what comes twice is there once. `hint` stands for the conversation or session
    it names, empty where it names none. `run` is the `source_id` of the run it was told in.
    """

    id = models.BigAutoField(primary_key=True)
    project = models.CharField(max_length=64)
    trace = models.ForeignKey(SpanTrace, on_delete=models.CASCADE, related_name="records")
    kind = models.CharField(max_length=4)
    digest = models.CharField(max_length=64)
    hint = models.CharField(max_length=64, default="")
    run = models.TextField(default="")
    body = models.BinaryField()

    class Meta:
        db_table = "journal_span_record"
        constraints = [models.UniqueConstraint(fields=["project", "digest"], name="journal_span_record_once")]
        indexes = [models.Index(fields=["project", "hint"], name="journal_span_record_hint")]

    def __str__(self) -> str:
        return f"{self.kind} {self.digest[:12]} of trace {self.trace_id}"


class BridgedThread(models.Model):
    """How far a bridge has read a thread of another program's database: only a saving of work, not a truth.

    `source` and `thread` are digests; `mark` differs once there is more of the thread.
    """

    id = models.BigAutoField(primary_key=True)
    project = models.CharField(max_length=64)
    source = models.CharField(max_length=64)
    thread = models.CharField(max_length=64)
    mark = models.CharField(max_length=200)

    class Meta:
        db_table = "journal_bridged_thread"
        constraints = [
            models.UniqueConstraint(fields=["project", "source", "thread"], name="journal_bridged_thread_once")
        ]

    def __str__(self) -> str:
        return self.mark

"""The explorer's read models: filled by `explorer.projections` from the journal, and rebuilt from it at any time.

List rows carry short text and numbers only; payloads stay in the journal.
"""

from __future__ import annotations

from typing import Any

from django.db import models

from explorer.kept import Embedding, EmbedLink, SavedView, WhatIf
from journal.runtime.read_model import LiveRows

__all__ = [
    "EmbedLink",
    "Embedding",
    "EventLine",
    "NoteRow",
    "RunMap",
    "RunSummary",
    "SavedView",
    "SearchText",
    "WhatIf",
]

PROJECTION = "explorer"
"""Whose checkpoint says which generation of rows pages see: `objects` reads that one alone, `every` all."""

SEARCH = "search"
"""The projection that fills `SearchText`: one of its own, since it takes longer than the lists do."""

NOTES = "notes"
"""The projection that fills `NoteRow`."""


class RunSummary(models.Model):
    """One stream as the run list shows it. Times are microseconds since 1970; null is "not recorded"."""

    generation = models.PositiveBigIntegerField(default=0)
    project = models.CharField(max_length=64)
    stream = models.CharField(max_length=245)
    category = models.CharField(max_length=64)
    title = models.CharField(max_length=300)
    status = models.CharField(max_length=16)
    agent = models.CharField(max_length=200, default="")
    model = models.CharField(max_length=200, default="")
    source = models.CharField(max_length=40, default="")
    source_id = models.CharField(max_length=300, default="")
    parent_run = models.CharField(max_length=245, default="")
    subject = models.CharField(max_length=200, default="")
    tools = models.JSONField(default=list)
    events = models.PositiveBigIntegerField(default=0)
    decisions = models.PositiveBigIntegerField(default=0)
    tool_calls = models.PositiveBigIntegerField(default=0)
    tool_errors = models.PositiveBigIntegerField(default=0)
    first_error = models.PositiveBigIntegerField(null=True)
    input_tokens = models.PositiveBigIntegerField(null=True)
    output_tokens = models.PositiveBigIntegerField(null=True)
    cost_usd = models.FloatField(null=True)
    duration_ms = models.BigIntegerField(null=True)
    outcome = models.CharField(max_length=16, default="unknown")
    outcome_raw = models.JSONField(null=True)
    synthetic = models.BooleanField(default=False)
    shape = models.JSONField(default=dict)
    verdicts = models.JSONField(default=list)
    gaps = models.JSONField(default=dict)
    started_us = models.BigIntegerField()
    newest_us = models.BigIntegerField()
    time_known = models.BooleanField(default=True)
    position = models.BigIntegerField()

    objects = LiveRows(PROJECTION)
    every: models.Manager[Any] = models.Manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["generation", "project", "stream"], name="explorer_run_once")]
        indexes = [
            models.Index(fields=["generation", "project", "-started_us", "-id"], name="explorer_run_recent"),
            models.Index(fields=["generation", "project", "status", "-started_us"], name="explorer_run_status"),
            models.Index(fields=["generation", "project", "parent_run"], name="explorer_run_parent"),
        ]

    def __str__(self) -> str:
        return self.stream


class RunMap(models.Model):
    """The course of a run in buckets (`explorer.run_map`): beside its summary, which every row of a list reads."""

    run = models.OneToOneField(RunSummary, on_delete=models.CASCADE, primary_key=True, related_name="+")
    data = models.JSONField(default=dict)

    objects = LiveRows(PROJECTION, path="run__generation")
    every: models.Manager[Any] = models.Manager()

    def __str__(self) -> str:
        return f"map of {self.run_id}"


class EventLine(models.Model):
    """One event as a list row, a mark on the minimap and a node of a cause graph show it.

    `folded_into` is the version of the row that stands for this one (a model call in its response); `pair` is the
    version of the call a result answers, and of the result that answers a call.
    """

    run = models.ForeignKey(RunSummary, on_delete=models.CASCADE, related_name="lines", db_index=False)
    version = models.PositiveBigIntegerField()
    event_id = models.CharField(max_length=36)
    position = models.BigIntegerField()
    kind = models.CharField(max_length=24)
    title = models.CharField(max_length=200)
    summary = models.CharField(max_length=400)
    tool = models.CharField(max_length=200, default="")
    call_id = models.CharField(max_length=200, default="")
    is_error = models.BooleanField(default=False)
    pair = models.PositiveBigIntegerField(null=True)
    folded_into = models.PositiveBigIntegerField(null=True)
    took_ms = models.FloatField(null=True)
    occurred_us = models.BigIntegerField()
    time_known = models.BooleanField(default=True)
    context_bytes = models.BigIntegerField(default=0)
    size_bytes = models.BigIntegerField(default=0)
    trace_id = models.CharField(max_length=32, default="")
    span_id = models.CharField(max_length=16, default="")

    objects = LiveRows(PROJECTION, path="run__generation")
    every: models.Manager[Any] = models.Manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "version"], name="explorer_line_version")]
        indexes = [
            models.Index(fields=["event_id"], name="explorer_line_event"),
            models.Index(fields=["run", "kind", "version"], name="explorer_line_kind"),
            models.Index(fields=["run", "tool", "kind", "version"], name="explorer_line_tool"),
            models.Index(fields=["trace_id", "span_id"], name="explorer_line_trace"),
        ]

    def __str__(self) -> str:
        return f"{self.version} {self.summary}"


class SearchText(models.Model):
    """What of one event can be found (`explorer.search`).

    `words` is what the database's full-text index reads, in the type that it reads (migration `search`); `folded` the
    text without the difference of capital and small letters, null where any database can make it of the text. The
    texts come last: SQLite reads a row up to the column that is asked for.
    """

    generation = models.PositiveBigIntegerField(default=0)
    project = models.CharField(max_length=64)
    stream = models.CharField(max_length=245)
    version = models.PositiveBigIntegerField()
    event_id = models.CharField(max_length=36)
    is_cut = models.BooleanField(default=False)
    words = models.TextField()
    folded = models.TextField(null=True)  # noqa: DJ001 - null is "as the text", empty would be another text
    text = models.TextField()

    objects = LiveRows(SEARCH)
    every: models.Manager[Any] = models.Manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["generation", "project", "stream", "version"], name="explorer_text_once")
        ]
        indexes = [models.Index(fields=["event_id"], name="explorer_text_event")]

    def __str__(self) -> str:
        return f"{self.stream} {self.version}"


class NoteRow(models.Model):
    """A note or grade as it stands. `rule` is empty for a note, `at_version` 0 for what is about the whole run.

    `is_own` are notes that the run's own stream holds, as its source recorded them: nobody changes those.
    """

    generation = models.PositiveBigIntegerField(default=0)
    project = models.CharField(max_length=64)
    run = models.CharField(max_length=245)
    is_own = models.BooleanField(default=False)
    number = models.PositiveBigIntegerField()
    version = models.PositiveBigIntegerField()
    event_id = models.CharField(max_length=36)
    by = models.CharField(max_length=200)
    text = models.TextField()
    label = models.CharField(max_length=60)
    rule = models.CharField(max_length=120)
    verdict = models.CharField(max_length=16)
    at_version = models.PositiveBigIntegerField(default=0)
    created_us = models.BigIntegerField()
    changed_us = models.BigIntegerField()
    changes = models.PositiveIntegerField(default=0)
    is_retracted = models.BooleanField(default=False)
    retracted_by = models.CharField(max_length=200)

    objects = LiveRows(NOTES)
    every: models.Manager[Any] = models.Manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["generation", "project", "run", "is_own", "number"], name="explorer_note_once"
            )
        ]
        indexes = [models.Index(fields=["generation", "project", "rule"], name="explorer_note_rule")]

    def __str__(self) -> str:
        return f"note {self.number} on {self.run}"

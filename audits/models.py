"""The audits' read model: which runs name which subjects and correlations. Rebuilt from the journal at any time."""

from __future__ import annotations

from typing import Any, Final

from django.db import models

from journal.runtime.read_model import LiveRows

PROJECTION: Final = "subjects"
ACCESS: Final = "access"
LONGEST: Final = 200


class Mention(models.Model):
    """A subject or a correlation id, and the first event of a stream that names it."""

    generation = models.PositiveBigIntegerField(default=0)
    project = models.CharField(max_length=64)
    kind = models.CharField(max_length=12)
    value = models.CharField(max_length=LONGEST)
    stream = models.CharField(max_length=245)
    event_id = models.CharField(max_length=36)
    position = models.BigIntegerField()

    objects = LiveRows(PROJECTION)
    every: models.Manager[Any] = models.Manager()

    class Meta:
        db_table = "audits_mention"
        constraints = [
            models.UniqueConstraint(
                fields=["generation", "project", "kind", "value", "stream"], name="audits_mention_once"
            )
        ]
        indexes = [models.Index(fields=["generation", "project", "stream"], name="audits_mention_stream")]

    def __str__(self) -> str:
        return f"{self.kind} {self.value} in {self.stream}"


class AccessEntry(models.Model):
    """A record of the access log as the review page filters it. `occurred_us` is when it happened, or the last time."""

    generation = models.PositiveBigIntegerField(default=0)
    project = models.CharField(max_length=64)
    position = models.BigIntegerField()
    stream = models.CharField(max_length=245)
    version = models.PositiveBigIntegerField()
    event_id = models.CharField(max_length=36)
    occurred_us = models.BigIntegerField()
    kind = models.CharField(max_length=12)
    what = models.CharField(max_length=LONGEST)
    object = models.CharField(max_length=300)
    who = models.CharField(max_length=LONGEST)
    via = models.CharField(max_length=LONGEST)
    detail = models.CharField(max_length=400)
    origin = models.CharField(max_length=60)
    outcome = models.CharField(max_length=12)
    times = models.PositiveBigIntegerField(default=1)
    since = models.CharField(max_length=32, default="")
    first_version = models.PositiveBigIntegerField(default=0)
    last_version = models.PositiveBigIntegerField(default=0)
    correlation = models.CharField(max_length=LONGEST, default="")

    objects = LiveRows(ACCESS)
    every: models.Manager[Any] = models.Manager()

    class Meta:
        db_table = "audits_access"
        constraints = [models.UniqueConstraint(fields=["generation", "position"], name="audits_access_once")]
        indexes = [
            models.Index(fields=["generation", "project", "occurred_us", "position"], name="audits_access_time"),
            models.Index(fields=["generation", "project", "who", "position"], name="audits_access_who"),
            models.Index(fields=["generation", "project", "object", "position"], name="audits_access_object"),
        ]

    def __str__(self) -> str:
        return f"{self.who} {self.kind} {self.object} at {self.position}"

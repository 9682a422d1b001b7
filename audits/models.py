"""The audits' read model: which runs name which subjects and correlations. Rebuilt from the journal at any time."""

from __future__ import annotations

from typing import Any, Final

from django.db import models

from journal.runtime.read_model import LiveRows

PROJECTION: Final = "subjects"
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

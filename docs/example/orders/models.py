"""Read models: tables that a projection fills from the journal, and that a rebuild fills again."""

from __future__ import annotations

from typing import Any

from django.db import models

from journal.runtime.read_model import LiveRows


class OpenOrder(models.Model):
    """An order whose parcel has not left."""

    generation = models.PositiveBigIntegerField(default=0)
    project = models.CharField(max_length=64)
    stream = models.CharField(max_length=245)
    customer = models.CharField(max_length=200)
    is_paid = models.BooleanField(default=False)

    objects = LiveRows("open_orders")
    every: models.Manager[Any] = models.Manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["generation", "project", "stream"], name="orders_open_once")]

    def __str__(self) -> str:
        return self.stream

"""Tables that a projection fills, in generations: the one that pages see, and another that is built beside it.

Every row belongs to a generation. Which one is live stands in the projection's checkpoint, and a model's `objects`
reads that one alone, so a query need not know that there are others. Building beside is filling rows of another
generation; swapping is changing one number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from typing import Any, Final

import msgspec
from django.db import models
from django.db.models.functions import Coalesce

from journal.models import Checkpoint

_CHUNK: Final = 500
_encode = msgspec.json.Encoder(order="deterministic").encode


def live_generation(projection: str) -> Coalesce:
    """Return, as an expression for queries, the generation of a projection's rows that pages see."""
    live = Checkpoint.objects.filter(name=projection).values("generation")[:1]
    return Coalesce(models.Subquery(live), 0, output_field=models.PositiveBigIntegerField())


def live_generation_sql(projection: str) -> str:
    """Return the same for SQL that is written by hand. The projection's name is a constant of the code."""
    return f"COALESCE((SELECT generation FROM journal_checkpoint WHERE name = '{projection}'), 0)"  # noqa: S608


class LiveRows(models.Manager[Any]):
    """Reads the live generation only. `path` leads to the generation from the model whose manager this is."""

    def __init__(self, projection: str, *, path: str = "generation") -> None:
        super().__init__()
        self._projection = projection
        self._path = path

    def get_queryset(self) -> models.QuerySet[Any]:
        """Return the rows of the live generation."""
        return super().get_queryset().filter(**{self._path: live_generation(self._projection)})


def discard(
    models_of: Iterable[type[models.Model]], *, below: int, keep: Collection[int], path: str = "generation"
) -> None:
    """Delete the rows of generations under `below` but some, in short transactions so that nobody waits for long.

    Generations rise, so one who was paused here for any time still deletes nothing of what began after it.
    """
    for model in models_of:
        rows = model._base_manager  # noqa: SLF001 - Django's documented way past a filtering manager
        old = rows.filter(**{f"{path}__lt": below}).exclude(**{f"{path}__in": list(keep)}).order_by()
        while chunk := list(old.values_list("pk", flat=True)[:_CHUNK]):
            found = rows.filter(pk__in=chunk)
            found._raw_delete(found.db)  # noqa: SLF001 - nothing hangs on these rows, and loading them would take long


def digest(rows: Iterable[Iterable[tuple[Any, ...]]]) -> str:
    """Return the SHA-256 of tables' rows, each table's in an order of their own content."""
    told = hashlib.sha256()
    for table in rows:
        for row in table:
            told.update(_encode(row) + b"\n")
        told.update(b"\n")
    return told.hexdigest()

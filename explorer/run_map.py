"""The course of a run in at most `MOST` buckets: what the minimap is drawn from, kept by the projection as it reads.

A bucket counts events by kind and knows the largest context; when there would be too many, every two become one. So
the drawing of 100,000 events reads one row, as that of 200 does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from explorer.layout import Mark, bucket_count

MOST: Final = 1_200


class Line(Protocol):
    """What the map needs of an event."""

    version: int
    kind: str
    context_bytes: int


def grown(before: dict[str, Any], lines: Sequence[Line]) -> dict[str, Any]:
    """Return a map after some more events: `{"every", "kinds": {kind: [count by bucket]}, "context": [bytes]}`.

    Bucket n holds the versions ``(n * every, (n + 1) * every]``. A kind's list ends with its last event.
    """
    every = before.get("every", 1)
    kinds = {kind: list(counts) for kind, counts in before.get("kinds", {}).items()}
    context = list(before.get("context", []))
    for line in lines:
        while (line.version - 1) // every >= MOST:
            every *= 2
            kinds = {kind: _halved(counts, sum) for kind, counts in kinds.items()}
            context = _halved(context, max)
        bucket = (line.version - 1) // every
        _at(kinds.setdefault(line.kind, []), bucket)
        kinds[line.kind][bucket] += 1
        _at(context, bucket)
        context[bucket] = max(context[bucket], line.context_bytes)
    return {"every": every, "kinds": kinds, "context": context}


def _halved(values: list[int], join: Any) -> list[int]:
    return [join(values[at : at + 2]) for at in range(0, len(values), 2)]


def _at(values: list[int], bucket: int) -> None:
    values.extend([0] * (bucket + 1 - len(values)))


def marks_of(kept: dict[str, Any], events: int) -> list[Mark]:
    """Return what the minimap of a run of so many events draws, in as many columns as it has."""
    columns, every = bucket_count(events), kept.get("every", 1)
    counts: dict[tuple[int, str], int] = {}
    context: dict[int, int] = {}
    for bucket, size in enumerate(kept.get("context", [])):
        column = _column(bucket, every, columns, events)
        context[column] = max(context.get(column, 0), size)
    for kind, by_bucket in kept.get("kinds", {}).items():
        for bucket, count in enumerate(by_bucket):
            if count:
                key = (_column(bucket, every, columns, events), kind)
                counts[key] = counts.get(key, 0) + count
    return [
        Mark(bucket=column, kind=kind, count=count, context_bytes=context.get(column, 0))
        for (column, kind), count in sorted(counts.items())
    ]


def _column(bucket: int, every: int, columns: int, events: int) -> int:
    return min(columns - 1, bucket * every * columns // max(1, events))

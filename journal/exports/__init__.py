"""Streams to files: the journal's own lines, and formats other tools read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from journal.domain import codec
from journal.domain.event import RecordedEvent
from journal.exports.atif import atif
from journal.exports.otlp import otlp

Export = Callable[[Iterable[RecordedEvent]], Iterator[bytes]]


def jsonl(events: Iterable[RecordedEvent]) -> Iterator[bytes]:
    """Yield a line per event; `nagare import` reads them back without loss."""
    for event in events:
        yield codec.line(event) + b"\n"


EXPORTS: Final[dict[str, Export]] = {"jsonl": jsonl, "atif": atif, "otlp": otlp}

"""Streams to files: the journal's own lines, and formats other tools read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Final

from journal.domain import codec
from journal.domain.agent_run import CATEGORY
from journal.domain.event import RecordedEvent
from journal.domain.stream import category
from journal.errors import ExportRefused
from journal.exports.atif import atif
from journal.exports.otlp import otlp

Export = Callable[[Iterable[RecordedEvent]], Iterator[bytes]]


def jsonl(events: Iterable[RecordedEvent]) -> Iterator[bytes]:
    """Yield a line per event; `nagare import` reads them back without loss."""
    for event in events:
        yield codec.line(event) + b"\n"


def of_runs(name: str, export: Export) -> Export:
    """Return an export that refuses other streams at once: of those it would make a document with nothing in it.

    The one it returns raises `ExportRefused` when it is called, not when the first piece is asked for.
    """

    def exported(events: Iterable[RecordedEvent]) -> Iterator[bytes]:
        rest = iter(events)
        first = next(rest, None)
        if first is None:
            return export(())
        if category(first.stream) != CATEGORY:
            raise ExportRefused(stream=first.stream, format=name)
        return export(chain((first,), rest))

    return exported


EXPORTS: Final[dict[str, Export]] = {"jsonl": jsonl, "atif": of_runs("atif", atif), "otlp": of_runs("otlp", otlp)}

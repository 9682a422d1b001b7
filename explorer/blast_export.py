"""What rests on an event as a file. The journal is the truth: JSON Lines carry each event as it stands there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from explorer import csv_lines, figures
from explorer.queries.blast import Blast, Suspect, suspect_json
from journal.domain.codec import on_the_wire
from journal.domain.event import RecordedEvent
from journal.store import get_store

_encode: Final = msgspec.json.Encoder().encode
_COLUMNS: Final = (
    "stream", "version", "position", "occurred_at", "kind", "answer", "certainty", "links", "via", "holds", "summary",
    "event_id",
)  # fmt: skip
_SPAN: Final = 500
"""Events of one run that are read together, where they lie near each other."""


def jsonl(project: str, found: Blast) -> Iterator[bytes]:
    """Yield a line on the whole, then one for each event: how it was reached, and the event on the wire."""
    head = {
        "reach_of": {"stream": found.origin.run.stream, "version": found.origin.version, "id": found.origin.event_id},
        "origins": [
            {"stream": line.run.stream, "version": line.version, "id": line.event_id} for line in found.origins
        ],
        "events": len(found.suspects),
        "runs": found.runs,
        "answers": len(found.answers),
        "searched": found.searched,
        "not_searched": found.unsearched,
        "cut": found.is_cut,
    }
    yield _encode(head) + b"\n"
    for suspect, event in _with_events(project, found.suspects):
        yield _encode({**suspect_json(suspect), "event": on_the_wire(event) if event else None}) + b"\n"


def table(project: str, found: Blast) -> Iterator[bytes]:
    """Yield the same as CSV, in UTF-8, without the events' data. No cell is a formula."""
    del project
    yield csv_lines.line(_COLUMNS)
    for one in found.suspects:
        via = f"{one.via[0]} {one.via[1]}" if one.via else ""
        at = figures.iso(one.occurred_us) if one.time_known else ""
        yield csv_lines.line(
            (
                one.stream, one.version, one.position, at, one.kind, "yes" if one.is_answer else "", one.how,
                one.links, via, " | ".join(one.holds), one.summary, one.event_id,
            )
        )  # fmt: skip


def _with_events(project: str, suspects: Sequence[Suspect]) -> Iterator[tuple[Suspect, RecordedEvent | None]]:
    """Yield each with its event, run by run, from as few reads as their versions lie near each other."""
    store = get_store(project)
    by_run: dict[str, list[Suspect]] = {}
    for one in suspects:
        by_run.setdefault(one.stream, []).append(one)
    for stream, own in by_run.items():
        for part in _spans(sorted(own, key=lambda one: one.version)):
            read = store.read_stream(stream, after=part[0].version - 1, until=part[-1].version)
            events = {event.version: event for event in read}
            yield from ((one, events.get(one.version)) for one in part)


def _spans(ordered: Sequence[Suspect]) -> Iterator[list[Suspect]]:
    part: list[Suspect] = []
    for one in ordered:
        if part and one.version - part[0].version >= _SPAN:
            yield part
            part = []
        part.append(one)
    if part:
        yield part


FORMS: Final[dict[str, tuple[str, Callable[[str, Blast], Iterator[bytes]]]]] = {
    "jsonl": ("application/x-ndjson", jsonl),
    "csv": ("text/csv; charset=utf-8", table),
}
"""The formats by name: content type and writer."""

"""What the journal itself holds beside its events, and how it goes when they do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import msgspec
from django.db.models import QuerySet

from journal.domain.retention import naming
from journal.ingest import load_formats
from journal.ingest.writer import stream_of
from journal.models import CauseRow, Dispatch, GradeRow, Job, NameRow, ParkedEvent, Snapshot, SpanRecord, SpanTrace
from journal.runtime import withdrawal_jobs
from journal.runtime.copies import Gone, holds_copies

_CHUNK = 200


def chunks(names: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield names in parts that a statement takes."""
    listed = sorted(names)
    for start in range(0, len(listed), _CHUNK):
        yield listed[start : start + _CHUNK]


def deleted(rows: QuerySet[Any], column: str, names: Iterable[Any]) -> int:
    """Delete the rows that have one of the names in a column, and return how many."""
    return sum(rows.filter(**{f"{column}__in": part}).delete()[0] for part in chunks(names))


@holds_copies
class Snapshots:
    """States that were kept."""

    name = "snapshots"

    def clear(self, gone: Gone) -> int:
        """Delete those of the streams: they are folded again when they are wanted."""
        return deleted(Snapshot.objects.filter(project=gone.project), "stream", gone.streams)


@holds_copies
class Links:
    """Causes that events name in their metadata."""

    name = "causes"

    def clear(self, gone: Gone) -> int:
        """Delete what the events named, in every generation."""
        return deleted(CauseRow.objects.filter(project=gone.project), "effect", gone.event_ids)


@holds_copies
class Names:
    """Subjects and correlation ids, by which the journal is asked."""

    name = "names"

    def clear(self, gone: Gone) -> int:
        """Delete what the events named, in every generation."""
        return deleted(NameRow.objects.filter(project=gone.project), "event_id", gone.event_ids)


@holds_copies
class Verdicts:
    """Verdicts of re-grades, whose messages quote."""

    name = "verdicts"

    def clear(self, gone: Gone) -> int:
        """Delete those on the streams, in every generation; the events they came of are withdrawn as well."""
        return deleted(GradeRow.objects.filter(project=gone.project), "run", gone.streams)


@holds_copies
class Dispatches:
    """What events set off, delivered or not: the payload that was to be sent."""

    name = "dispatches"

    def clear(self, gone: Gone) -> int:
        """Delete them; what is not delivered yet is not delivered any more."""
        return deleted(Dispatch.objects.filter(project=gone.project), "event_id", gone.event_ids)


@holds_copies
class Parked:
    """Events that could not be handled, with the reason."""

    name = "parked events"

    def clear(self, gone: Gone) -> int:
        """Delete them: the events say nothing any more."""
        return deleted(ParkedEvent.objects.filter(project=gone.project), "event_id", gone.event_ids)


@holds_copies
class Spans:
    """Spans and log records as they came over OTLP."""

    name = "spans"

    def clear(self, gone: Gone) -> int:
        """Delete those that were told in one of the runs, and those beside them in its traces that are in no run.

        Of a person also what names them and was never told; where nothing of its trace was, all of the trace.
        """
        rows = SpanRecord.objects.filter(project=gone.project)
        told = _told(rows, gone)
        found = (rows.filter(run__in=part).values_list("trace_id", flat=True) for part in chunks(told))
        traces = {trace for traces in found for trace in traces}
        beside = _naming(rows, gone) if gone.subject else {}
        traces = traces | _never_told(beside.values()) if gone.subject else traces - _needed(rows, traces, told)
        problems = SpanTrace.objects.filter(project=gone.project).exclude(problem="")
        for part in chunks(traces | set(beside.values())):
            problems.filter(pk__in=part).update(problem="")
        count = deleted(rows.filter(run=""), "trace_id", traces) + deleted(rows, "pk", beside)
        return count + deleted(rows, "run", told)


def _never_told(traces: Iterable[int]) -> set[int]:
    """Return those traces of which nothing was told."""
    parts = (SpanTrace.objects.filter(pk__in=part, is_run=False) for part in chunks(set(traces)))
    return {trace.pk for rows in parts for trace in rows}


def _needed(rows: QuerySet[SpanRecord], traces: set[int], told: list[str]) -> set[int]:
    """Return those traces of which something is still to be told, or stands in a run that stays."""
    found, going = set[int](), {"", *told}
    for part in chunks(traces):
        runs = rows.filter(trace_id__in=part).order_by().values_list("trace_id", "run").distinct()
        found |= {trace for trace, run in runs if run not in going}
        found |= {trace.pk for trace in SpanTrace.objects.filter(pk__in=part, waiting_us__isnull=False)}
    return found


def _told(rows: QuerySet[SpanRecord], gone: Gone) -> list[str]:
    """Return the runs of the withdrawn streams. Rows name the source's id, which gives the stream."""
    formats = [known.name for known in load_formats()]
    return [
        run
        for run in rows.exclude(run="").order_by().values_list("run", flat=True).distinct()
        if any(stream_of(gone.project, name, run) in gone.streams for name in formats)
    ]


def _naming(rows: QuerySet[SpanRecord], gone: Gone) -> dict[int, int]:
    """Return the records in no run that name the subject, each with its trace."""
    named = naming(gone.subject)
    return {
        row.pk: row.trace_id
        for row in rows.filter(run="").iterator(chunk_size=_CHUNK)
        if any(named.search(text) for text in _texts(bytes(row.body)))
    }


def _texts(body: bytes) -> Iterator[str]:
    """Yield what a record says: as it was sent, and each text in it without what JSON escapes."""
    yield body.decode(errors="replace")
    if b"\\" not in body:
        return
    waiting: list[Any] = []
    with suppress(msgspec.DecodeError, RecursionError):
        waiting.append(msgspec.json.decode(body))
    while waiting:
        match waiting.pop():
            case str() as text:
                yield text
            case dict() as fields:
                waiting += [*fields, *fields.values()]
            case list() as items:
                waiting += items


@holds_copies
class Jobs:
    """Arguments, results and errors of long work."""

    name = "jobs"

    def clear(self, gone: Gone) -> int:
        """Take the quotations out of them."""
        rows = Job.objects.filter(project_id=gone.project).exclude(kind=withdrawal_jobs.ERASE)
        erasures = Job.objects.filter(project_id=gone.project, kind=withdrawal_jobs.ERASE)  # one of them is at work
        about = [job.id for job in erasures if gone.subject and job.arguments.get("subject") == gone.subject]
        changed = sum(withdrawal_jobs.forget(job_id) for job_id in about)
        for job in rows.iterator(chunk_size=200):
            after = {name: gone.scrubbed(getattr(job, name)) for name in ("arguments", "result", "error")}
            if any(getattr(job, name) != value for name, value in after.items()):
                changed += Job.objects.filter(pk=job.pk).update(**after)
        return changed

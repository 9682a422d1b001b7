"""What the journal itself holds beside its events, and how it goes when they do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import QuerySet

from journal.ingest import load_formats
from journal.ingest.writer import stream_of
from journal.models import CauseRow, Dispatch, GradeRow, Job, NameRow, ParkedEvent, Snapshot, SpanRecord
from journal.runtime import withdrawal_jobs
from journal.runtime.copies import Gone, holds_copies

_CHUNK = 200


def chunks(names: Iterable[str]) -> Iterator[list[str]]:
    """Yield names in parts that a statement takes."""
    listed = sorted(names)
    for start in range(0, len(listed), _CHUNK):
        yield listed[start : start + _CHUNK]


def deleted(rows: QuerySet[Any], column: str, names: Iterable[str]) -> int:
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
        """Delete those that were told in one of the runs. Their rows name the source's id, which gives the stream."""
        formats = [known.name for known in load_formats()]
        rows = SpanRecord.objects.filter(project=gone.project).exclude(run="").order_by()
        told = [
            run
            for run in rows.values_list("run", flat=True).distinct()
            if any(stream_of(gone.project, name, run) in gone.streams for name in formats)
        ]
        return deleted(SpanRecord.objects.filter(project=gone.project), "run", told)


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

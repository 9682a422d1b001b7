"""What the journal holds beside its events, and what of it goes: spans as they came."""

from __future__ import annotations

import pytest

from journal.copies import Spans
from journal.ingest.writer import stream_of
from journal.models import SpanRecord, SpanTrace
from journal.runtime.copies import Gone

pytestmark = pytest.mark.django_db

WHO = 'ada "the first"'


def trace(name: str, *, problem: str = "", is_run: bool = True, waiting_us: int | None = None) -> SpanTrace:
    """Keep a trace."""
    return SpanTrace.objects.create(
        project="default", name=name, last_us=0, problem=problem, is_run=is_run, waiting_us=waiting_us
    )


def record(of: SpanTrace, digest: str, *, run: str = "", body: str = "{}") -> None:
    """Keep a record of a trace."""
    SpanRecord.objects.create(project="default", trace=of, kind="span", digest=digest, run=run, body=body.encode())


def left(run: str, *, subject: str = "") -> set[str]:
    """Return the digests of the records that stay when a run goes, by doing it twice."""
    gone = Gone(
        project="default", order="o", words="gone", whole=frozenset(), event_ids=frozenset(),
        streams=frozenset({stream_of("default", "otlp", run)}), subject=subject,
    )  # fmt: skip
    before = SpanRecord.objects.count()
    count = Spans().clear(gone)
    stays = set(SpanRecord.objects.values_list("digest", flat=True))
    assert (Spans().clear(gone), count) == (0, before - len(stays))
    return stays


def test_what_stands_beside_a_run_in_its_trace_goes_with_it() -> None:
    """Spans of no model; not those of another run, nor what is still to be told, nor where a run of a trace stays."""
    alone, shared, waits = trace("a"), trace("b"), trace("c", waiting_us=1)
    for of in (alone, shared, waits):
        record(of, f"{of.name} told", run="r1")
        record(of, f"{of.name} beside")
    record(shared, "b other", run="r2")
    assert left("r1") == {"b beside", "b other", "c beside"}


def test_of_a_person_also_what_was_never_told_goes() -> None:
    """All of a trace that could not be told and names them, with what was said of it; of others' what names them."""
    failed, others, elses = (
        trace("a", problem=f"no {WHO}", is_run=False),
        trace("b"),
        trace("c", problem="x", is_run=False),
    )
    record(failed, "names", body='{"a":["user is ada \\"the first\\"."]}')
    record(failed, "beside")
    record(others, "others told", run="r2")
    record(others, "others name", body='{"k":{"ada \\u0022the first\\u0022":1}}')
    record(others, "others beside")
    record(elses, "elses", body='{"a":"ada \\"the first\\"-b"}')
    assert left("r1", subject=WHO) == {"others told", "others beside", "elses"}
    assert dict(SpanTrace.objects.values_list("name", "problem")) == {"a": "", "b": "", "c": "x"}


def test_a_purge_asks_nobody_by_name() -> None:
    """What was never told is of no run that went."""
    record(trace("a", problem="x", is_run=False), "names", body='{"a":"ada"}')
    assert left("r1") == {"names"}

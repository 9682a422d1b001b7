"""Drafts become events once, however often and in however many pieces they come."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace

from journal.domain import agent_run as run
from journal.domain.aggregate import fold
from journal.domain.lineage import causes_of
from journal.errors import ImportRefused
from journal.ingest.draft import EventDraft, Link, Opaque, Outcome, RecordedRun, Ref, RunDraft
from journal.ingest.writer import Written, prepare, replace_invalid, stream_of, write, write_recorded
from journal.store.memory import MemoryStore
from tests.builders import NOON, raw, reasoned, responded, returned, started
from tests.otel import telemetry


def story(length: int = 99, **last: Any) -> list[EventDraft]:
    """Return the first events of a small run; `last` changes the text of the last one."""
    events: list[run.AgentRunEvent] = [
        started(),
        run.MessageReceived(content="Fix billing/refunds.py"),
        responded("I will read it."),
        reasoned(path="billing/refunds.py"),
        returned("def refund(): ..."),
        responded("Done."),
        run.Answered(response="Done."),
    ]
    return [
        EventDraft(key=f"k{at}", event=event, at=NOON + timedelta(seconds=at))
        for at, event in enumerate(events[:length])
    ]


def imported(store: MemoryStore, events: Sequence[EventDraft], **draft: Any) -> Written:
    """Import a run of these events."""
    prepared = prepare(RunDraft(source_id="s-1", events=events, **draft), format_name="test", project=store.project)
    return write(prepared, store=store, now=NOON)


def test_a_second_import_changes_nothing() -> None:
    """The ids come from the places in the source, so they are found again."""
    store = MemoryStore()
    first = imported(store, story())
    again = imported(store, story())
    assert (first.status, first.events, again.status, again.added) == ("imported", 7, "unchanged", 0)
    assert store.head() == 7


def test_what_is_imported_keeps_the_trace_of_its_source() -> None:
    """An event that recorded none gets none: the importer's own span is no place where it happened."""
    recorded = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    store, events = MemoryStore(), story()
    events[1].traceparent = recorded
    with telemetry(), trace.get_tracer("importer").start_as_current_span("import"):
        imported(store, events)
        store.append("order-1", [raw()], expected_version=0)
    by_stream: dict[str, list[str | None]] = {}
    for event in store.read_all():
        by_stream.setdefault(event.stream, []).append(event.meta.traceparent)
    (run_traces,) = (traces for stream, traces in by_stream.items() if stream != "order-1")
    assert run_traces == [None, recorded, *[None] * 5]
    assert by_stream["order-1"] != [None]


@given(st.lists(st.integers(1, 7), min_size=1, max_size=6))
def test_a_transcript_that_grows_ends_as_if_imported_whole(lengths: list[int]) -> None:
    """Whatever prefixes were imported on the way, in whatever order, the stream is the same."""
    grown, whole = MemoryStore(), MemoryStore()
    for length in [*lengths, 7]:
        imported(grown, story(length))
    imported(whole, story())
    stream = stream_of("default", "test", "s-1")
    assert [(e.id, e.type, e.data, e.metadata) for e in grown.read_stream(stream)] == [
        (e.id, e.type, e.data, e.metadata) for e in whole.read_stream(stream)
    ]


def test_what_the_source_rewrote_is_noted_and_the_old_bytes_stay() -> None:
    """An event with other data than before keeps its bytes; one note says what the source has now, once."""
    store = MemoryStore()
    imported(store, story(3))
    changed = story(3)
    changed[2].event = responded("I will not read it.")
    assert [imported(store, changed).revised for _ in range(3)] == [1, 0, 0]
    events = list(store.read_stream(stream_of("default", "test", "s-1")))
    assert events[2].payload["content"] == "I will read it."
    assert (events[3].payload["atVersion"], events[3].payload["now"]["content"]) == (3, "I will not read it.")


def test_a_call_and_its_result_are_recorded_causes_and_reading_is_inferred() -> None:
    """The response holds the call, the result names the call; that the model read the result is worked out."""
    store = MemoryStore()
    imported(store, story())
    events = list(store.read_stream(stream_of("default", "test", "s-1")))
    version = {event.id: event.version for event in events}
    links = {
        (version[cause.id], event.version): (cause.kind, cause.certainty)
        for event in events
        for cause in causes_of(event)
    }
    assert links == {
        (1, 2): ("triggered", "inferred"),
        (2, 3): ("triggered", "inferred"),
        (3, 4): ("answers", "recorded"),
        (2, 4): ("quoted", "inferred"),
        (4, 5): ("triggered", "recorded"),
        (5, 6): ("read", "inferred"),
        (6, 7): ("answers", "recorded"),
    }


def test_a_recorded_cause_of_the_source_comes_first() -> None:
    """What the file says is the direct cause; it is not repeated as an inferred one."""
    store = MemoryStore()
    events = story(3)
    events[2].causes = (Link("k1", "triggered", "recorded"),)
    imported(store, events)
    last = list(store.read_stream(stream_of("default", "test", "s-1")))[2]
    assert [(cause.kind, cause.certainty) for cause in causes_of(last)] == [("triggered", "recorded")]


def test_a_child_run_is_spawned_by_the_event_that_handed_off() -> None:
    """Parent and child name each other's streams, whichever is imported first."""
    store = MemoryStore()
    handed = EventDraft(key="h", event=run.HandedOff(to_agent="searcher", child_run="child"))
    for draft in (
        RunDraft(source_id="child", events=[EventDraft(key="s", event=started())], parent=("parent", "h")),
        RunDraft(source_id="parent", events=[*story(2), handed]),
    ):
        write(prepare(draft, format_name="test", project="default"), store=store, now=NOON)
    parent, child = stream_of("default", "test", "parent"), stream_of("default", "test", "child")
    (first,) = store.read_stream(child)
    hand_off = list(store.read_stream(parent))[2]
    assert (first.payload["parentRun"], hand_off.payload["childRun"]) == (parent, child)
    assert [(cause.id, cause.kind) for cause in causes_of(first)] == [(hand_off.id, "spawned")]
    assert first.meta.correlation_id == hand_off.meta.correlation_id


def test_references_become_versions() -> None:
    """What a request sent is named by version where it stands in the run already."""
    store = MemoryStore()
    call = EventDraft(key="q", event=run.ModelCalled(messages=(Ref("k1"), {"role": "user", "content": "new"})))
    note = EventDraft(key="n", event=run.Annotated(text="here", at_version=Ref("q")))  # type: ignore[arg-type]
    imported(store, [*story(2), call, note])
    events = list(store.read_stream(stream_of("default", "test", "s-1")))
    assert events[2].payload["messages"] == [{"version": 2}, {"role": "user", "content": "new"}]
    assert events[3].payload["atVersion"] == 3


def test_a_time_the_source_does_not_record_is_not_made_up() -> None:
    """The event stands where it was in time and says that its time is unknown; a run without times has no duration."""
    store = MemoryStore()
    events = story(3)
    for draft in events:
        draft.at = None
    imported(store, events)
    stream = stream_of("default", "test", "s-1")
    assert {event.meta.time for event in store.read_stream(stream)} == {"unknown"}
    assert fold(stream, store.read_stream(stream)).to_json()["totals"]["duration_ms"] is None


def test_the_sources_label_of_the_outcome_is_a_grade_and_a_new_label_another() -> None:
    """The same label again adds nothing."""
    store = MemoryStore()
    for status in ("failure", "failure", "success"):
        imported(store, story(), outcome=Outcome(status=status, raw={"resolved": status}))
    grades = [event.payload for event in store.read_all() if event.type == "agent_run.graded"]
    assert [(grade["verdict"], grade["raw"]) for grade in grades] == [
        ("failure", {"resolved": "failure"}),
        ("success", {"resolved": "success"}),
    ]


def test_a_record_that_is_no_event_of_a_run_is_kept_whole() -> None:
    """It is there, of a type of its own, and changes no state."""
    store = MemoryStore()
    imported(store, [*story(1), EventDraft(key="o", event=Opaque(name="test.progress", data={"n": 1}))])
    last = list(store.read_all())[-1]
    assert (last.type, last.data) == ("source.test.progress", b'{"n":1}')


def test_a_nul_character_refuses_the_run_and_names_line_and_way_out() -> None:
    """Nothing of it is written; with `replace_invalid` it is, and the place is visible."""
    store = MemoryStore()
    bad = EventDraft(key="bad", event=responded("a\x00b"), line=12)
    with pytest.raises(ImportRefused, match=r"line 12: NUL.*nagare import --replace-invalid"):
        imported(store, [*story(4), bad])
    assert store.head() == 0
    imported(store, [replace_invalid(draft) for draft in [*story(4), bad]])
    assert "\ufffd" in list(store.read_all())[-1].payload["content"]


def test_keys_a_source_repeats_are_numbered() -> None:
    """Two records of one id are two events."""
    store = MemoryStore()
    twice = [EventDraft(key="same", event=responded("one")), EventDraft(key="same", event=responded("two"))]
    assert imported(store, twice).added == 2
    assert imported(store, twice).added == 0


@pytest.mark.parametrize(
    ("stream", "is_let_in"), [("redaction-rules", False), ("log-default", False), ("grades-1.1", True)]
)
def test_a_file_brings_no_evidence_and_no_rules_and_may_bring_verdicts(stream: str, *, is_let_in: bool) -> None:
    """Verdicts stand in streams of their own beside the runs that they are on."""
    store = MemoryStore()
    recorded = RecordedRun(stream=stream, events=[raw()])
    if is_let_in:
        assert write_recorded(recorded, store=store).status == "imported"
    else:
        with pytest.raises(ImportRefused, match="only the journal itself"):
            write_recorded(recorded, store=store)
    assert store.head() == is_let_in

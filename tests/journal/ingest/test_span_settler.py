"""Received spans to runs: every order and batching comes to the same run, and what comes late stands at its end."""

from __future__ import annotations

import json
import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from journal.ingest import span_settler
from journal.ingest.files import find, from_memory
from journal.ingest.importer import Importer
from journal.ingest.span_settler import JUNK_KEPT, LONGEST, ROOTLESS, settle_due, waiting
from journal.ingest.writer import stream_of
from journal.models import SpanRecord, SpanTrace
from journal.runtime import lease
from journal.store import get_store
from tests.api import secret
from tests.otlp import (
    QUIET,
    TRACE,
    Event,
    Sender,
    agent,
    chat,
    content,
    hundred,
    logs,
    message_log,
    settle,
    span,
    tool,
    traces,
    types,
    undone,
)

pytestmark = pytest.mark.django_db

RUN = stream_of("default", "otlp", TRACE)
OTHER = "1" * 32
TRAJECTORIES = (Path(__file__).resolve().parents[3] / "../shared/data/trajectories").resolve()
ORDERS = 100 if os.environ.get("FULL") else 20


@pytest.fixture
def sender() -> Sender:
    """A program that may send."""
    return Sender(secret("ingest"))


def send_all(sender: Sender, order: random.Random, spans: list[Any], records: list[Any]) -> None:
    """Send spans and log records in some order and batches, and some of them twice."""
    both = [(traces, one) for one in spans] + [(logs, one) for one in records]
    both += order.sample(both, len(both) // 5)
    order.shuffle(both)
    while both:
        size = order.randint(1, 30)
        batch, both = both[:size], both[size:]
        for wrap in (traces, logs):
            if items := [one for kind, one in batch if kind is wrap]:
                assert sender.send(wrap(*items)) == {}


def imported(name: str, data: bytes) -> list[list[Event]]:
    """Return the runs that importing a file comes to."""
    report = Importer(store=get_store()).run(from_memory({name: data}))
    return [content(one.stream) for file in report.files for one in file.runs]


def test_any_order_and_batching_comes_to_the_same_run(sender: Sender) -> None:
    """Byte for byte; and the same as importing a file of the same spans and log records."""
    spans, records = hundred(), [message_log(at, f"said at {at}") for at in range(2, 101, 6)]
    for at in range(0, 100, 6):
        spans[at + 1] = chat(at + 2)  # its content comes as a log record
    found = []
    for seed in range(ORDERS):
        with undone():
            send_all(sender, random.Random(seed), spans, records)
            settle()
            found.append(content(RUN))
    ((from_file),) = imported("t.json", json.dumps({**traces(*spans), **logs(*records)}).encode())
    assert len(found[0]) > 100
    assert all(one == found[0] for one in found)
    assert from_file == found[0]


@pytest.mark.skipif(not TRAJECTORIES.is_dir(), reason="the folder of real trajectories is not there")
@pytest.mark.parametrize("folder", ["adk_py", "hand", "kagent"])
def test_a_file_sent_over_http_is_the_run_its_import_is(sender: Sender, folder: str) -> None:
    """Files of spans and log records that were recorded from, or written for, other programs."""
    compared = 0
    for found in find([str(TRAJECTORIES / "otlp-genai" / folder)]):
        source = found.source()
        if ".truth." in source.name:
            continue
        with undone():
            report = Importer(store=get_store()).run([found])
            expected = {one.stream: content(one.stream) for file in report.files for one in file.runs}
        with undone():
            document = source.json()
            for signal in ("resourceSpans", "resourceLogs"):
                assert sender.send({signal: document.get(signal, [])}) == {}
            settle()
            assert {stream: content(stream) for stream in expected} == expected, source.name
        compared += len(expected)
    assert compared


def test_importing_what_was_received_adds_nothing(sender: Sender) -> None:
    """The ids are the same whichever way a trace came."""
    sender.send(traces(*hundred()))
    settle()
    report = Importer(store=get_store()).run(from_memory({"t.json": json.dumps(traces(*hundred())).encode()}))
    assert [(file.status, file.added) for file in report.files] == [("unchanged", 0)]


# --- When -------------------------------------------------------------------------------------------------------------


def look(after: timedelta) -> int:
    """Look so long after now, and return how many runs were told."""
    return len(settle_due(now=datetime.now(UTC) + after, quiet=QUIET).runs)


def test_a_trace_is_told_once_it_is_quiet(sender: Sender) -> None:
    """Not before; and one whose root has not ended waits longer."""
    second = timedelta(seconds=1)
    sender.send(traces(agent(1), chat(2, says="done")))
    sender.send(traces(chat(2, 1, says="rootless", trace=OTHER)))
    assert look(QUIET - second) == 0
    assert look(QUIET + second) == 1
    assert look(QUIET + second) == 0
    assert waiting() == 1
    assert look(ROOTLESS * QUIET + second) == 1
    assert waiting() == 0


def test_a_trace_that_goes_on_and_on_is_told_in_parts(sender: Sender) -> None:
    """News keep it waiting only so long."""
    sender.send(traces(chat(2, calls="search")))
    SpanTrace.objects.update(last_us=2**55)
    assert look(LONGEST * QUIET - timedelta(seconds=5)) == 0
    assert look(LONGEST * QUIET + timedelta(seconds=5)) == 1


def test_asked_for_nothing_waits(sender: Sender) -> None:
    """Whoever wants it now has it now."""
    sender.send(traces(chat(2, says="x")))
    assert len(settle_due(now=datetime.now(UTC), quiet=QUIET, at_once=True).runs) == 1


def test_one_process_at_a_time(sender: Sender) -> None:
    """Where another is at it, nothing is done."""
    sender.send(traces(agent(1), chat(2, says="x")))
    with lease.guard(span_settler.LEASE, holder="another"):
        assert settle().runs == ()
    assert len(settle().runs) == 1


# --- What comes later -------------------------------------------------------------------------------------------------


def test_a_late_span_is_appended_and_the_run_says_so(sender: Sender) -> None:
    """What was told keeps its bytes and versions; a note names where the late events begin, and what is missing."""
    whole = [agent(1), chat(2, calls="search"), tool(3, "search", 2), chat(4, 9, says="done")]
    sender.send(traces(whole[0], whole[1], whole[3]))
    settle()
    before = content(RUN)
    sender.send(traces(whole[2]))
    settle()
    after = content(RUN)
    assert after[: len(before)] == before
    assert types(after[len(before) :]) == ["tool_returned", "annotated"]
    note = json.loads(after[-1][4])
    assert (note["label"], note["atVersion"]) == ("revised", len(before) + 1)
    assert note["text"].startswith("1 event came after this run was told")
    assert f"{9:016x}" in note["text"]
    settle()
    sender.send(traces(*whole))
    settle()
    assert content(RUN) == after


def test_a_conversation_that_goes_on_is_no_revision(sender: Sender) -> None:
    """The next trace of a conversation extends its run; nothing in it came late."""
    talk = {"gen_ai__conversation__id": "talk-7"}
    stream = stream_of("default", "otlp", "talk-7")
    sender.send(traces(agent(1, **talk), chat(2, says="first")))
    settle()
    before = content(stream)
    sender.send(traces(agent(2001, trace=OTHER, **talk), chat(2002, 2001, says="second", trace=OTHER)))
    settle()
    after = content(stream)
    assert after[: len(before)] == before
    assert len(after) > len(before)
    assert "annotated" not in types(after)


def test_traces_of_one_conversation_are_told_together(sender: Sender) -> None:
    """While one of them has news, the others wait: otherwise the order of their arrival would tell."""
    talk = {"gen_ai__conversation__id": "talk-7"}
    sender.send(traces(agent(2001, trace=OTHER, **talk), chat(2002, 2001, says="second", trace=OTHER)))
    SpanTrace.objects.update(last_us=1)
    sender.send(traces(agent(1, **talk), chat(2, says="first")))
    assert look(timedelta(seconds=1)) == 0
    assert look(QUIET + timedelta(seconds=1)) == 1
    told = content(stream_of("default", "otlp", "talk-7"))
    assert [json.loads(event[4])["content"] for event in told if event[2].endswith("responded")] == ["first", "second"]


def test_a_late_span_that_names_a_conversation_stays_in_its_traces_run(sender: Sender) -> None:
    """A run that was told under its trace's id is not told a second time under a conversation's."""
    sender.send(traces(chat(2, says="first"), chat(4, says="second")))
    settle()
    before = content(RUN)
    sender.send(traces(agent(1, gen_ai__conversation__id="talk-7")))
    settle()
    assert get_store().versions_of(stream_of("default", "otlp", "talk-7")) == {}
    assert content(RUN)[: len(before)] == before
    assert types(content(RUN)).count("model_responded") == 2


def test_a_call_told_before_the_span_around_it_is_told_once(sender: Sender) -> None:
    """A framework's span of the same call ends after the client library's own."""
    sender.send(traces(chat(3, 2, says="done")))
    settle()
    sender.send(traces(chat(2, 1, says="done"), agent(1)))
    settle()
    assert types(content(RUN)).count("model_responded") == 1


def test_a_tool_told_before_the_span_around_it_is_told_once(sender: Sender) -> None:
    """As the span of an MCP server, which ends before its client's."""
    sender.send(traces(chat(2, calls="search"), tool(5, "search", 2, 4)))
    settle()
    sender.send(traces(tool(4, "search", 2), agent(1)))
    settle()
    assert types(content(RUN)).count("tool_returned") == 1
    assert types(content(RUN)).count("reasoned") == 1


def test_a_span_that_comes_with_other_content_is_the_one_that_ended_last(sender: Sender) -> None:
    """Whichever came first."""
    early, late = chat(2, says="so far", took=0.1), chat(2, says="all of it", took=0.4)
    found = []
    for versions in ((early, late), (late, early)):
        with undone():
            for one in versions:
                sender.send(traces(one))
            settle()
            found.append(content(RUN))
    assert found[0] == found[1]
    assert b"all of it" in b"".join(event[4] for event in found[0])


# --- What makes no run ------------------------------------------------------------------------------------------------


def test_spans_of_no_agent_make_no_run_and_go_after_a_day(sender: Sender) -> None:
    """A day is left for a span of a model to come."""
    sender.send(traces(span(1, "GET /"), span(2, "SELECT", 1)))
    assert settle().runs == ()
    assert SpanRecord.objects.count() == 2
    settle(after=JUNK_KEPT + timedelta(hours=1))
    assert SpanTrace.objects.count() == SpanRecord.objects.count() == 0


def test_what_made_a_run_is_kept(sender: Sender) -> None:
    """What comes later needs it."""
    sender.send(traces(agent(1), chat(2, says="x")))
    settle()
    settle(after=JUNK_KEPT * 2)
    assert SpanRecord.objects.count() == 2


def test_a_trace_that_cannot_be_told_stops_no_other(sender: Sender) -> None:
    """It is tried a few times, and left with its reason; news of it begin anew."""
    deep = "[" * 200 + "1" + "]" * 200
    sender.send(traces(span(2, "chat", gen_ai__operation__name="chat", gen_ai__output__messages=deep)))
    sender.send(traces(agent(1, trace=OTHER), chat(2, says="fine", trace=OTHER)))
    first = settle()
    assert (first.failed, len(first.runs)) == (1, 1)
    for hours in range(1, 8):
        settle(after=timedelta(hours=hours))
    row = SpanTrace.objects.get(name=TRACE)
    assert (row.waiting_us, row.attempts, "nest" in row.problem) == (None, span_settler.ATTEMPTS, True)


def test_attribute_names_stay_flat(sender: Sender) -> None:
    """However they are spelt."""
    names = (
        "__proto__.polluted",
        "constructor.prototype.x",
        ".".join("a" * 10_000),
        "a..b",
        "gen_ai.prompt.999999.role",
    )
    one = chat(2, says="x")
    one["attributes"] += [{"key": name, "value": {"stringValue": "v"}} for name in names]
    sender.send(traces(agent(1), one))
    settle()
    (responded,) = [json.loads(event[4]) for event in content(RUN) if event[2] == "agent_run.model_responded"]
    assert {name: responded["raw"].get(name) for name in names[:4]} == dict.fromkeys(names[:4], "v")

"""Histories of Temporal workflows become runs: whichever of the exports wrote them."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from itertools import pairwise
from typing import Any

import pytest

from journal.domain.agent_run import (
    Aborted,
    Answered,
    HandedOff,
    MessageReceived,
    ModelCalled,
    ModelResponded,
    Reasoned,
    Started,
    ToolFailed,
    ToolReturned,
)
from journal.errors import ImportRefused
from journal.ingest.draft import Link, Opaque, Outcome, RunDraft
from journal.ingest.files import from_memory
from journal.ingest.importer import Importer
from journal.ingest.source import Source
from journal.ingest.temporal import detect, read
from journal.store.memory import MemoryStore
from tests.journal.ingest.reading import JUNK, a_file, a_run, draft_of, event_of, is_extended, kinds, of, time_of

RUN, OTHER = "019717bd-074f-78f1-b5cc-1d2370689c78", "019717bd-0aaa-78f1-b5cc-000000000001"


def payload(value: Any) -> dict[str, Any]:
    """Return a payload as the protocol has it."""
    data = b64encode(json.dumps(value).encode()).decode()
    return {"metadata": {"encoding": b64encode(b"json/plain").decode()}, "data": data}


def payloads(*values: Any) -> dict[str, Any]:
    """Return several."""
    return {"payloads": [payload(value) for value in values]}


class History:
    """A history in the making: numbers its events, and a second passes between two of them."""

    def __init__(self, **started: Any) -> None:
        self.events: list[dict[str, Any]] = []
        told = {
            "workflowType": {"name": "BookTrip"},
            "workflowId": "trip-7",
            "originalExecutionRunId": RUN,
            "firstExecutionRunId": RUN,
            "input": payloads("Book a trip to Oslo"),
            "attempt": 1,
        }
        self.add("WORKFLOW_EXECUTION_STARTED", **(told | started))

    def add(self, kind: str, **attributes: Any) -> int:
        """Add an event; return its id."""
        number = len(self.events) + 1
        words = kind.lower().split("_")
        named = words[0] + "".join(word.capitalize() for word in words[1:]) + "EventAttributes"
        self.events.append(
            {
                "eventId": str(number),
                "eventTime": f"2026-02-01T08:{number // 60:02}:{number % 60:02}.027450795Z",
                "eventType": f"EVENT_TYPE_{kind}",
                "taskId": str(1_000_000 + number),
                named: attributes,
            }
        )
        return number

    def task(self) -> int:
        """Let the workflow's code run once; return the id of the event that completed it."""
        scheduled = self.add("WORKFLOW_TASK_SCHEDULED", attempt=1)
        started = self.add("WORKFLOW_TASK_STARTED", scheduledEventId=str(scheduled))
        return self.add("WORKFLOW_TASK_COMPLETED", scheduledEventId=str(scheduled), startedEventId=str(started))

    def activity(self, name: str, *given: Any, decided: int, ends: str = "COMPLETED", **end: Any) -> int:
        """Let an activity run; return the id of the event that scheduled it."""
        scheduled = self.add(
            "ACTIVITY_TASK_SCHEDULED",
            activityId=str(len(self.events)),
            activityType={"name": name},
            input=payloads(*given),
            workflowTaskCompletedEventId=str(decided),
        )
        started = self.add("ACTIVITY_TASK_STARTED", scheduledEventId=str(scheduled), attempt=end.pop("attempt", 1))
        named = {"scheduledEventId": str(scheduled), "startedEventId": str(started)}
        self.add(f"ACTIVITY_TASK_{ends}", **named, **end)
        return scheduled

    @property
    def document(self) -> dict[str, Any]:
        """The file of `temporal workflow show --output json`."""
        return {"events": self.events}


def booked() -> History:
    """A workflow that searched and booked."""
    history = History()
    history.activity("search", {"to": "Oslo"}, decided=history.task(), result=payloads(["SK 1", "SK 2"]))
    history.activity("book", "SK 1", 2, decided=history.task(), result=payloads({"ref": "X1"}))
    done = history.task()
    history.add("WORKFLOW_EXECUTION_COMPLETED", result=payloads("Booked X1"), workflowTaskCompletedEventId=str(done))
    return history


def run_of(history: History, **options: Any) -> RunDraft:
    """Return the run."""
    return a_run(read, history.document, **options)


def told(run: RunDraft) -> list[str]:
    """Return the types of the events that mean something to a run."""
    return [kind for kind in kinds(run) if kind != "Opaque"]


def test_activities_are_calls_of_tools() -> None:
    """Scheduled is decided, with the arguments; completed is the result, and how long it took."""
    run = run_of(booked())
    assert told(run) == [
        "Started", "MessageReceived", "Reasoned", "ToolReturned", "Reasoned", "ToolReturned", "Answered",
    ]  # fmt: skip
    (started,) = of(run, Started)
    assert (started.prompt, started.agent, started.source_id) == ("Book a trip to Oslo", "BookTrip", RUN)
    assert started.context["workflowId"] == "trip-7"
    assert [(one.tool_name, one.args_json) for one in of(run, Reasoned)] == [
        ("search", '{"to":"Oslo"}'), ("book", '["SK 1",2]'),
    ]  # fmt: skip
    first = of(run, ToolReturned)[0]
    assert (first.tool_name, first.response_json, first.latency_ms) == ("search", '["SK 1","SK 2"]', 1000.0)
    assert of(run, Answered) == [Answered(response="Booked X1")]
    assert time_of(run, "event/1") == "2026-02-01T08:00:01.027450+00:00"
    assert run.recorded == {"tool_calls", "tool_errors"}
    assert run.outcome == Outcome(status="unknown")


def test_every_event_is_there_and_names_its_cause() -> None:
    """A result its call, a call the task in which the code decided it, and a task, inferred, what it read."""
    history = booked()
    run = run_of(history)
    assert [draft.key for draft in run if draft.key != "input"] == [
        f"event/{n + 1}" for n in range(len(history.events))
    ]
    by_type = {type(draft.event).__name__: draft for draft in run}
    assert by_type["ToolReturned"].causes == (Link("event/11"),)
    assert draft_of(run, "event/11").causes == (Link("event/10"),)
    assert draft_of(run, "event/10").causes == (Link("event/8"),)
    assert draft_of(run, "event/9").causes == (Link("event/8"), Link("event/7", "read", "inferred"))
    assert event_of(run, "event/8").name == "temporal.workflow_task_scheduled"


@pytest.mark.parametrize("shape", ["cli", "ui", "server", "list", "lines", "values", "newest first"])
def test_every_export_is_the_same_run(shape: str) -> None:
    """The command line, with payloads or values; the Web UI; what the server answers; an event a line."""
    events = booked().events
    spelled = [
        event | {"eventType": "".join(part.capitalize() for part in event["eventType"][11:].split("_"))}
        for event in events
    ]
    files: dict[str, Any] = {
        "cli": {"events": events},
        "ui": {"events": spelled},
        "server": {"history": {"events": spelled}, "nextPageToken": None},
        "list": events,
        "lines": "".join(json.dumps(event) + "\n" for event in events).encode(),
        "values": json.loads(json.dumps({"events": events}), object_hook=_short),
        "newest first": {"events": spelled[::-1]},
    }
    assert detect(a_file(files[shape]))
    expected, run = run_of(booked()), a_run(read, files[shape])
    assert [(draft.key, draft.event, draft.causes) for draft in run] == [
        (draft.key, draft.event, draft.causes) for draft in expected
    ]


def _short(value: dict[str, Any]) -> Any:
    """Write payloads as the command line does unless it is told not to."""
    if "encoding" in value.get("metadata", {}):
        return json.loads(b64decode(value["data"]))
    return value["payloads"] if value.keys() == {"payloads"} else value


def test_a_longer_export_extends_the_run() -> None:
    """At any event; and the import says so."""
    whole = booked().document["events"]
    runs = [a_run(read, {"events": whole[:length]}) for length in range(1, len(whole) + 1)]
    assert all(is_extended(shorter, longer) for shorter, longer in pairwise(runs))
    store, statuses = MemoryStore(), []
    for length in (7, len(whole), len(whole)):
        files = from_memory({"trip.json": json.dumps({"events": whole[:length]}).encode()})
        statuses.append(Importer(store=store).run(files).files[0].status)
    assert statuses == ["imported", "extended", "unchanged"]
    assert runs[6].outcome == Outcome(status="running")


FAILURE = {
    "message": "activity error",
    "cause": {
        "message": "no seats",
        "stackTrace": "at book.py:7",
        "applicationFailureInfo": {"type": "SoldOut", "details": payloads({"flight": "SK 1"})},
    },
    "activityFailureInfo": {"activityId": "5"},
}


def test_failures_say_all_that_the_history_says() -> None:
    """The application's own name of the error, its words and details; a timeout's kind; retries are kept."""
    history = History()
    decided = history.task()
    history.activity("book", "SK 1", decided=decided, ends="FAILED", failure=FAILURE, attempt=3)
    timeout = {"message": "too slow", "timeoutFailureInfo": {"timeoutType": "TIMEOUT_TYPE_START_TO_CLOSE"}}
    history.activity("pay", decided=decided, ends="TIMED_OUT", failure=timeout)
    history.activity("mail", decided=decided, ends="CANCELED")
    history.events[10]["activityTaskScheduledEventAttributes"][
        "input"
    ] = {}  # as the protocol writes that there is none
    history.add("WORKFLOW_EXECUTION_FAILED", failure=FAILURE["cause"])
    run = run_of(history)
    book, pay, mail = of(run, ToolFailed)
    assert (book.tool_name, book.error_code) == ("book", "SoldOut")
    assert book.message == 'activity error\ncaused by: no seats\n[{"flight":"SK 1"}]\nat book.py:7'
    assert (pay.error_code, pay.message, mail.error_code) == ("timeout: start_to_close", "too slow", "canceled")
    assert event_of(run, "event/6").data["attempt"] == 3
    assert [one.args_json for one in of(run, Reasoned)] == ['"SK 1"', "[]", "[]"]
    (aborted,) = of(run, Aborted)
    assert aborted.reason.startswith("workflow execution failed: no seats")
    assert run.outcome == Outcome(status="error", raw="WorkflowExecutionFailed")


def test_signals_and_updates_are_messages() -> None:
    """By name, with what they carry."""
    history = History()
    history.add("WORKFLOW_EXECUTION_SIGNALED", signalName="hurry", input=payloads("please"), identity="ada")
    accepted = history.add(
        "WORKFLOW_EXECUTION_UPDATE_ACCEPTED",
        acceptedRequest={"meta": {"updateId": "u"}, "input": {"name": "seat", "args": payloads({"row": 4})}},
    )
    history.add(
        "WORKFLOW_EXECUTION_UPDATE_COMPLETED", acceptedEventId=str(accepted), outcome={"success": payloads(True)}
    )
    run = run_of(history)
    assert of(run, MessageReceived)[1:] == [
        MessageReceived(role="user", name="hurry", content="please"),
        MessageReceived(role="user", name="seat", content='{"row":4}'),
    ]
    assert event_of(run, "event/4").data["outcome"] == {"success": True}
    assert draft_of(run, "event/4").causes == (Link("event/3"),)


def test_a_child_workflow_is_handed_to_and_answers() -> None:
    """Its history, imported or not, is the run that the hand-over names; its own first event names the one here."""
    history = History()
    decided = history.task()
    initiated = history.add(
        "START_CHILD_WORKFLOW_EXECUTION_INITIATED",
        workflowId="hotel-7", workflowType={"name": "Hotel"}, input=payloads("Oslo"),
        workflowTaskCompletedEventId=str(decided),
    )  # fmt: skip
    named = {
        "initiatedEventId": str(initiated),
        "workflowType": {"name": "Hotel"},
        "workflowExecution": {"workflowId": "hotel-7", "runId": OTHER},
    }
    history.add("CHILD_WORKFLOW_EXECUTION_STARTED", **named)
    history.add("CHILD_WORKFLOW_EXECUTION_COMPLETED", **named, startedEventId="6", result=payloads("Room 4"))
    history.add("CHILD_WORKFLOW_EXECUTION_FAILED", **named, failure={"message": "full"})
    child = History(
        originalExecutionRunId=OTHER,
        firstExecutionRunId=OTHER,
        parentWorkflowExecution={"workflowId": "trip-7", "runId": RUN},
        parentInitiatedEventId=str(initiated),
    )
    run, inner = run_of(history), run_of(child)
    assert of(run, HandedOff) == [HandedOff(to_agent="Hotel", child_run=OTHER)]
    assert draft_of(run, "event/6").causes == (Link("event/5"),)
    answer, failure = draft_of(run, "event/7"), draft_of(run, "event/8")
    assert answer.event == MessageReceived(role="agent", name="Hotel", content="Room 4")
    assert answer.causes == (Link("event/6", "answers"),)
    assert failure.event.content == "child workflow execution failed: failed: full"  # type: ignore[union-attr]
    assert (inner.source_id, inner.parent) == (OTHER, (RUN, f"event/{initiated}"))


def test_an_execution_continued_as_new_leads_to_the_next() -> None:
    """The chain is hand-overs down and parents up, in one conversation."""
    history = History()
    history.add(
        "WORKFLOW_EXECUTION_CONTINUED_AS_NEW",
        newExecutionRunId=OTHER, workflowType={"name": "BookTrip"}, input=payloads("Bergen"),
    )  # fmt: skip
    first = run_of(history)
    second = run_of(History(originalExecutionRunId=OTHER, continuedExecutionRunId=RUN))
    assert of(first, HandedOff) == [HandedOff(to_agent="BookTrip", child_run=OTHER, instruction='"Bergen"')]
    assert of(first, Answered) == [Answered(response={"continuedAsNew": OTHER})]
    assert (second.source_id, second.parent) == (OTHER, (RUN, None))
    assert first.correlation == second.correlation == RUN


def test_a_reset_is_a_run_that_branched_off() -> None:
    """Its history begins with the other's, and its id is its own."""
    history = History()
    scheduled = history.add("WORKFLOW_TASK_SCHEDULED")
    started = history.add("WORKFLOW_TASK_STARTED", scheduledEventId=str(scheduled))
    history.add("WORKFLOW_TASK_FAILED", startedEventId=str(started), baseRunId=RUN, newRunId=OTHER)
    run = run_of(history)
    assert (run.source_id, run.parent) == (OTHER, (RUN, "event/3"))


@pytest.mark.parametrize(
    ("name", "details"),
    [
        ("core_local_activity", {"data": payloads({"activity_type": "greet", "activity_id": "1"})}),
        ("LocalActivity", {"data": payloads({"ActivityType": "greet", "ActivityID": "1"})}),
        ("core_local_activity", {"data": [{"activity_type": "greet", "activity_id": "1"}]}),
        ("LocalActivity", {"type": payloads("greet"), "activityId": payloads("1"), "input": payloads("Ada")}),
    ],
)
def test_local_activities_are_calls_too(name: str, details: dict[str, Any]) -> None:
    """Of each kind of SDK; the marker is the decision and the result in one."""
    history = History()
    details = {**details, "result": payloads("Hi Ada")}
    history.add("MARKER_RECORDED", markerName=name, details=details)
    history.add("MARKER_RECORDED", markerName=name, details=details, failure={"message": "gone"})
    run = run_of(history)
    assert [one.tool_name for one in of(run, Reasoned)] == ["greet", "greet"]
    assert of(run, Reasoned)[0].args_json == ('"Ada"' if "input" in details else "{}")
    assert (of(run, ToolReturned)[0].response_json, of(run, ToolFailed)[0].message) == ('"Hi Ada"', "gone")
    assert [one.call_id for one in of(run, Reasoned)] == ["local-1", "local-1#2"]


def test_operations_of_other_services_are_calls() -> None:
    """By service and operation."""
    history = History()
    scheduled = history.add("NEXUS_OPERATION_SCHEDULED", service="pay", operation="charge", input=payload({"eur": 9}))
    history.add("NEXUS_OPERATION_COMPLETED", scheduledEventId=str(scheduled), result=payload("ok"))
    run = run_of(history)
    assert [(one.tool_name, one.args_json) for one in of(run, Reasoned)] == [("pay.charge", '{"eur":9}')]
    assert of(run, ToolReturned)[0].response_json == '"ok"'


def test_timers_markers_and_what_is_unknown_are_kept_whole() -> None:
    """With their payloads readable, and linked to what they name."""
    history = History()
    decided = history.task()
    timer = history.add(
        "TIMER_STARTED", timerId="1", startToFireTimeout="60s", workflowTaskCompletedEventId=str(decided)
    )
    history.add("TIMER_FIRED", timerId="1", startedEventId=str(timer))
    history.add("MARKER_RECORDED", markerName="Version", details={"change-id": payloads("v2")})
    history.add("SOMETHING_OF_NEXT_YEAR", reason="because")
    run = run_of(history)
    raw = {draft.key: draft for draft in run if isinstance(draft.event, Opaque)}
    assert raw["event/5"].event.name == "temporal.timer_started"  # type: ignore[union-attr]
    assert raw["event/6"].causes == (Link("event/5"),)
    assert raw["event/7"].event.data["details"] == {"change-id": "v2"}  # type: ignore[union-attr]
    assert raw["event/8"].event.name == "temporal.something_of_next_year"  # type: ignore[union-attr]
    assert raw["event/8"].event.data["reason"] == "because"  # type: ignore[union-attr]


def test_steps_that_call_a_model_are_what_the_import_is_told() -> None:
    """Nothing in a history says which they are; those named are decisions, with the tokens that they returned."""
    history = History()
    decided = history.task()
    choice = {"message": {"role": "assistant", "content": "Search."}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 12, "completion_tokens": 5}
    history.activity(
        "ask_model", {"messages": ["Oslo?"]}, decided=decided, result=payloads({"choices": [choice], "usage": usage})
    )
    history.activity("ask_model", "Oslo?", decided=decided, result=payloads("Yes."))
    history.activity("ask_model", "Oslo?", decided=decided, ends="FAILED", failure={"message": "overloaded"})
    source = Source(name="a.json", data=json.dumps(history.document).encode(), model_steps=frozenset({"ask_model"}))
    (run,) = read(source)
    first, second = of(run, ModelResponded)
    assert (first.content, first.finish_reason, first.input_tokens, first.output_tokens) == ("Search.", "stop", 12, 5)
    assert (second.content, second.input_tokens) == ("Yes.", None)
    assert of(run, ModelCalled)[0].messages == ({"messages": ["Oslo?"]},)
    assert (of(run, Reasoned), of(run, ToolFailed)) == ([], [])
    assert [one.name for one in of(run, Opaque)].count("temporal.model_failed") == 1
    assert "decisions" in run.recorded
    assert len(of(run_of(history), Reasoned)) == 3


def test_encrypted_payloads_stay_shut() -> None:
    """With the name of their encoding; those that are nothing are nothing."""
    sealed = {"metadata": {"encoding": b64encode(b"binary/encrypted").decode()}, "data": "AAEC"}
    nothing = {"metadata": {"encoding": b64encode(b"binary/null").decode()}}
    history = History(input={"payloads": [sealed]})
    history.activity("x", decided=history.task(), result={"payloads": [nothing]})
    run = run_of(history)
    assert of(run, Started)[0].prompt == '{"$encoding":"binary/encrypted","$base64":"AAEC"}'
    assert of(run, ToolReturned)[0].response_json == "null"


def test_the_trace_of_the_interceptors_is_kept() -> None:
    """So that spans and events find each other."""
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    run = run_of(History(header={"fields": {"_tracer-data": payload({"traceparent": trace})}}))
    assert draft_of(run, "event/1").traceparent == trace


def test_a_history_without_its_beginning_is_refused() -> None:
    """A page of one says too little of the run; entries that are no events are named."""
    events = booked().events
    with pytest.raises(ImportRefused, match="begins with event 4"):
        list(read(a_file({"events": events[3:]})))
    source = a_file({"events": [*events, {"eventId": "x"}, 7]})
    assert len(list(read(source))) == 1
    assert "2 of" in str(source.problems[0])


@pytest.mark.parametrize("data", [*JUNK, b'{"events": [{"eventId": 1}]}', b'{"events": [{"eventType": "a b"}]}'])
def test_other_files_are_none(data: bytes) -> None:
    """Whatever they hold; read as this format they are no run."""
    assert not detect(a_file(data))

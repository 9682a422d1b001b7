"""What each event of a Temporal history becomes. The order of a history is what happened, and each event names others.

A workflow's code decides, so a scheduled activity is a decision, with no model's response before it: which activity
calls a model is nothing that a history records, and only told where the import was told their names. A workflow task
reads all that came in since the last one; that link is inferred, those that events name by their ids are recorded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from journal.domain.agent_run import (
    Aborted,
    AgentRunEvent,
    Answered,
    HandedOff,
    MessageReceived,
    ModelCalled,
    ModelResponded,
    Reasoned,
    ToolFailed,
    ToolReturned,
)
from journal.domain.codec import text
from journal.domain.event import CauseKind
from journal.ingest.draft import Count, EventDraft, Link, Opaque, Outcome, OutcomeStatus
from journal.ingest.lenient import Call, Calls, as_dict, as_int, as_text, dicts
from journal.ingest.temporal_payloads import failure_code, failure_message, plain, value_of, values_of

_CAPITAL: Final = re.compile(r"(?<!^)(?=[A-Z])")
_MOST_READ: Final = 20
_TOOLS: Final[frozenset[Count]] = frozenset({"tool_calls", "tool_errors"})
_MODELS: Final[frozenset[Count]] = frozenset({"decisions", "input_tokens", "output_tokens"})
_NAMES: Final = ("scheduledEventId", "startedEventId", "initiatedEventId", "workflowTaskCompletedEventId",
                 "acceptedEventId", "latestCancelRequestedEventId")  # fmt: skip
"""The fields in which an event names the one that led to it, the most telling first."""

_LOCAL: Final = ("core_local_activity", "LocalActivity")
_ENDS: Final[dict[str, OutcomeStatus]] = {
    "WorkflowExecutionCompleted": "unknown",
    "WorkflowExecutionContinuedAsNew": "unknown",
    "WorkflowExecutionFailed": "error",
    "WorkflowExecutionTimedOut": "error",
    "WorkflowExecutionCanceled": "aborted",
    "WorkflowExecutionTerminated": "aborted",
}
_NEWS: Final = re.compile(
    r"(ActivityTask|NexusOperation|ChildWorkflowExecution)(Completed|Failed|TimedOut|Canceled|Terminated)"
    r"|TimerFired|WorkflowExecution(Signaled|UpdateAccepted|CancelRequested)|.+ExternalWorkflowExecution.+"
)
"""What a workflow task is there to react to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HistoryEvent:
    """An event of a history; its type as in `ActivityTaskScheduled`, its summary as the workflow's code wrote it."""

    id: int
    kind: str
    at: datetime | None
    attributes: dict[str, Any]
    summary: str | None = None

    @property
    def key(self) -> str:
        """The key of what it becomes."""
        return f"event/{self.id}"

    def number(self, name: str) -> int | None:
        """Return the id of another event that this one names, which JSON has as text."""
        value = self.attributes.get(name)
        found = as_int(int(value) if isinstance(value, str) and value.isdecimal() else value)
        return found or None


class Telling:
    """The walk over a history. `model_steps` are the names of the activities that call a model."""

    def __init__(self, model_steps: frozenset[str]) -> None:
        self.drafts: list[EventDraft] = []
        self.outcome = Outcome(status="running")
        self._model_steps = model_steps
        self._keys: dict[int, str] = {1: "event/1"}
        self._began: dict[int, datetime | None] = {}
        self._calls = Calls()
        self._call_at: dict[int, Call] = {}
        self._children: dict[int, str] = {}
        self._news: list[str] = []

    @property
    def recorded(self) -> frozenset[Count]:
        """Calls and errors; decisions and tokens only where the import was told which steps are a model's."""
        return _TOOLS | _MODELS if self._model_steps else _TOOLS

    def add(self, draft: EventDraft) -> None:
        """Take a draft in that is there before the history is walked."""
        self.drafts.append(draft)
        self._news.append(draft.key)

    def tell(self, one: HistoryEvent) -> None:
        """Tell the next event."""
        self._keys[one.id] = one.key
        if one.kind in _ENDS:
            self._end(one)
        elif one.kind in ("ActivityTaskScheduled", "NexusOperationScheduled"):
            self._scheduled(one)
        elif re.fullmatch(r"(ActivityTask|NexusOperation)(Completed|Failed|TimedOut|Canceled)", one.kind):
            self._finished(one)
        elif one.kind == "ChildWorkflowExecutionStarted":
            self._child(one)
        elif one.kind.startswith("ChildWorkflowExecution"):
            self._child_ended(one)
        elif one.kind == "MarkerRecorded" and as_text(one.attributes.get("markerName")) in _LOCAL:
            self._local(one)
        elif one.kind in ("WorkflowExecutionSignaled", "WorkflowExecutionUpdateAccepted"):
            self._message(one)
        else:
            self._other(one)
        if _NEWS.fullmatch(one.kind):
            self._news.append(one.key)

    def _add(
        self, one: HistoryEvent, event: AgentRunEvent | Opaque, *, key: str = "", causes: tuple[Link, ...] | None = None
    ) -> None:
        links = self._causes(one) if causes is None else causes
        self.drafts.append(EventDraft(key=key or one.key, event=event, at=one.at, causes=links))

    def _causes(self, one: HistoryEvent, kind: CauseKind = "triggered") -> tuple[Link, ...]:
        """Return the link to the event that this one names."""
        numbers = (one.number(name) for name in _NAMES)
        return tuple(Link(self._keys[number], kind) for number in numbers if number in self._keys)[:1]

    # --- Activities, and operations of other services

    def _scheduled(self, one: HistoryEvent) -> None:
        given = one.attributes
        known = as_text(given.get("activityId")) or str(one.id)
        tool = as_text(as_dict(given.get("activityType")).get("name")) or ".".join(
            part for name in ("service", "operation") if (part := as_text(given.get(name)))
        )
        values = values_of(given.get("input"))
        call = self._calls.open(known, key=one.key, tool=tool)
        self._call_at[one.id] = call
        if tool in self._model_steps:
            self._add(one, ModelCalled(messages=tuple(values)))
            return
        arguments = text(values[0] if len(values) == 1 else values)
        self._add(one, Reasoned(thought=one.summary, tool_name=tool, args_json=arguments, call_id=call.id))

    def _finished(self, one: HistoryEvent) -> None:
        scheduled = one.number("scheduledEventId") or 0
        call = self._call_at.pop(scheduled, None)
        tool, call_id = (call.tool, call.id) if call else ("", None)
        began = self._began.get(one.number("startedEventId") or 0)
        took = round((one.at - began).total_seconds() * 1000, 3) if one.at and began else None
        link = (Link(self._keys[scheduled]),) if scheduled in self._keys else ()
        if tool in self._model_steps:
            self._responded(one, took, link)
        elif one.kind.endswith("Completed"):
            result = text(value_of(one.attributes.get("result")))
            self._add(
                one, ToolReturned(tool_name=tool, call_id=call_id, response_json=result, latency_ms=took), causes=link
            )
        else:
            code, message = self._failure(one)
            failed = ToolFailed(tool_name=tool, call_id=call_id, error_code=code, message=message, latency_ms=took)
            self._add(one, failed, causes=link)

    def _failure(self, one: HistoryEvent) -> tuple[str | None, str]:
        """Return the name and the words of a failure; a cancelled activity has none."""
        failure = as_dict(one.attributes.get("failure"))
        how = _words(one.kind).rpartition(" ")[2]
        details = value_of(one.attributes.get("details"))
        said = failure_message(failure) or as_text(one.attributes.get("reason"))
        return failure_code(failure) or how, said or (text(details) if details is not None else how)

    def _responded(self, one: HistoryEvent, took: float | None, link: tuple[Link, ...]) -> None:
        """Tell a model's response, as far as the step returned one in a shape that is known."""
        if not one.kind.endswith("Completed"):
            data = {"error": self._failure(one), **plain(one.attributes)}
            self._add(one, Opaque(name="temporal.model_failed", data=data), causes=link)
            return
        result = value_of(one.attributes.get("result"))
        usage = as_dict(as_dict(result).get("usage"))
        choice = next(iter(dicts(as_dict(result).get("choices"))), {})
        content = as_dict(choice.get("message")).get("content", as_dict(result).get("content"))
        response = ModelResponded(
            content=result if isinstance(result, str) else content,
            finish_reason=as_text(choice.get("finish_reason")) or as_text(as_dict(result).get("stop_reason")),
            input_tokens=as_int(usage.get("prompt_tokens", usage.get("input_tokens"))),
            output_tokens=as_int(usage.get("completion_tokens", usage.get("output_tokens"))),
            latency_ms=took,
            raw=None if isinstance(result, str) else result,
        )
        self._add(one, response, causes=link)

    def _local(self, one: HistoryEvent) -> None:
        """Tell an activity that a worker ran by itself: the marker holds its decision and its result in one."""
        details = {name: value_of(held) for name, held in as_dict(one.attributes.get("details")).items()}
        about = as_dict(details.get("data"))
        tool = next(
            (name for name in (about.get("activity_type"), about.get("ActivityType"), details.get("type")) if name), ""
        )
        known = next(
            (name for name in (about.get("activity_id"), about.get("ActivityID"), details.get("activityId")) if name),
            None,
        )
        call = self._calls.open(f"local-{known}" if known else None, key=f"{one.key}.call", tool=str(tool))
        asked = text(details["input"]) if "input" in details else "{}"
        self._add(one, Reasoned(tool_name=call.tool, args_json=asked, call_id=call.id), key=call.key)
        failure, link = as_dict(one.attributes.get("failure")), (Link(call.key),)
        if failure:
            code, message = self._failure(one)
            self._add(
                one, ToolFailed(tool_name=call.tool, call_id=call.id, error_code=code, message=message), causes=link
            )
        else:
            result = text(details.get("result"))
            self._add(one, ToolReturned(tool_name=call.tool, call_id=call.id, response_json=result), causes=link)

    # --- Other workflows, and those who speak to this one

    def _child(self, one: HistoryEvent) -> None:
        """Tell that a child began: only now has it an id."""
        name = as_text(as_dict(one.attributes.get("workflowType")).get("name"))
        self._children[one.number("initiatedEventId") or 0] = one.key
        run = as_text(as_dict(one.attributes.get("workflowExecution")).get("runId"))
        self._add(one, HandedOff(to_agent=name, child_run=run))

    def _child_ended(self, one: HistoryEvent) -> None:
        initiated = one.number("initiatedEventId") or 0
        name = as_text(as_dict(one.attributes.get("workflowType")).get("name"))
        link = (Link(self._children[initiated], "answers"),) if initiated in self._children else None
        if one.kind.endswith("Completed"):
            result = value_of(one.attributes.get("result"))
            content = result if isinstance(result, str) else text(result)
            said = MessageReceived(role="agent", name=name, content=content)
        else:
            code, message = self._failure(one)
            said = MessageReceived(role="environment", name=name, content=f"{_words(one.kind)}: {code}: {message}")
        self._add(one, said, causes=link)

    def _message(self, one: HistoryEvent) -> None:
        """Tell a signal or an update: somebody says something to the workflow."""
        if one.kind == "WorkflowExecutionSignaled":
            name, given = as_text(one.attributes.get("signalName")), one.attributes.get("input")
        else:
            asked = as_dict(as_dict(one.attributes.get("acceptedRequest")).get("input"))
            name, given = as_text(asked.get("name")), asked.get("args")
        value = value_of(given)
        content = value if isinstance(value, str) else text(value) if value is not None else ""
        self._add(one, MessageReceived(role="user", name=name, content=content))

    # --- The rest

    def _end(self, one: HistoryEvent) -> None:
        status = _ENDS[one.kind]
        self.outcome = Outcome(status=status, raw=None if status == "unknown" else one.kind)
        if one.kind == "WorkflowExecutionCompleted":
            self._add(one, Answered(response=value_of(one.attributes.get("result"))))
        elif one.kind == "WorkflowExecutionContinuedAsNew":
            run = as_text(one.attributes.get("newExecutionRunId"))
            name = as_text(as_dict(one.attributes.get("workflowType")).get("name"))
            given = value_of(one.attributes.get("input"))
            handed = HandedOff(to_agent=name, child_run=run, instruction=None if given is None else text(given))
            self._add(one, handed)
            self._add(one, Answered(response={"continuedAsNew": run}), key=f"{one.key}.end", causes=(Link(one.key),))
        else:
            _code, message = self._failure(one)
            self._add(one, Aborted(reason=f"{_words(one.kind)}: {message}"))

    def _other(self, one: HistoryEvent) -> None:
        """Keep an event whole that means nothing to a run, with its payloads readable."""
        if one.kind.endswith("Started"):
            self._began[one.id] = one.at
        causes = self._causes(one)
        if one.kind == "WorkflowTaskStarted":
            causes += tuple(Link(key, "read", "inferred") for key in self._news[-_MOST_READ:])
            self._news = []
        about = {"summary": one.summary} if one.summary else {}
        name = f"temporal.{_CAPITAL.sub('_', one.kind).lower()}"
        self._add(one, Opaque(name=name, data={"eventId": one.id, **about, **plain(one.attributes)}), causes=causes)


def _words(kind: str) -> str:
    return _CAPITAL.sub(" ", kind).lower()

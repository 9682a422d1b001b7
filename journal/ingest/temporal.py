"""Temporal: the history of a workflow execution, as `temporal workflow show --output json` and the Web UI export it.

The execution is the run, its id the run's. This module reads the file and its first event; `temporal_events` tells the
history, an event at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from journal.domain.agent_run import MessageReceived, Started
from journal.domain.codec import text
from journal.errors import ImportRefused
from journal.ingest import Format, register
from journal.ingest.draft import EventDraft, RunDraft
from journal.ingest.lenient import as_dict, as_int, as_list, as_text, dicts, fingerprint
from journal.ingest.source import Source, moment
from journal.ingest.temporal_events import HistoryEvent, Telling
from journal.ingest.temporal_payloads import plain, value_of

SOURCE: Final = "temporal"
_STARTED: Final = "WorkflowExecutionStarted"
_TOLD: Final = (
    "workflowId", "taskQueue", "attempt", "cronSchedule", "firstExecutionRunId", "originalExecutionRunId", "identity",
    "memo", "searchAttributes", "retryPolicy", "parentWorkflowExecution", "continuedExecutionRunId", "initiator",
    "lastCompletionResult", "continuedFailure",
)  # fmt: skip
_ATTRIBUTES: Final = re.compile(r".+EventAttributes$")


def detect(source: Source) -> bool:
    """Whether the file is a history: an object with `events`, or an event a line, with Temporal's ids and types."""
    if source.is_zip or b'"eventType"' not in source.data[: 2**16]:
        return False
    first = next(iter(dicts(_listed(source))), {})
    return "eventId" in first and _kind(first) is not None


def read(source: Source) -> Iterator[RunDraft]:
    """Yield the run that the history is."""
    listed = _listed(source)
    events = sorted(filter(None, map(_event, dicts(listed))), key=lambda one: one.id)
    if len(events) < len(listed):
        source.note(
            f"{len(listed) - len(events)} of {len(listed)} entries are no history events: they have no id or type"
        )
    if not events:
        return
    if events[0].kind != _STARTED:
        raise ImportRefused(
            f"the history begins with event {events[0].id} ({events[0].kind}), not with {_STARTED}; export all of it"
        )
    yield _Execution(events, source.model_steps).draft()


def _listed(source: Source) -> list[Any]:
    """Return the file's events, in whichever of the shapes."""
    if "eventId" in source.first and "eventType" in source.first:
        return [record for _line, record in source.lines()]
    if isinstance(source.document, list):
        return source.document
    held = as_dict(source.document)
    return as_list(held.get("events")) or as_list(as_dict(held.get("history")).get("events"))


def _kind(event: dict[str, Any]) -> str | None:
    """Return an event's type as the Web UI spells it: `EVENT_TYPE_TIMER_FIRED` is `TimerFired`."""
    written = as_text(event.get("eventType"))
    if written is None or not written.startswith("EVENT_TYPE_"):
        return written if written and written.isalnum() else None
    return "".join(part.capitalize() for part in written.removeprefix("EVENT_TYPE_").split("_"))


def _event(record: dict[str, Any]) -> HistoryEvent | None:
    number, kind = as_int(_number(record.get("eventId"))), _kind(record)
    if number is None or kind is None:
        return None
    named = next((name for name in record if _ATTRIBUTES.match(name)), "attributes")
    return HistoryEvent(
        id=number,
        kind=kind,
        at=moment(record.get("eventTime")),
        attributes=as_dict(record.get(named)),
        summary=as_text(plain(as_dict(record.get("userMetadata")).get("summary"))),
    )


def _number(value: object) -> object:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


@dataclass(frozen=True)
class _Execution:
    """A workflow execution: what its first event says of it, and its history. `model_steps` call models."""

    events: list[HistoryEvent]
    model_steps: frozenset[str]

    @property
    def _first(self) -> dict[str, Any]:
        return self.events[0].attributes

    @cached_property
    def _reset(self) -> HistoryEvent | None:
        """The event of a reset, from which on the history is another execution's."""
        resets = (one for one in self.events if one.kind == "WorkflowTaskFailed" and one.attributes.get("newRunId"))
        return next(iter(sorted(resets, key=lambda one: -one.id)), None)

    @property
    def run_id(self) -> str:
        """The execution's id; older servers do not write it down, and its first event stands for it."""
        if self._reset is not None:
            return str(self._reset.attributes["newRunId"])
        known = as_text(self._first.get("originalExecutionRunId")) or as_text(self._first.get("firstExecutionRunId"))
        return known or fingerprint(self.events[0].id, str(self.events[0].at), self._first)

    def draft(self) -> RunDraft:
        """Return the run."""
        name = as_text(as_dict(self._first.get("workflowType")).get("name"))
        telling = Telling(self.model_steps)
        telling.add(self._started(name))
        asked = value_of(self._first.get("input"))
        if asked is not None:
            said = MessageReceived(role="user", content=asked if isinstance(asked, (str, list)) else text(asked))
            telling.add(EventDraft(key="input", event=said, at=self.events[0].at))
        for one in self.events[1:]:
            telling.tell(one)
        return RunDraft(
            source_id=self.run_id,
            events=telling.drafts,
            recorded=telling.recorded,
            outcome=telling.outcome,
            parent=self._parent(),
            correlation=self._correlation(),
        )

    def _started(self, name: str | None) -> EventDraft:
        asked = value_of(self._first.get("input"))
        context = {
            key: plain(self._first[key]) for key in _TOLD if self._first.get(key) not in (None, "", {}, [], "0s")
        }
        started = Started(
            prompt=asked if isinstance(asked, str) else text(asked) if asked is not None else None,
            agent=name,
            source=SOURCE,
            source_id=self.run_id,
            context={**context, "runId": self.run_id},
        )
        trace = traceparent_of(self._first)
        return EventDraft(key="event/1", event=started, at=self.events[0].at, traceparent=trace)

    def _parent(self) -> tuple[str, str | None] | None:
        """Return the execution this one was reset from, continues, or is a child of."""
        if self._reset is not None and (base := as_text(self._reset.attributes.get("baseRunId"))):
            return (base, f"event/{self._reset.id - 1}")
        if before := as_text(self._first.get("continuedExecutionRunId")):
            return (before, None)
        parent = as_text(as_dict(self._first.get("parentWorkflowExecution")).get("runId"))
        initiated = as_int(_number(self._first.get("parentInitiatedEventId")))
        return (parent, f"event/{initiated}" if initiated else None) if parent else None

    def _correlation(self) -> str | None:
        """Return what all executions of one tree have in common, where the server wrote it down."""
        root = as_text(as_dict(self._first.get("rootWorkflowExecution")).get("runId"))
        if root is None and not as_dict(self._first.get("parentWorkflowExecution")):
            root = as_text(self._first.get("firstExecutionRunId"))
        return root


def traceparent_of(attributes: dict[str, Any]) -> str | None:
    """Return the trace context that Temporal's OpenTelemetry interceptors put in a header."""
    fields = as_dict(as_dict(attributes.get("header")).get("fields"))
    return as_text(as_dict(plain(fields.get("_tracer-data"))).get("traceparent"))


FORMAT = register(
    Format(
        name=SOURCE,
        title="Temporal workflow histories (.json)",
        detect=detect,
        read=read,
        order=20,
        example='{"events": [{"eventId": "1", "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED", …}, …]}',
    )
)

"""The actions of an audit as an agent audit trail: JSONL records, chained by hash, as an Internet-Draft lays them out.

`draft-sharif-agent-audit-trail` is the work of one author and no standard. Which field is whose, and what is our
reading of it, stands in `docs/reference/formats/agent-audit-trail.md`. A record holds no payload, but its digest and
the place in the log where the event stands; what it says beyond the draft is below `action_detail.nagare`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any, Final
from urllib.parse import quote
from uuid import NAMESPACE_URL, UUID, uuid5

from audits.bundle import Evidence
from audits.selection import Part
from journal.domain import agent_run as run
from journal.domain.catalog import catalog
from journal.domain.event import RecordedEvent, instant
from journal.domain.leaf import leaf_of
from journal.domain.stream import category
from journal.domain.withdrawn import mark_on

DRAFT: Final = "draft-sharif-agent-audit-trail-06"
_KINDS: Final[dict[str, tuple[str, str, dict[str, str]]]] = {
    catalog.name_of(run.Reasoned): ("tool_call", "success", {}),
    catalog.name_of(run.ToolReturned): ("tool_response", "success", {}),
    catalog.name_of(run.ToolFailed): ("tool_response", "failure", {}),
    catalog.name_of(run.Answered): ("decision", "success", {"decision_type": "answer"}),
    catalog.name_of(run.MemoryWritten): ("decision", "success", {"decision_type": "memory_write"}),
    catalog.name_of(run.HandedOff): ("delegation", "success", {}),
    catalog.name_of(run.Aborted): ("lifecycle", "failure", {"event": "session_end"}),
}
"""By the type of event: the draft's action type, the outcome, and what its detail says in any case."""

_TIMED_OUT: Final = ("timeout", "timed_out", "deadline_exceeded")


def records(evidence: Evidence) -> Iterator[bytes]:
    """Yield the records in canonical JSON (RFC 8785), run after run; in each run they are a chain of their own.

    A record's `prev_hash` is the SHA-256 of the record before it, as it is yielded. The same evidence gives the same
    records.
    """
    by_stream: dict[str, list[RecordedEvent]] = {}
    for event in evidence.selection.events:
        if category(event.stream) == run.CATEGORY:
            by_stream.setdefault(event.stream, []).append(event)
    parts = {part.stream: part for part in evidence.selection.parts}
    for stream, events in sorted(by_stream.items(), key=lambda item: (item[1][0].occurred_at, item[0])):
        chain = _Chain(evidence, parts[stream])
        yield from chain.over(sorted(events, key=lambda event: event.version))


class _Chain:
    """One run's records, each holding on to the one before."""

    def __init__(self, evidence: Evidence, part: Part) -> None:
        self._head = evidence.checkpoint
        self._places = evidence.places
        self._part = part
        self._session = session_of(evidence.checkpoint.origin, part.stream)
        self._before: tuple[str, str] | None = None
        self._calls: dict[str, str] = {}
        self._model: str | None = None

    def over(self, events: Sequence[RecordedEvent]) -> Iterator[bytes]:
        """Yield the run's records: where it begins, its actions, and the outcome of each call."""
        decoded = [(event, catalog.decode(event)) for event in events]
        outcomes = _outcomes(decoded)
        first, data = decoded[0]
        yield self._begun(first, data)
        for event, data in decoded:
            if isinstance(data, run.Started | run.ModelCalled):
                self._model = data.model or self._model
            if (known := _KINDS.get(event.type)) is not None:
                yield self._made(event, data, outcomes, known)

    def _begun(self, event: RecordedEvent, data: Any) -> bytes:
        """Return the record that a chain begins with. It stands for the run's own first event where that is covered."""
        is_start = isinstance(data, run.Started)
        own: dict[str, Any] = self._own(event) if is_start else {"stream": event.stream, "first_version": event.version}
        log = {"origin": self._head.origin, "size": self._head.size, "root": self._head.root.hex()}
        agent = self._part.agent or None
        return self._record(
            record_id=event.id if is_start else str(uuid5(UUID(self._session), str(event.version))),
            at=event,
            action="lifecycle",
            detail={"event": "session_start", "nagare": {**own, "agent": agent, "draft": DRAFT, "log": log}},
            phase="concurrent",
        )

    def _made(
        self,
        event: RecordedEvent,
        data: Any,
        outcomes: dict[str, RecordedEvent],
        known: tuple[str, str, dict[str, str]],
    ) -> bytes:
        """Return the record of an action or outcome. Of one whose payload is gone it says what it was, and no more."""
        action, outcome, about = known
        detail: dict[str, Any] = {**about}
        phase, more = "post_execution", {}
        match data:
            case run.Reasoned():
                detail |= {"tool_name": data.tool_name, "parameters_hash": _digest(data.args_json)}
                phase = _phase(event, outcomes.get(data.call_id or "") or outcomes.get(event.id))
                self._calls |= {key: event.id for key in (data.call_id, event.id) if key}
            case run.ToolReturned():
                detail |= {"tool_name": data.tool_name, "response_hash": _digest(data.response_json)}
                detail |= self._call_of(event, data)
                more = _took(data.latency_ms)
            case run.ToolFailed():
                detail |= {"tool_name": data.tool_name, **self._call_of(event, data)}
                outcome = "timeout" if (data.error_code or "").lower() in _TIMED_OUT else outcome
                more = _took(data.latency_ms)
            case run.HandedOff():
                detail |= {"delegate_agent_id": _agent(data.to_agent or "")}
        detail["nagare"] = self._own(event)
        return self._record(
            record_id=event.id, at=event, action=action, detail=detail, outcome=outcome, phase=phase, more=more
        )

    def _call_of(self, event: RecordedEvent, data: run.ToolReturned | run.ToolFailed) -> dict[str, str]:
        """Return which call a result answers, where that call has a record."""
        for key in (data.call_id, event.meta.causation_id):
            if key and key in self._calls:
                return {"parent_call_id": self._calls[key]}
        return {}

    def _own(self, event: RecordedEvent) -> dict[str, Any]:
        """Return what ties a record to the journal: the event, its leaf and its place in the log, and its causes."""
        causes = [event.meta.causation_id] if event.meta.causation_id else []
        causes += [link.id for link in event.meta.causes if link.id not in causes]
        mark = mark_on(event)
        return {
            "stream": event.stream,
            "version": event.version,
            "type": event.type,
            "recorded_at": instant(event.recorded_at),
            "log_index": self._places[event.id],
            "leaf": leaf_of(event).hash.hex(),
            "causes": causes,
            "actor": event.meta.actor,
            **({"withdrawn": mark.words} if mark is not None else {}),
        }

    def _record(  # noqa: PLR0913 - the fields of a record
        self,
        *,
        record_id: str,
        at: RecordedEvent,
        action: str,
        detail: dict[str, Any],
        outcome: str = "success",
        phase: str,
        more: dict[str, Any] | None = None,
    ) -> bytes:
        parent, digest = self._before or (None, None)
        written = canonical(
            {
                "record_id": record_id,
                "timestamp": instant(at.occurred_at),
                "agent_id": _agent(self._part.agent),
                "agent_version": "0.0.0",
                "session_id": self._session,
                "action_type": action,
                "action_detail": detail,
                "outcome": outcome,
                "trust_level": "L0",
                "parent_record_id": parent,
                "prev_hash": digest,
                "record_phase": phase,
                **({"model_id": self._model} if self._model else {}),
                **(more or {}),
            }
        )
        self._before = (record_id, sha256(written).hexdigest())
        return written


def canonical(record: dict[str, Any]) -> bytes:
    """Return a record as RFC 8785 writes it: the keys here are ASCII, and no number is a fraction or past 2^53."""
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def session_of(origin: str, stream: str) -> str:
    """Return the UUID that stands for a run, as the draft wants one: that of the log's origin and the stream's name."""
    return str(uuid5(NAMESPACE_URL, f"{origin}/{stream}"))


def _outcomes(decoded: Sequence[tuple[RecordedEvent, Any]]) -> dict[str, RecordedEvent]:
    """Return the event that answers each call, by the call's own id and by that of the decision."""
    found: dict[str, RecordedEvent] = {}
    for event, data in decoded:
        if isinstance(data, run.ToolReturned | run.ToolFailed):
            for key in (data.call_id, event.meta.causation_id):
                if key:
                    found.setdefault(key, event)
    return found


def _phase(event: RecordedEvent, outcome: RecordedEvent | None) -> str:
    """Return whether the journal knew of a call before its outcome occurred: only then was it recorded beforehand."""
    is_before = outcome is not None and event.recorded_at < outcome.occurred_at
    return "pre_execution" if is_before else "post_execution"


def _agent(name: str) -> str:
    """Return an agent's name as a URI."""
    return f"urn:agent:{quote(name, safe='') or 'unknown'}"


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _took(latency_ms: float | None) -> dict[str, int]:
    return {} if latency_ms is None else {"latency_ms": round(latency_ms)}

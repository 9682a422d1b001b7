"""The records of one Claude Code run, read in order into events. Registers no format; `claude_code` says what is a run.

A response of the model is spread over records with one `message.id`, a block each, and results may stand between them:
the response becomes an event where its first block stands, each call where its own stands. Which events there are, and
in which order, never depends on later records, but for one: words that end a response are an answer, unless a later
record of that response calls a tool.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from journal.domain.agent_run import (
    Aborted,
    AgentRunEvent,
    ContextCompacted,
    HandedOff,
    MessageReceived,
    ModelResponded,
    Reasoned,
    Started,
)
from journal.domain.codec import text
from journal.ingest.draft import EventDraft, Link, Opaque
from journal.ingest.lenient import Calls, as_dict, as_float, as_int, as_text, dicts
from journal.ingest.source import moment
from journal.ingest.transcript import Events, content, event_name, failed, picked, returned, spoken, wording

DELEGATING_TOOLS = frozenset(("Task", "Agent"))
_SYNTHETIC = "<synthetic>"
_NOT_HUMAN = ("<command-", "<local-command-", "<bash-", "<task-notification", "Caveat: The messages")
_REMINDERS = re.compile(r"<system-reminder>.*?</system-reminder>\s*", re.DOTALL)
_MESSAGE = ("id", "model", "stop_reason", "stop_sequence", "stop_details")
_ENVELOPE = ("requestId", "effort", "errorDetails")
_KEPT = (*_MESSAGE, *_ENVELOPE, "usage", "signatures")
_INTERRUPTED = "[Request interrupted by user"


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the file: its number from 1, and the object in it."""

    line: int
    data: dict[str, Any]

    @property
    def type(self) -> str:
        """What the record says it is; empty where it does not."""
        return as_text(self.data.get("type")) or ""

    @property
    def key(self) -> str:
        """The record's uuid, or its line where it has none: the same in every longer version of the file."""
        return as_text(self.data.get("uuid")) or f"line {self.line}"

    @property
    def parent(self) -> str | None:
        """The uuid of the record before it in the conversation; across a compaction the one from before it."""
        return as_text(self.data.get("parentUuid")) or as_text(self.data.get("logicalParentUuid"))

    @property
    def at(self) -> datetime | None:
        """When it was written."""
        return moment(self.data.get("timestamp"))

    @property
    def message(self) -> dict[str, Any]:
        """The message of a user or assistant record."""
        return as_dict(self.data.get("message"))

    @property
    def blocks(self) -> list[dict[str, Any]]:
        """The message's content as blocks; text alone is one block."""
        said = self.message.get("content")
        return [{"type": "text", "text": said}] if isinstance(said, str) else dicts(said)

    @property
    def response_id(self) -> str | None:
        """What the records of one model response have in common; None where the record is no model's."""
        if self.type != "assistant" or self.message.get("model") == _SYNTHETIC:
            return None
        return as_text(self.message.get("id")) or self.key

    @property
    def words(self) -> str:
        """The text of the message, without the reminders that are put in beside a person's words."""
        said = spoken([block for block in self.blocks if block.get("type") == "text"])
        return _REMINDERS.sub("", said).strip()

    @property
    def is_human(self) -> bool:
        """Whether a person wrote these words, as far as the file tells."""
        if self.type != "user" or self.data.get("isMeta") is True or self.data.get("isCompactSummary") is True:
            return False
        notified = as_dict(self.data.get("origin")).get("kind") == "task-notification"
        shown = any(block.get("type") in ("image", "document") for block in self.blocks)
        return (bool(self.words) or shown) and not notified and not self.words.startswith((*_NOT_HUMAN, _INTERRUPTED))


def call_key(record: Record, number: int) -> str:
    """Return the key of the call in the record's block `number`."""
    return f"{record.key}.{number}"


def handoff_key(call: str) -> str:
    """Return the key of the hand-off that a delegating call makes."""
    return f"{call}.handoff"


@dataclass(slots=True)
class _Response:
    """What all records of one model response add up to."""

    records: list[Record] = field(default_factory=list)
    usage: dict[str, Any] = field(default_factory=dict)
    envelope: dict[str, Any] = field(default_factory=dict)

    def take(self, record: Record) -> None:
        self.records.append(record)
        self.usage = as_dict(record.message.get("usage")) or self.usage
        self.envelope = {**self.envelope, **picked(record.message, *_MESSAGE), **picked(record.data, *_ENVELOPE)}

    @property
    def blocks(self) -> list[dict[str, Any]]:
        return [block for record in self.records for block in record.blocks]

    @property
    def calls(self) -> list[dict[str, Any]]:
        return [block for block in self.blocks if block.get("type") == "tool_use"]

    @property
    def words(self) -> str:
        return spoken([block for block in self.blocks if block.get("type") == "text"])

    def event(self) -> ModelResponded:
        blocks = self.blocks
        thoughts = [block for block in blocks if block.get("type") == "thinking"]
        said = [block for block in blocks if block.get("type") not in ("thinking", "tool_use")]
        signatures = [block["signature"] for block in thoughts if as_text(block.get("signature"))]
        return ModelResponded(
            content=content(said) if said else None,
            reasoning="\n\n".join(filter(None, (as_text(block.get("thinking")) for block in thoughts))) or None,
            finish_reason=as_text(self.envelope.get("stop_reason")),
            input_tokens=as_int(self.usage.get("input_tokens")),
            output_tokens=as_int(self.usage.get("output_tokens")),
            cached_tokens=as_int(self.usage.get("cache_read_input_tokens")),
            raw=picked({**self.envelope, "usage": self.usage, "signatures": signatures}, *_KEPT) or None,
        )


class Session:
    """Reads the records of one run.

    `links` finds the event of a record of another run in the same file; `children` names the runs that work was handed
    to, by the key of the hand-off.
    """

    def __init__(
        self,
        records: list[Record],
        started: Started,
        *,
        links: Callable[[str], Link | None] = lambda _uuid: None,
        children: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.keys: dict[str, str] = {}
        self._records = records
        self._started = started
        self._links = links
        self._children = children
        self._events = Events()
        self._calls = Calls()
        self._responses: dict[str, _Response] = {}
        self._first_keys: dict[str, str] = {}
        self._said: dict[str, list[str]] = {}
        self._summaries: dict[int, Record] = {}
        self._summarised: dict[int, str] = {}

    def events(self) -> list[EventDraft]:
        """Return the run's events."""
        self._look_ahead()
        first = next((record for record in self._records if record.at), None)
        line = self._records[0].line if self._records else None
        self._events.add("start", self._started, at=first.at if first else None, line=line)
        for record in self._records:
            self._take(record)
        return self._events.drafts

    def _look_ahead(self) -> None:
        """Gather what stands in several records: responses, and the summary that follows a compaction."""
        boundary: Record | None = None
        for record in self._records:
            if record.response_id:
                self._responses.setdefault(record.response_id, _Response()).take(record)
            if record.data.get("subtype") == "compact_boundary":
                boundary = record
            elif boundary and record.type in ("user", "assistant"):
                if record.data.get("isCompactSummary") is True:
                    self._summaries[boundary.line] = record
                boundary = None

    def _take(self, record: Record) -> None:
        if record.response_id:
            self._respond(record, record.response_id)
        elif record.type == "assistant":
            self._notice(record)
        elif record.type == "user" and record.blocks:
            self._hear(record)
        elif record.data.get("subtype") == "compact_boundary":
            self._compact(record, self._summaries.get(record.line))
        else:
            name = event_name("claude_code", record.type, record.data.get("subtype"))
            self._add(record, record.key, Opaque(name=name, data=record.data))

    def _add(self, record: Record, key: str, event: AgentRunEvent | Opaque, causes: Iterable[Link] = ()) -> str:
        """Add an event that stands for a record from then on, caused by `causes` and the record's parent."""
        links = [*causes, *self._parent(record)]
        unique = {(link.run, link.key): link for link in reversed(links)}
        own = self._events.add(key, event, at=record.at, line=record.line, causes=reversed(unique.values()))
        self._stands_for(record, own)
        return own

    def _parent(self, record: Record) -> list[Link]:
        if record.parent is None:
            return []
        if record.parent in self.keys:
            return [Link(self.keys[record.parent])]
        elsewhere = self._links(record.parent)
        return [elsewhere] if elsewhere else []

    def _stands_for(self, record: Record, key: str) -> None:
        uuid = as_text(record.data.get("uuid"))
        if uuid:
            self.keys[uuid] = key

    def _respond(self, record: Record, response_id: str) -> None:
        response = self._responses[response_id]
        first = self._first_keys.get(response_id)
        if first is None:
            first = self._first_keys[response_id] = self._add(record, record.key, response.event())
        self._stands_for(record, first)
        said = self._said.setdefault(response_id, [])
        calls = []
        for number, block in enumerate(record.blocks):
            if block.get("type") == "tool_use":
                calls.append(self._call(record, number, block, first, said))
            else:
                said.extend(filter(None, [as_text(block.get("text"))]))
        if len(calls) == 1:
            self._stands_for(record, calls[0])
        if record is response.records[-1]:
            self._end(record, response, first)

    def _call(self, record: Record, number: int, block: dict[str, Any], first: str, said: list[str]) -> str:
        tool, arguments = as_text(block.get("name")) or "", block.get("input")
        key = call_key(record, number)
        call = self._calls.open(block.get("id"), key=key, tool=tool)
        decision = Reasoned(
            thought="\n\n".join(said) or None,
            tool_name=tool,
            args_json=text(arguments) if arguments is not None else "{}",
            call_id=call.id,
        )
        own = self._events.add(key, decision, at=record.at, line=record.line, causes=[Link(first)])
        if tool in DELEGATING_TOOLS:
            task = as_dict(arguments)
            handed = HandedOff(
                to_agent=as_text(task.get("subagent_type")),
                child_run=self._children.get(handoff_key(own)),
                instruction=as_text(task.get("prompt")),
            )
            self._events.add(handoff_key(own), handed, at=record.at, line=record.line, causes=[Link(own)])
        return own

    def _end(self, record: Record, response: _Response, key: str) -> None:
        """Add what a response comes to at the last of its records, where it calls nothing."""
        if record.data.get("isAbortedMidStream") is True:
            self._abort(record, key, "aborted mid-stream")
        elif response.words and not response.calls:
            self._events.answer(key, response.words, at=record.at, line=record.line)

    def _notice(self, record: Record) -> None:
        """Take in what Claude Code says in the model's place; an API error ends the turn."""
        said = content(record.message.get("content"))
        key = self._add(record, record.key, MessageReceived(role="environment", content=said, name="claude-code"))
        if record.data.get("isApiErrorMessage") is True:
            self._abort(record, key, spoken(said))

    def _hear(self, record: Record) -> None:
        """Take in a user record: results of calls, then the words beside them."""
        rest = []
        for number, block in enumerate(record.blocks):
            if block.get("type") == "tool_result":
                self._result(record, number, block)
            else:
                rest.append(block)
        detail = record.data.get("toolUseResult")
        if isinstance(detail, (dict, list)) and detail and len(rest) < len(record.blocks):
            kept = picked(record.data, "toolUseResult", "sourceToolAssistantUUID", "sourceToolUseID")
            said_by = self.keys.get(as_text(record.data.get("uuid")) or "")
            self._events.add(
                f"{record.key}.detail",
                Opaque(name="claude_code.tool_use_result", data=kept),
                at=record.at,
                line=record.line,
                causes=[Link(said_by)] if said_by else (),
            )
        if rest:
            self._words(record, rest)

    def _result(self, record: Record, number: int, block: dict[str, Any]) -> None:
        named = as_text(block.get("tool_use_id"))
        call, said = self._calls.answer(named), content(block.get("content"))
        detail = as_dict(record.data.get("toolUseResult"))
        if block.get("is_error") is True:
            denied = as_text(record.data.get("toolDenialKind"))
            event: AgentRunEvent = failed(call, named, said, error_code=denied, latency_ms=_latency(detail))
        else:
            event = returned(call, named, said, latency_ms=_latency(detail))
        self._add(record, f"{record.key}.{number}", event, [Link(call.key)] if call else ())

    def _words(self, record: Record, rest: list[dict[str, Any]]) -> None:
        plain = record.message.get("content")
        said = plain if isinstance(plain, str) else content(rest)
        if record.data.get("isCompactSummary") is True:
            self._summary(record, wording(said))
            return
        words = spoken(said)
        role = "user" if record.is_human or words.startswith(_INTERRUPTED) else "environment"
        key = self._add(record, record.key, MessageReceived(role=role, content=said))
        if words.startswith(_INTERRUPTED):
            self._abort(record, key, words)

    def _abort(self, record: Record, key: str, reason: str) -> None:
        self._events.add(f"{key}.abort", Aborted(reason=reason), at=record.at, line=record.line, causes=[Link(key)])

    def _compact(self, record: Record, summary: Record | None) -> None:
        words = wording(content(summary.message.get("content"))) if summary else None
        key = self._add(record, record.key, ContextCompacted(summary=words))
        if summary:
            self._summarised[summary.line] = key
        self._events.add(
            f"{key}.boundary",
            Opaque(name="claude_code.system.compact_boundary", data=record.data),
            at=record.at,
            line=record.line,
            causes=[Link(key)],
        )

    def _summary(self, record: Record, words: str) -> None:
        """Let the summary stand for the compaction it belongs to; without a boundary it is the compaction."""
        known = self._summarised.get(record.line)
        if known:
            self._stands_for(record, known)
        else:
            self._add(record, record.key, ContextCompacted(summary=words))


def _latency(detail: dict[str, Any]) -> float | None:
    for name, scale in (("totalDurationMs", 1), ("durationMs", 1), ("durationSeconds", 1000)):
        value = as_float(detail.get(name))
        if value is not None:
            return value * scale
    return None

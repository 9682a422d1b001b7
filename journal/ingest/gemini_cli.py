"""Gemini CLI sessions: `~/.gemini/tmp/<project>/chats/session-*.json`, and `.jsonl` from version 0.40 on.

One file is one run. A response and its calls stand in one message, each call with its result. The older files are one
document, written anew after each message; the newer ones a log: the session's head, messages, and `$set` patches, where
a message that is written a second time takes the place of the first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from journal.domain.agent_run import AgentRunEvent, MessageReceived, ModelResponded, Reasoned, Started
from journal.domain.codec import text
from journal.errors import ImportRefused
from journal.ingest import Format, register
from journal.ingest.draft import EVERY_COUNT, EventDraft, Opaque, RunDraft
from journal.ingest.lenient import Call, Calls, as_dict, as_int, as_list, as_text, dicts
from journal.ingest.source import Source, moment
from journal.ingest.transcript import Events, content, event_name, failed, picked, returned, spoken

NAME = "gemini-cli"
_HEAD = frozenset(("sessionId", "projectHash"))
_MARK = b'"projectHash"'
_MARK_WITHIN_BYTES = 64 * 2**10


def detect(source: Source) -> bool:
    """Tell a session by its head: the first line of a log, or the document itself."""
    if _is_head(source.first):
        return True
    if _MARK not in source.data[:_MARK_WITHIN_BYTES] and _MARK not in source.data[-_MARK_WITHIN_BYTES:]:
        return False
    document = as_dict(source.document)
    return _is_head(document) and isinstance(document.get("messages"), list)


def _is_head(value: dict[str, Any]) -> bool:
    return value.keys() >= _HEAD


@dataclass(kw_only=True, slots=True)
class _Entry:
    """A message, or another record, at its place in the file."""

    key: str
    record: dict[str, Any]
    line: int | None = None


@dataclass(kw_only=True, slots=True)
class _Log:
    """A session as the file has it at its end: its head, and its entries in the order they first came."""

    head: dict[str, Any] = field(default_factory=dict)
    entries: list[_Entry] = field(default_factory=list)
    by_id: dict[str, _Entry] = field(default_factory=dict)

    def take(self, record: dict[str, Any], place: str, line: int | None) -> None:
        """Take in a message or another record; a message that is known by its id is brought up to date."""
        known = as_text(record.get("id"))
        if known and known in self.by_id:
            self.by_id[known].record = {**self.by_id[known].record, **record}
            return
        entry = _Entry(key=known or place, record=record, line=line)
        self.entries.append(entry)
        if known:
            self.by_id[known] = entry


def read(source: Source) -> Iterator[RunDraft]:
    """Yield the session's run.

    Raises:
        ImportRefused: the file is a document that breaks off.
    """
    log = _log(source) if "messages" not in source.first and _is_head(source.first) else _document(source)
    name = as_text(log.head.get("sessionId")) or source.path.stem
    yield RunDraft(
        source_id=name,
        events=_Session(log, _started(log, name)).events(),
        recorded=EVERY_COUNT - {"cost_usd"},
        correlation=name,
    )


def _document(source: Source) -> _Log:
    document = source.json()
    if not isinstance(document, dict) or not isinstance(document.get("messages"), list):
        raise ImportRefused("no list of messages in the session; is this a whole file of ~/.gemini/tmp/…/chats?")
    log = _Log(head={name: value for name, value in document.items() if name != "messages"})
    for number, message in enumerate(document["messages"]):
        if isinstance(message, dict):
            log.take(message, f"message {number}", None)
        else:
            source.note(f"message {number} is no object")
    return log


def _log(source: Source) -> _Log:
    log = _Log()
    for number, value in source.lines():
        if not isinstance(value, dict):
            source.note("a JSON value that is no object; a session has one object a line", line=number)
        elif not log.head and _is_head(value):
            log.head = value
        else:
            for message in dicts(as_dict(value.get("$set")).get("messages")):
                log.take(message, f"line {number}", number)
            log.take(value, f"line {number}", number)
    return log


def _started(log: _Log, name: str) -> Started:
    messages = [entry.record for entry in log.entries]
    asked = next((message for message in messages if message.get("type") == "user"), {})
    models = (as_text(message.get("model")) for message in messages if message.get("type") == "gemini")
    return Started(
        prompt=spoken(asked.get("content")) or None,
        model=next(filter(None, models), None),
        agent=NAME,
        source=NAME,
        source_id=name,
        context=picked(log.head, "sessionId", "projectHash", "startTime", "kind", "directories"),
    )


class _Session:
    """Reads the entries of one session into events."""

    def __init__(self, log: _Log, started: Started) -> None:
        self._log = log
        self._started = started
        self._events = Events()
        self._calls = Calls()

    def events(self) -> list[EventDraft]:
        self._events.add("start", self._started, at=moment(self._log.head.get("startTime")))
        for entry in self._log.entries:
            match entry.record.get("type"):
                case "user":
                    said = MessageReceived(role="user", content=content(entry.record.get("content")))
                    self._add(entry, entry.key, said)
                case "gemini":
                    self._respond(entry, is_last=entry is self._log.entries[-1])
                case kind:
                    name = event_name("gemini_cli", kind or ("set" if "$set" in entry.record else None))
                    self._add(entry, entry.key, Opaque(name=name, data=entry.record))
        return self._events.drafts

    def _add(self, entry: _Entry, key: str, event: AgentRunEvent | Opaque, at: datetime | None = None) -> str:
        return self._events.add(key, event, at=at or moment(entry.record.get("timestamp")), line=entry.line)

    def _respond(self, entry: _Entry, *, is_last: bool) -> None:
        message = entry.record
        words, calls = spoken(message.get("content")), dicts(message.get("toolCalls"))
        key = self._add(entry, entry.key, _response(message))
        opened = [(self._call(entry, number, asked, words), number, asked) for number, asked in enumerate(calls)]
        for call, number, asked in opened:
            if asked.get("result") is not None or asked.get("status") in ("success", "error", "cancelled"):
                self._result(entry, number, call, asked)
            elif is_last:
                break
        if words and not calls:
            self._events.answer(key, words, at=moment(message.get("timestamp")), line=entry.line)

    def _call(self, entry: _Entry, number: int, asked: dict[str, Any], words: str) -> Call:
        tool, arguments, key = as_text(asked.get("name")) or "", asked.get("args"), f"{entry.key}.{number}"
        call = self._calls.open(asked.get("id"), key=key, tool=tool)
        thought = words or _thoughts(entry.record)
        written = text(arguments) if arguments is not None else "{}"
        self._add(entry, key, Reasoned(thought=thought or None, tool_name=tool, args_json=written, call_id=call.id))
        return call

    def _result(self, entry: _Entry, number: int, call: Call, asked: dict[str, Any]) -> None:
        response = _answer_of(asked)
        if asked.get("status") == "error":
            event: AgentRunEvent = failed(call, call.id, as_dict(response).get("error") or response)
        else:
            event = returned(call, call.id, response)
        self._add(entry, f"{entry.key}.{number}.result", event, at=moment(asked.get("timestamp")))


def _response(message: dict[str, Any]) -> ModelResponded:
    tokens = as_dict(message.get("tokens"))
    return ModelResponded(
        content=content(message.get("content")) or None,
        reasoning=_thoughts(message) or None,
        input_tokens=as_int(tokens.get("input")),
        output_tokens=as_int(tokens.get("output")),
        cached_tokens=as_int(tokens.get("cached")),
        raw=picked(message, "model", "tokens", "thoughts") or None,
    )


def _thoughts(message: dict[str, Any]) -> str:
    """Return the summaries of what the model thought: subject, then description."""
    said = (
        [as_text(thought.get("subject")), as_text(thought.get("description"))]
        for thought in dicts(message.get("thoughts"))
    )
    return "\n\n".join(": ".join(filter(None, parts)) for parts in said if any(parts))


def _answer_of(asked: dict[str, Any]) -> Any:
    """Return what the model was given for a call: the response inside the one function response, else all parts."""
    parts = as_list(asked.get("result"))
    if len(parts) == 1 and isinstance(parts[0], dict) and parts[0].keys() == {"functionResponse"}:
        return as_dict(parts[0]["functionResponse"]).get("response")
    return asked.get("result")


register(
    Format(
        name=NAME,
        title="Gemini CLI session",
        detect=detect,
        read=read,
        order=30,
        example='{"sessionId":"…","projectHash":"…","startTime":"…","messages":[…]}',
    )
)

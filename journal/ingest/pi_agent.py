"""Sessions of the pi coding agent: `~/.pi/agent/sessions/<folder>/<time>_<id>.jsonl`.

A file is one run: a head, then messages and changes of the setting. Newer files give each entry an id and a `parentId`;
those are links of the source.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from journal.domain.agent_run import (
    Aborted,
    AgentRunEvent,
    ContextCompacted,
    MessageReceived,
    ModelResponded,
    Reasoned,
    Started,
)
from journal.domain.codec import text
from journal.ingest import Format, register
from journal.ingest.draft import EVERY_COUNT, EventDraft, Link, Opaque, RunDraft
from journal.ingest.lenient import Calls, as_dict, as_float, as_int, as_text, dicts
from journal.ingest.source import Source, moment
from journal.ingest.transcript import Events, content, event_name, failed, picked, returned, spoken

NAME = "pi-agent"
_SETTING = ("cwd", "provider", "modelId", "thinkingLevel", "version", "parentSession", "branchedFrom")
_KEPT = ("api", "provider", "model", "usage", "errorMessage", "thinking")
_BROKEN_OFF = frozenset(("aborted", "error"))


def detect(source: Source) -> bool:
    """Tell a session by its head."""
    head = source.first
    return head.get("type") == "session" and isinstance(head.get("id"), str) and isinstance(head.get("cwd"), str)


def read(source: Source) -> Iterator[RunDraft]:
    """Yield the session's run."""
    entries = list(_entries(source))
    if not entries:
        return
    head = next((entry for _, entry in entries if entry.get("type") == "session"), {})
    name = as_text(head.get("id")) or source.path.stem
    yield RunDraft(
        source_id=name,
        events=_Session(entries, _started(entries, head, name)).events(),
        recorded=EVERY_COUNT,
        correlation=name,
    )


def _entries(source: Source) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, value in source.lines():
        if isinstance(value, dict):
            yield line, value
        else:
            source.note("a JSON value that is no object; a session has one object a line", line=line)


def _started(entries: list[tuple[int, dict[str, Any]]], head: dict[str, Any], name: str) -> Started:
    messages = [as_dict(entry.get("message")) for _, entry in entries if entry.get("type") == "message"]
    asked = next((message for message in messages if message.get("role") == "user"), {})
    models = (as_text(message.get("model")) for message in messages if message.get("role") == "assistant")
    return Started(
        prompt=spoken(asked.get("content")) or None,
        model=as_text(head.get("modelId")) or next(filter(None, models), None),
        agent=NAME,
        source=NAME,
        source_id=name,
        context=picked(head, *_SETTING),
    )


class _Session:
    """Reads the entries of one session into events."""

    def __init__(self, entries: list[tuple[int, dict[str, Any]]], started: Started) -> None:
        self._entries = entries
        self._started = started
        self._events = Events()
        self._calls = Calls()
        self._keys: dict[str, str] = {}

    def events(self) -> list[EventDraft]:
        line, first = self._entries[0]
        self._events.add("start", self._started, at=moment(first.get("timestamp")), line=line)
        for number, entry in self._entries:
            self._take(number, entry)
        return self._events.drafts

    def _take(self, line: int, entry: dict[str, Any]) -> None:
        kind, message = entry.get("type"), as_dict(entry.get("message"))
        match kind, message.get("role"):
            case "message", "user":
                self._add(line, entry, MessageReceived(role="user", content=content(message.get("content"))))
            case "message", "assistant":
                self._respond(line, entry, message)
            case "message", "toolResult":
                self._result(line, entry, message)
            case "compaction", _:
                self._add(line, entry, ContextCompacted(summary=as_text(entry.get("summary"))))
                self._add(line, entry, Opaque(name="pi_agent.compaction", data=entry), part="record")
            case _, role:
                self._add(line, entry, Opaque(name=event_name("pi_agent", kind, role), data=entry))

    def _add(self, line: int, entry: dict[str, Any], event: AgentRunEvent | Opaque, part: str = "") -> str:
        """Add an event of an entry, caused by the entry that this one names as its parent."""
        own = as_text(entry.get("id")) if entry.get("type") != "session" else None
        name = own or f"line {line}"
        before = self._keys.get(as_text(entry.get("parentId")) or "") if not part else self._keys.get(name)
        key = self._events.add(
            f"{name}.{part}" if part else name,
            event,
            at=moment(entry.get("timestamp")),
            line=line,
            causes=[Link(before)] if before else (),
        )
        if not part:
            self._keys[name] = key
        return key

    def _respond(self, line: int, entry: dict[str, Any], message: dict[str, Any]) -> None:
        key = self._add(line, entry, _response(message))
        blocks = dicts(message.get("content"))
        words = spoken([block for block in blocks if block.get("type") == "text"])
        calls = [(number, block) for number, block in enumerate(blocks) if block.get("type") == "toolCall"]
        for number, block in calls:
            self._call(line, entry, number, block, words or _thoughts(blocks))
        if as_text(message.get("stopReason")) in _BROKEN_OFF:
            reason = as_text(message.get("errorMessage")) or as_text(message.get("stopReason"))
            self._add(line, entry, Aborted(reason=reason), part="abort")
        elif words and not calls:
            self._events.answer(key, words, at=moment(entry.get("timestamp")), line=line)

    def _call(self, line: int, entry: dict[str, Any], number: int, block: dict[str, Any], thought: str) -> None:
        tool, arguments = as_text(block.get("name")) or "", block.get("arguments")
        name = as_text(entry.get("id")) or f"line {line}"
        call = self._calls.open(block.get("id"), key=f"{name}.{number}", tool=tool)
        decision = Reasoned(
            thought=thought or None,
            tool_name=tool,
            args_json=text(arguments) if arguments is not None else "{}",
            call_id=call.id,
        )
        self._add(line, entry, decision, part=str(number))

    def _result(self, line: int, entry: dict[str, Any], message: dict[str, Any]) -> None:
        named = as_text(message.get("toolCallId"))
        call, said = self._calls.answer(named), content(message.get("content"))
        event: AgentRunEvent = (
            failed(call, named, said) if message.get("isError") is True else returned(call, named, said)
        )
        key = self._add(line, entry, event)
        if message.get("details") not in (None, {}, []):
            details = Opaque(name="pi_agent.details", data={"details": message["details"]})
            self._events.add(
                f"{key}.details", details, at=moment(entry.get("timestamp")), line=line, causes=[Link(key)]
            )


def _response(message: dict[str, Any]) -> ModelResponded:
    blocks, usage = dicts(message.get("content")), as_dict(message.get("usage"))
    said = [block for block in blocks if block.get("type") not in ("thinking", "toolCall")]
    signed = [block for block in blocks if block.get("type") == "thinking" and block.keys() > {"type", "thinking"}]
    return ModelResponded(
        content=content(said) if said else None,
        reasoning=_thoughts(blocks) or None,
        finish_reason=as_text(message.get("stopReason")),
        input_tokens=as_int(usage.get("input")),
        output_tokens=as_int(usage.get("output")),
        cached_tokens=as_int(usage.get("cacheRead")),
        cost_usd=as_float(as_dict(usage.get("cost")).get("total")),
        raw=picked({**message, "thinking": signed}, *_KEPT) or None,
    )


def _thoughts(blocks: list[dict[str, Any]]) -> str:
    thoughts = (as_text(block.get("thinking")) for block in blocks if block.get("type") == "thinking")
    return "\n\n".join(filter(None, thoughts))


register(
    Format(
        name=NAME,
        title="pi session",
        detect=detect,
        read=read,
        order=30,
        example='{"type":"session","id":"…","timestamp":"…","cwd":"…","provider":"…","modelId":"…"}',
    )
)

"""The lines of one Codex CLI rollout, read in order into events. Registers no format; `codex_cli` does.

A rollout is two logs in one: `response_item` is what the model was sent and made, `event_msg` what the screen showed.
The first is the truth here; of the second only what the first does not say becomes an event of the run, and the rest is
kept as it stands. A response is the model-made items between two things that were given to the model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from journal.domain.agent_run import (
    Aborted,
    AgentRunEvent,
    Answered,
    ContextCompacted,
    HandedOff,
    MessageReceived,
    ModelResponded,
    Reasoned,
    Started,
)
from journal.domain.codec import text
from journal.ingest.draft import EventDraft, Link, Opaque
from journal.ingest.lenient import Call, Calls, as_dict, as_float, as_int, as_text, dicts
from journal.ingest.transcript import Events, event_name, failed, picked, returned, spoken, wording

SPAWNING_TOOLS = frozenset(("spawn_agent",))
_CALLS = frozenset(
    (
        "function_call",
        "custom_tool_call",
        "local_shell_call",
        "tool_search_call",
        "web_search_call",
        "image_generation_call",
    )
)
_HOSTED_CALLS = frozenset(("web_search_call", "image_generation_call"))
_OUTPUTS = frozenset(("function_call_output", "custom_tool_call_output", "tool_search_output"))
_INJECTED = (
    "<environment_context>",
    "<user_instructions>",
    "<permissions instructions>",
    "<turn_aborted>",
    "<skill>",
    "# AGENTS.md instructions",
    "<INSTRUCTIONS>",
    "<user_shell_command>",
    "<subagent_notification>",
)
_EXIT_CODE = re.compile(r"^(?:Process exited with code|Exit code:) (-?\d+)$", re.MULTILINE)
_WALL_TIME = re.compile(r"^Wall time: (\d+(?:\.\d+)?) seconds$", re.MULTILINE)
_HEADER = re.compile(r".*?^(?=Output:)", re.MULTILINE | re.DOTALL)
_HEADER_CHARACTERS = 400


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line of a rollout: its number from 1, its time, its type and payload, and the record as it stands."""

    number: int
    at: datetime | None
    type: str
    payload: dict[str, Any]
    record: dict[str, Any]

    @property
    def kind(self) -> str:
        """The type of the payload; empty where it has none."""
        return as_text(self.payload.get("type")) or ""

    @property
    def key(self) -> str:
        """The line: a rollout is only ever added to, and most of its items have no id."""
        return f"line {self.number}"

    @property
    def is_item(self) -> bool:
        """Whether this is part of what the model was sent or made."""
        return self.type == "response_item"

    @property
    def is_call(self) -> bool:
        """Whether the model calls a tool here."""
        return self.is_item and self.kind in _CALLS

    @property
    def is_made_by_model(self) -> bool:
        """Whether this is part of a response."""
        said = self.kind == "message" and self.payload.get("role") == "assistant"
        return self.is_item and (said or self.kind == "reasoning" or self.is_call)

    @property
    def is_given_to_model(self) -> bool:
        """Whether this ends a response: a result, or words of someone else."""
        return self.is_item and (self.kind in _OUTPUTS or (self.kind == "message" and not self.is_made_by_model))

    @property
    def is_human(self) -> bool:
        """Whether this is a person's message, and none that Codex puts in front of it."""
        words = spoken(self.payload.get("content")).lstrip()
        is_message = self.is_item and self.kind == "message" and self.payload.get("role") == "user"
        return is_message and bool(words) and not words.startswith(_INJECTED)


@dataclass(slots=True)
class Response:
    """The items of one response, and the usage that was counted for it."""

    items: list[Line] = field(default_factory=list)
    usage: list[dict[str, Any]] = field(default_factory=list)
    model: str | None = None

    def tokens(self, name: str) -> int | None:
        """Return a count over the response's usage; None where none was recorded."""
        found = [value for value in (as_int(usage.get(name)) for usage in self.usage) if value is not None]
        return sum(found) if found else None

    def event(self) -> ModelResponded:
        """Return the response as an event."""
        said = [item.payload.get("content") for item in self.items if item.kind == "message"]
        blocks = [block for message in said for block in dicts(message)]
        is_text = all(block.get("type") == "output_text" for block in blocks)
        thoughts = [item.payload for item in self.items if item.kind == "reasoning"]
        phases = [as_text(item.payload.get("phase")) for item in self.items if item.kind == "message"]
        kept = {"model": self.model, "usage": self.usage, "reasoning": thoughts, "phases": [p for p in phases if p]}
        return ModelResponded(
            content=(spoken(blocks) if is_text else blocks) if blocks else None,
            reasoning="\n\n".join(filter(None, map(_thought, thoughts))) or None,
            input_tokens=self.tokens("input_tokens"),
            output_tokens=self.tokens("output_tokens"),
            cached_tokens=self.tokens("cached_input_tokens"),
            raw=picked(kept, *kept) or None,
        )


def _thought(item: dict[str, Any]) -> str:
    return spoken(item.get("content")) or spoken(item.get("summary"))


@dataclass(slots=True)
class Responses:
    """The responses of a rollout by the line they begin at, and the usage that belongs to none of them."""

    by_line: dict[int, Response] = field(default_factory=dict)
    stray_usage: list[dict[str, Any]] = field(default_factory=list)
    counts_tokens: bool = False

    @classmethod
    def of(cls, lines: list[Line]) -> Responses:
        """Gather them. Usage is counted once per response, after it; a total that did not change is a repeat."""
        found, current, latest, total, model = cls(), None, None, None, None
        for line in lines:
            if line.type == "turn_context":
                model = as_text(line.payload.get("model")) or model
            elif line.is_given_to_model:
                current = None
            elif line.is_made_by_model:
                if current is None:
                    current = latest = found.by_line[line.number] = Response(model=model)
                current.items.append(line)
            usage = usage_of(line)
            if usage and usage[0] != total:
                total = usage[0]
                (latest.usage if latest else found.stray_usage).append(usage[1])
                found.counts_tokens = True
        return found


def usage_of(line: Line) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return (running total, usage of the last response) of a token count; None where the line is none or says none."""
    if line.type != "event_msg" or line.kind != "token_count":
        return None
    info = as_dict(line.payload.get("info"))
    last = as_dict(info.get("last_token_usage"))
    return (as_dict(info.get("total_token_usage")), last) if last else None


class Rollout:
    """Reads the lines of one run."""

    def __init__(self, lines: list[Line], started: Started, responses: Responses) -> None:
        self._lines = lines
        self._started = started
        self._responses = responses
        self._events = Events()
        self._calls = Calls()
        self._by_id: dict[str, Call] = {}
        self._response: tuple[str, Response] | None = None
        self._said: list[str] = []
        self._is_answered = False
        self._threads = _spawned_threads(lines)

    def events(self) -> list[EventDraft]:
        """Return the run's events."""
        first = self._lines[0]
        self._events.add("start", self._started, at=first.at, line=first.number)
        for line in self._lines:
            self._take(line)
        return self._events.drafts

    def _add(self, line: Line, key: str, event: AgentRunEvent | Opaque, causes: tuple[Link, ...] = ()) -> str:
        return self._events.add(key, event, at=line.at, line=line.number, causes=causes)

    def _take(self, line: Line) -> None:
        if line.is_made_by_model:
            self._respond(line)
        elif line.is_given_to_model:
            if line.kind in _OUTPUTS:
                self._result(line)
            else:
                self._hear(line)
        elif line.type == "response_item" and line.kind == "agent_message":
            said = MessageReceived(role="agent", content=_content(line), name=as_text(line.payload.get("author")))
            self._add(line, line.key, said)
        elif line.type == "session_meta" and line is self._lines[0]:
            self._instruct(line)
        elif line.type == "compacted":
            self._add(line, line.key, ContextCompacted(summary=as_text(line.payload.get("message"))))
            self._keep(line, f"{line.key}.record", (Link(line.key),))
        elif line.type == "event_msg":
            self._show(line)
        else:
            self._keep(line, line.key)

    def _keep(self, line: Line, key: str, causes: tuple[Link, ...] = ()) -> None:
        parts = (line.kind,) if line.type in ("event_msg", "response_item") and line.kind else (line.type, line.kind)
        self._add(line, key, Opaque(name=event_name("codex_cli", *parts), data=line.record), causes)

    def _instruct(self, line: Line) -> None:
        """Take in the system prompt, and keep the rest of the session's head."""
        words = as_dict(line.payload.get("base_instructions")).get("text") or line.payload.get("instructions")
        if as_text(words):
            self._add(line, f"{line.key}.instructions", MessageReceived(role="system", content=words))
        self._keep(line, line.key)

    def _hear(self, line: Line) -> None:
        role = as_text(line.payload.get("role")) or "user"
        if role == "user" and not line.is_human:
            role = "environment"
        elif line.is_human:
            self._is_answered = False
        self._add(line, line.key, MessageReceived(role=role, content=_content(line)))

    def _respond(self, line: Line) -> None:
        begun = self._responses.by_line.get(line.number)
        if begun:
            self._response, self._said = (self._add(line, f"{line.key}.response", begun.event()), begun), []
        if line.is_call:
            self._call(line)
        elif line.kind == "message":
            words = spoken(line.payload.get("content"))
            self._said.append(words)
            self._end(line, words)

    def _end(self, line: Line, words: str) -> None:
        """Add the answer where this message is the last of a response that calls nothing."""
        if self._response is None:
            return
        key, response = self._response
        last = [item for item in response.items if item.kind == "message"][-1]
        ends = line is last and line.payload.get("phase") != "commentary"
        if words and ends and not any(item.is_call for item in response.items):
            self._events.answer(key, words, at=line.at, line=line.number)
            self._is_answered = True

    def _call(self, line: Line) -> None:
        item = line.payload
        tool = as_text(item.get("name")) or line.kind.removesuffix("_call")
        source_id = as_text(item.get("call_id")) or (as_text(item.get("id")) if line.kind in _HOSTED_CALLS else None)
        call = self._calls.open(source_id, key=line.key, tool=tool)
        if source_id:
            self._by_id[source_id] = call
        arguments = _arguments(line)
        thought = "\n\n".join(filter(None, self._said)) or None
        self._add(line, line.key, Reasoned(thought=thought, tool_name=tool, args_json=arguments, call_id=call.id))
        if tool in SPAWNING_TOOLS:
            self._hand_off(line, source_id, arguments)
        if line.kind in _HOSTED_CALLS and item.get("status") == "completed":
            self._calls.answer(source_id)
            self._add(line, f"{line.key}.result", returned(call, source_id, picked(item, "status", "result")))

    def _hand_off(self, line: Line, source_id: str | None, arguments: str) -> None:
        asked = as_dict(_json(arguments))
        handed = HandedOff(
            to_agent=as_text(asked.get("agent_type")) or as_text(asked.get("task_name")),
            child_run=self._threads.get(source_id or ""),
            instruction=as_text(asked.get("message")) or as_text(asked.get("prompt")),
        )
        self._add(line, f"{line.key}.handoff", handed, (Link(line.key),))

    def _result(self, line: Line) -> None:
        source_id = as_text(line.payload.get("call_id"))
        call = self._calls.answer(source_id) or self._by_id.get(source_id or "")
        name = "tools" if line.kind == "tool_search_output" else "output"
        said, code, latency_ms = _outcome(line.payload.get(name))
        if code is not None and code > 0:
            event: AgentRunEvent = failed(call, source_id, said, error_code=str(code), latency_ms=latency_ms)
        else:
            event = returned(call, source_id, said, latency_ms=latency_ms)
        self._add(line, line.key, event)

    def _show(self, line: Line) -> None:
        """Take what only the screen's log says: how a turn ended. The rest repeats the items, and is kept as it is."""
        if line.kind in ("task_complete", "turn_complete"):
            self._complete(line)
        elif line.kind == "turn_aborted":
            self._add(line, f"{line.key}.abort", Aborted(reason=as_text(line.payload.get("reason"))))
        call = self._by_id.get(as_text(line.payload.get("call_id")) or "")
        self._keep(line, line.key, (Link(call.key),) if call else ())

    def _complete(self, line: Line) -> None:
        error, last = line.payload.get("error"), as_text(line.payload.get("last_agent_message"))
        if error:
            reason = as_text(as_dict(error).get("message")) or wording(error)
            self._add(line, f"{line.key}.abort", Aborted(reason=reason))
        elif last and not self._is_answered:
            self._add(line, f"{line.key}.answer", Answered(response=last))
        self._is_answered = False


def _spawned_threads(lines: list[Line]) -> dict[str, str]:
    """Return the threads that calls started, by the call's id."""
    found = {}
    for line in lines:
        call_id = as_text(line.payload.get("call_id"))
        thread = as_text(line.payload.get("new_thread_id")) or as_text(
            as_dict(_json(line.payload.get("output"))).get("agent_id")
        )
        if call_id and thread:
            found[call_id] = thread
    return found


def _content(line: Line) -> Any:
    blocks = dicts(line.payload.get("content"))
    is_text = bool(blocks) and all(block.get("type") in ("input_text", "output_text") for block in blocks)
    return blocks[0]["text"] if is_text and len(blocks) == 1 and "text" in blocks[0] else line.payload.get("content")


def _json(value: object) -> Any:
    try:
        return msgspec.json.decode(value) if isinstance(value, str) else None
    except (msgspec.DecodeError, RecursionError):
        return None


def _arguments(line: Line) -> str:
    """Return the arguments as JSON text: the model's own text where it wrote JSON, its free text as `input`."""
    item = line.payload
    match line.kind:
        case "custom_tool_call":
            written = as_text(item.get("input")) or ""
            return written if isinstance(_json(written), dict) else text({"input": written})
        case "web_search_call" | "local_shell_call":
            return text(as_dict(item.get("action")))
        case "image_generation_call":
            return text(picked(item, "revised_prompt"))
    asked = item.get("arguments")
    return asked if isinstance(asked, str) and asked else text(asked if asked is not None else {})


def _outcome(output: object) -> tuple[object, int | None, float | None]:
    """Return (what the model was given, exit code, latency in ms) of an output.

    Codex writes code and time in front of the output; in 2025 it put JSON around it.
    """
    wrapped = as_dict(_json(output))
    metadata = as_dict(wrapped.get("metadata"))
    if "output" in wrapped and metadata:
        seconds = as_float(metadata.get("duration_seconds"))
        return output, as_int(metadata.get("exit_code")), seconds * 1000 if seconds is not None else None
    header = _HEADER.match(spoken(output)[:_HEADER_CHARACTERS])
    lines = header[0] if header else ""
    code, time = _EXIT_CODE.search(lines), _WALL_TIME.search(lines)
    return output, int(code[1]) if code else None, float(time[1]) * 1000 if time else None

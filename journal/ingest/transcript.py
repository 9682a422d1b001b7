"""What the transcripts of coding agents have in common: a log of records that grows, blocks of content, late answers.

Registers no format. The readers of Claude Code, Codex CLI, Gemini CLI and pi collect their events here, so that keys
are unique in all of them, and content of any shape comes out the same way.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from journal.domain.agent_run import AgentRunEvent, Answered, ToolFailed, ToolReturned
from journal.domain.codec import text
from journal.ingest.draft import EventDraft, Link, Opaque
from journal.ingest.lenient import Call

_NOT_IN_NAMES = re.compile(r"[^a-z0-9_.]+")
_NAME_CHARACTERS = 60


def picked(source: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return the named fields that are there and say something."""
    return {name: source[name] for name in names if source.get(name) not in (None, "", [], {})}


def _is_plain(block: object) -> bool:
    return isinstance(block, dict) and isinstance(block.get("text"), str) and not (set(block) - {"type", "text"})


def content(value: object) -> Any:
    """Return content as one text where it is that and nothing more, else as it was recorded."""
    if isinstance(value, list) and len(value) == 1 and _is_plain(value[0]):
        return value[0]["text"]
    return value


def spoken(value: object) -> str:
    """Return the words in content of any shape: text, a block, or a list of both, a paragraph each."""
    match value:
        case str():
            return value
        case list():
            return "\n\n".join(words for words in map(spoken, value) if words)
        case {"text": str(words)}:
            return words
        case _:
            return ""


def wording(value: object) -> str:
    """Return content as text without losing any: its words where it has only words, else its JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(item, str) or _is_plain(item) for item in value):
        return spoken(value)
    return "" if value in (None, []) else text(value)


def event_name(format_name: str, *parts: object) -> str:
    """Return the name of an `Opaque`: the format's, then what the record calls itself, as far as a type may say it."""
    said = ".".join(str(part) for part in parts if part not in (None, "")) or "record"
    return f"{format_name}.{_NOT_IN_NAMES.sub('_', said.lower())[:_NAME_CHARACTERS].strip('._') or 'record'}"


@dataclass(slots=True)
class Events:
    """The events of one run in the making, each under a key of its own."""

    drafts: list[EventDraft] = field(default_factory=list)
    _keys: Counter[str] = field(default_factory=Counter)

    def add(
        self,
        key: str,
        event: AgentRunEvent | Opaque,
        *,
        at: datetime | None = None,
        line: int | None = None,
        causes: Iterable[Link] = (),
    ) -> str:
        """Add an event, and return its key: `key`, or `<key>#2` where the source uses it a second time."""
        self._keys[key] += 1
        own = key if self._keys[key] == 1 else f"{key}#{self._keys[key]}"
        self.drafts.append(EventDraft(key=own, event=event, at=at, line=line, causes=tuple(causes)))
        return own

    def answer(self, key: str, response: object, *, at: datetime | None, line: int | None) -> None:
        """Add the answer that the response at `key` was."""
        self.add(f"{key}.answer", Answered(response=response), at=at, line=line, causes=[Link(key)])


def returned(
    call: Call | None, source_id: str | None, response: object, *, latency_ms: float | None = None
) -> ToolReturned:
    """Return a call's result. A result whose call is not in the file keeps the id it names."""
    return ToolReturned(
        tool_name=call.tool if call else "",
        call_id=call.id if call else source_id,
        response_json=text(response),
        latency_ms=latency_ms,
    )


def failed(
    call: Call | None,
    source_id: str | None,
    response: object,
    *,
    error_code: str | None = None,
    latency_ms: float | None = None,
) -> ToolFailed:
    """Return a call's failure, with everything the source keeps of the response as its message."""
    return ToolFailed(
        tool_name=call.tool if call else "",
        call_id=call.id if call else source_id,
        error_code=error_code,
        message=wording(response),
        latency_ms=latency_ms,
    )

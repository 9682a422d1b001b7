"""Invariant traces: JSON Lines of OpenAI-style conversations, each with the notes people made on places in it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from journal.domain.agent_run import Annotated, Started
from journal.ingest import Format, register
from journal.ingest.draft import EventDraft, RunDraft
from journal.ingest.lenient import as_dict, as_text, dicts, fingerprint, text_at_start
from journal.ingest.openai_chat import Chat, version_of
from journal.ingest.source import Source, moment

_KNOWN_KEYS: Final = frozenset(("messages", "metadata", "annotations", "id", "index", "name"))
_ROLES: Final = frozenset(("system", "developer", "user", "assistant", "tool", "function"))
_PLACE = re.compile(r"^messages\[(?P<message>\d{1,9})\](?:\.tool_calls\[(?P<call>\d{1,9})\])?")


def detect(source: Source) -> bool:
    """Whether every line at the head of the file is a trace and nothing more."""
    return bool(source.head) and all(_is_trace(value) for value in source.head)


def _is_trace(value: object) -> bool:
    if isinstance(value, dict) and not set(value) <= _KNOWN_KEYS:
        return False
    messages = _messages(value)
    return bool(messages) and all(
        as_text(message.get("role")) in _ROLES and "content" in message for message in messages
    )


def _messages(trace: object) -> list[dict[str, Any]]:
    """Return a trace's messages: a line is an object with them, or the bare list."""
    return dicts(trace.get("messages") if isinstance(trace, dict) else trace)


def read(source: Source) -> Iterator[RunDraft]:
    """Yield a run per line."""
    seen: Counter[str] = Counter()
    for line, trace in source.lines():
        messages = _messages(trace)
        if not messages:
            source.note("the line holds no messages", line=line)
            continue
        name = as_text(as_dict(trace).get("id")) or fingerprint(messages)
        seen[name] += 1
        source_id = name if seen[name] == 1 else f"{name}#{seen[name]}"
        yield RunDraft(
            source_id=source_id,
            events=list(_events(as_dict(trace), messages, source_id, line)),
            recorded=frozenset(("decisions", "tool_calls")),
        )


def _events(trace: dict[str, Any], messages: list[dict[str, Any]], source_id: str, line: int) -> Iterator[EventDraft]:
    started = Started(
        prompt=text_at_start(messages), source="invariant", source_id=source_id, context=as_dict(trace.get("metadata"))
    )
    yield EventDraft(key="start", event=started, line=line)
    chat, keys = Chat(), {"start"}
    for number, message in enumerate(messages):
        for draft in chat.events(message, f"m{number}"):
            keys.add(draft.key)
            yield draft
    for number, annotation in enumerate(dicts(trace.get("annotations"))):
        note, at = _annotated(annotation, keys), moment(annotation.get("time_created"))
        yield EventDraft(key=f"annotation{number}", event=note, at=at)


def _annotated(annotation: dict[str, Any], keys: set[str]) -> Annotated:
    """Return the note, at the event its address means; the address itself, finer than an event, is the label."""
    address = as_text(annotation.get("address")) or ""
    place = _PLACE.match(address)
    key = "" if not place else f"m{place['message']}" + (f".call{place['call']}" if place["call"] else "")
    return Annotated(
        by=as_text(as_dict(annotation.get("user")).get("username")) or "invariant",
        text=as_text(annotation.get("content")),
        at_version=version_of(key) if key in keys else None,
        label=address or None,
    )


FORMAT = register(
    Format(
        name="invariant",
        title="Invariant traces (JSON Lines of OpenAI messages)",
        detect=detect,
        read=read,
        order=90,
        example='{"messages": [{"role": "user", "content": …}, …], "annotations": […]}',
    )
)

"""LangGraph's messages in plain data: which values are some, who speaks, what they say. Registers no format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from journal.domain.agent_run import MessageReceived
from journal.ingest.lenient import as_dict, as_text, dicts, fingerprint

Named = tuple[str, dict[str, Any]]
"""A message under its identity."""

_THOUGHTS: Final = ("thinking", "reasoning")
_ROLES: Final = {"human": "user", "ai": "assistant", "tool": "tool", "system": "system", "function": "tool"}
_KINDS: Final = frozenset({*_ROLES, "chat", "remove", "developer"})


def is_message(value: object) -> bool:
    """Whether plain data is a LangChain message."""
    known = as_dict(value)
    return known.get("type") in _KINDS and ("content" in known or known.get("type") == "remove")


def messages_in(value: object) -> list[dict[str, Any]]:
    """Return the messages that a channel holds, or nothing where it holds anything else."""
    items: list[Any] = value if isinstance(value, list) else [value]
    return items if items and all(is_message(item) for item in items) else []


def role_of(message: dict[str, Any]) -> str:
    """Return who speaks, in the words of the journal."""
    kind = str(message.get("type"))
    return as_text(message.get("role")) or _ROLES.get(kind, kind)


def identity(message: dict[str, Any], place: int) -> str:
    """Return a message's id, or its place and words where nothing gave it one."""
    return as_text(message.get("id")) or f"{place}.{words(message)}"


def named(messages: list[dict[str, Any]], since: int) -> list[Named]:
    """Return the messages from a place on, each with its identity."""
    return [(identity(message, place), message) for place, message in enumerate(messages) if place >= since]


def words(message: dict[str, Any]) -> str:
    """Return digits that stand for what a message says: others where it says something else."""
    return fingerprint(message.get("type"), message.get("content"), message.get("tool_calls"))


def heard(message: dict[str, Any]) -> MessageReceived:
    """Return a message as something that was said to the run; calls in it are blocks of its content."""
    content, calls = message.get("content"), dicts(message.get("tool_calls"))
    if calls:
        said: list[Any] = [{"type": "text", "text": content}] if isinstance(content, str) and content else []
        said += content if isinstance(content, list) else []
        content = [
            *said,
            *(
                {"type": "tool_use", "id": call.get("id"), "name": call.get("name"), "input": call.get("args")}
                for call in calls
            ),
        ]
    return MessageReceived(role=role_of(message), content=content, name=as_text(message.get("name")))


def reasoning(message: dict[str, Any]) -> str | None:
    """Return the model's stated thoughts, from wherever its provider puts them."""
    kept = as_text(as_dict(message.get("additional_kwargs")).get("reasoning_content"))
    return kept or "\n".join(filter(None, _thoughts(message.get("content")))) or None


def _thoughts(content: object) -> Iterator[str]:
    for block in dicts(content):
        if block.get("type") in _THOUGHTS:
            yield next((said for name in _THOUGHTS if (said := as_text(block.get(name)))), "")

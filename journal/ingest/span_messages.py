"""Chat messages of any producer's shape, as one.

Read are: the GenAI conventions' role and parts, OpenAI chat and Responses items, Anthropic blocks, Gemini contents,
LangChain messages, the Vercel SDK's, and the flattened forms of OpenInference and OpenLLMetry. A shape that is none of
these gives no message, and the caller keeps the value as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from journal.errors import ImportRefused
from journal.ingest.source import decode
from journal.ingest.span_reading import captured, decoded
from journal.ingest.spans import unflatten

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROLES = {"model": "assistant", "ai": "assistant", "human": "user", "function": "tool", "toolresult": "tool"}
_TEXT_TYPES = ("text", "input_text", "output_text", "string")
_REASONING_TYPES = ("reasoning", "thinking")
_CALL_TYPES = ("tool_call", "tool_use", "tool-call", "function_call", "toolCall")
_RESULT_TYPES = ("tool_call_response", "tool_result", "tool-result", "function_call_output")


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a tool, as a model wrote it. `args_json` is the text as it stands where the source has text."""

    name: str
    args_json: str = "{}"
    call_id: str | None = None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A tool's answer as it was sent to the model."""

    value: Any
    call_id: str | None = None
    name: str | None = None


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message. `content` is its text, or its blocks where some are neither text, reasoning, call nor result."""

    role: str
    content: Any = ""
    reasoning: str | None = None
    calls: tuple[Call, ...] = ()
    results: tuple[Result, ...] = ()
    finish: str | None = None
    name: str | None = None
    recorded: Any = None

    @property
    def text(self) -> str:
        """The content where it is text."""
        return self.content if isinstance(self.content, str) else ""


class _Parts(msgspec.Struct, kw_only=True):
    texts: list[str] = []
    reasoning: list[str] = []
    calls: list[Call] = []
    results: list[Result] = []
    others: list[Any] = []


def read_messages(value: object, *, role: str = "user") -> list[Message]:
    """Return the messages in a value: a list of them, one, or a plain text that `role` said; [] where there is none."""
    value = decoded(value)
    match value:
        case str():
            return [Message(role=role, content=value, recorded=value)] if captured(value) else []
        case list() if value and not any(_is_message(item) for item in value):
            return _blocks(value, role)
        case list():
            return [message for item in value for message in _one_or_none(item, role)]
        case dict():
            return _from_object(value, role)
        case _:
            return []


class MessageReader:
    """Reads requests of which each repeats the one before it: what was read once is not read again."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[Message, ...]] = {}

    def read(self, value: object) -> list[Message]:
        """Return the messages of a request, as `read_messages` does."""
        if not isinstance(value, str) or not value.startswith("["):
            return read_messages(value)
        try:
            items = [bytes(item) for item in msgspec.json.decode(value, type=list[msgspec.Raw])]
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            return read_messages(value)
        if not all(item in self._known or self._learn(item) for item in items):
            return read_messages(value)
        return [message for item in items for message in self._known[item]]

    def _learn(self, item: bytes) -> bool:
        """Read one item of a request, or say that it is no message of its own."""
        found = decoded(item.decode())
        if not _is_message(found):
            return False
        self._known[item] = tuple(_one_or_none(found, "user"))
        return True


def said(messages: list[Message]) -> Message | None:
    """Return what a response said as one message: several output items are parts of one response."""
    spoken = [message for message in messages if message.role == "assistant"]
    if not spoken:
        return None
    if len(spoken) == 1:
        return spoken[0]
    blocks = [message.content for message in spoken if message.content not in ("", [])]
    texts = all(isinstance(block, str) for block in blocks)
    # Joined as they stand: a streamed response is recorded as one message a piece by some instrumentations.
    return Message(
        role="assistant",
        content="".join(blocks) if texts else [message.recorded for message in spoken],
        reasoning="\n".join(message.reasoning for message in spoken if message.reasoning) or None,
        calls=tuple(call for message in spoken for call in message.calls),
        finish=next((message.finish for message in spoken if message.finish), None),
        recorded=[message.recorded for message in spoken],
    )


def as_json(value: object, *, default: str = "null") -> str:
    """Return a value as JSON text: a text that is JSON already as it stands, any other text quoted."""
    if value is None:
        return default
    if isinstance(value, str):
        return value if is_json(value) else msgspec.json.encode(value).decode()
    return msgspec.json.encode(value).decode()


def arguments(value: object) -> str:
    """Return a call's arguments as JSON text; a model's own text stays as it wrote it, even where it is no JSON."""
    return value if isinstance(value, str) and value else as_json(value, default="{}")


def canonical(value: object) -> str:
    """Return a form of a value that is equal for equal values, whatever text they were written as."""
    return msgspec.json.encode(decoded(value), order="deterministic").decode()


def is_json(text: str) -> bool:
    """Whether a text is a JSON value."""
    try:
        decode(text.encode())
    except (ImportRefused, UnicodeEncodeError):
        return False
    return True


def _from_object(value: dict[str, Any], role: str) -> list[Message]:
    if isinstance(value.get("output"), list) and value.get("object") == "response":
        return read_messages(value["output"], role="assistant")
    if isinstance(value.get("choices"), list):
        return [message for choice in value["choices"] for message in _one_or_none(choice, "assistant")]
    for name in ("messages", "contents", "new_message", "generations"):
        if isinstance(value.get(name), list | dict):
            return [*_system(value), *read_messages(value[name], role=role)]
    if isinstance(value.get("prompt"), str):
        return [*_system(value), Message(role="user", content=value["prompt"], recorded=value)]
    content = value.get("content")
    if isinstance(content, dict) and "parts" in content:
        return [_one({"finish_reason": value.get("finish_reason"), **content}, role)]
    return list(_one_or_none(value, role)) if _is_message(value) else _blocks([value], role)


def _system(value: dict[str, Any]) -> list[Message]:
    system = value.get("system")
    return [Message(role="system", content=system, recorded=system)] if isinstance(system, str) and system else []


def _blocks(blocks: list[Any], role: str) -> list[Message]:
    """Read a list that is the content of one message; nothing where no block is known."""
    parts = _parts(blocks)
    if not (parts.texts or parts.reasoning or parts.calls or parts.results):
        return []
    return [_message({}, role, parts, blocks)]


def _is_message(item: object) -> bool:
    if not isinstance(item, dict):
        return False
    if item.get("type") in ("function_call", "function_call_output", "message"):
        return True
    return any(name in item for name in ("role", "message.role", "message")) or (
        str(item.get("type")).lower() in ("human", "ai", "system", "tool") and "content" in item
    )


def _one_or_none(item: object, role: str) -> Iterator[Message]:
    if isinstance(item, list):
        yield from read_messages(item, role=role)
    elif isinstance(item, dict):
        inner = item.get("message")
        if isinstance(inner, dict):
            yield from _one_or_none({"finish_reason": item.get("finish_reason"), "role": role, **inner}, role)
        elif _is_message(item) or "content" in item or "parts" in item:
            yield _one(item, role)
    elif isinstance(item, str):
        yield Message(role=role, content=item, recorded=item)


def _one(item: dict[str, Any], role: str) -> Message:
    if item.get("type") in ("function_call", "function_call_output"):
        calling = item["type"] == "function_call"
        return _message({}, "assistant" if calling else "tool", _parts([item]), item)
    spoken = str(item.get("role") or item.get("message.role") or _langchain_role(item) or role)
    content = next((item[name] for name in ("parts", "content", "message.content") if item.get(name) is not None), None)
    answered = item.get("tool_call_id", item.get("message.tool_call_id"))
    role = _ROLES.get(spoken.lower(), spoken)
    if role == "tool" and answered is not None:
        result = Result(value=content, call_id=str(answered), name=_name(item))
        return Message(role="tool", content="", results=(result,), recorded=item)
    blocks = content if isinstance(content, list) else [content] if content is not None else []
    blocks = blocks or [_without(block, "message_content.") for block in unflatten(item, "message.contents")]
    parts = _parts(blocks)
    parts.calls.extend(_calls(item))
    is_flat = any("." in key for key in item)
    return _message(item, role, parts, _nested(role, blocks, parts) if is_flat else item)


def _nested(role: str, blocks: list[Any], parts: _Parts) -> dict[str, Any]:
    """Return a message that was recorded as flat attributes in the form its readers know."""
    content = "\n".join(parts.texts) if not parts.others else blocks
    calls = [{"id": call.call_id, "name": call.name, "arguments": call.args_json} for call in parts.calls]
    return {"role": role, "content": content} | ({"tool_calls": calls} if calls else {})


def _without(block: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {key.removeprefix(prefix): value for key, value in block.items()}


def _message(item: dict[str, Any], role: str, parts: _Parts, recorded: object) -> Message:
    only_results = parts.results and not (parts.texts or parts.others or parts.calls)
    reasoning = [*parts.reasoning, *[item[name] for name in ("reasoning", "reasoning_content") if _is_text(item, name)]]
    finish = item.get("finish_reason")
    return Message(
        role="tool" if only_results else role,
        content=recorded_content(item, recorded) if parts.others else "\n".join(parts.texts),
        reasoning="\n".join(reasoning) or None,
        calls=tuple(parts.calls),
        results=tuple(parts.results),
        finish=finish if isinstance(finish, str) else None,
        name=_name(item) if isinstance(item.get("name"), str) else None,
        recorded=recorded,
    )


def recorded_content(item: dict[str, Any], recorded: object) -> Any:
    """Return a message's content as recorded, where it holds more than text."""
    nested = recorded.get("content") if isinstance(recorded, dict) else recorded
    return next((item[name] for name in ("parts", "content") if item.get(name) is not None), nested)


def _parts(blocks: list[Any]) -> _Parts:
    parts = _Parts()
    for block in blocks:
        _part(block, parts)
    return parts


def _part(block: Any, parts: _Parts) -> None:
    if isinstance(block, str):
        parts.texts.append(block)
        return
    if not isinstance(block, dict):
        parts.others.append(block)
        return
    kind = block.get("type")
    named = ("text", "content", "thinking") if isinstance(kind, str) else ("text",)
    text = next((block[name] for name in named if isinstance(block.get(name), str)), None)
    called = block.get("function_call") or block.get("functionCall")
    answered = block.get("function_response") or block.get("functionResponse")
    if isinstance(called, dict):
        parts.calls.append(_call(called))
    elif isinstance(answered, dict):
        parts.results.append(_result(answered))
    elif kind in _CALL_TYPES or ("toolCallId" in block and "result" not in block and "output" not in block):
        parts.calls.append(_call(block))
    elif kind in _RESULT_TYPES:
        parts.results.append(_result(block))
    elif text is not None and (kind in _REASONING_TYPES or block.get("thought") is True):
        parts.reasoning.append(text)
    elif text is not None and (kind in _TEXT_TYPES or kind is None):
        parts.texts.append(text)
    else:
        parts.others.append(block)


def _calls(item: dict[str, Any]) -> Iterator[Call]:
    more = item.get("additional_kwargs")
    listed = item.get("tool_calls") or (more.get("tool_calls") if isinstance(more, dict) else None)
    listed = listed if isinstance(listed, list) else []
    for call in listed or unflatten(item, "tool_calls") or unflatten(item, "message.tool_calls"):
        if isinstance(call, dict):
            yield _call(call)


def _call(call: dict[str, Any]) -> Call:
    function = call.get("function") if isinstance(call.get("function"), dict) else {}
    flat = {key.removeprefix("tool_call.").removeprefix("function."): value for key, value in call.items()}
    known = {**flat, **(function or {})}
    args = next((known[name] for name in ("arguments", "args", "input") if known.get(name) is not None), None)
    identity = next((known[name] for name in ("call_id", "id", "toolCallId") if isinstance(known.get(name), str)), None)
    name = known.get("name") or known.get("toolName")
    return Call(name=str(name or ""), args_json=arguments(args), call_id=identity or None)


def _result(block: dict[str, Any]) -> Result:
    names = ("response", "result", "output", "content")
    identity = next(
        (block[name] for name in ("id", "tool_use_id", "call_id", "toolCallId") if isinstance(block.get(name), str)),
        None,
    )
    return Result(
        value=next((block[name] for name in names if block.get(name) is not None), None),
        call_id=identity or None,
        name=_name(block),
    )


def _langchain_role(item: dict[str, Any]) -> str | None:
    kind = item.get("type")
    return kind.lower() if isinstance(kind, str) and kind.lower() in ("human", "ai", "system", "tool") else None


def _name(item: dict[str, Any]) -> str | None:
    name = item.get("name") or item.get("toolName")
    return name if isinstance(name, str) else None


def _is_text(item: dict[str, Any], name: str) -> bool:
    return isinstance(item.get(name), str) and bool(item[name])

"""What model providers' requests and responses say: chat completions, responses and messages, in one vocabulary.

Plain functions over decoded JSON, which is anything at all: what has another shape than expected is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import Any, Final, Literal

import msgspec

from journal.domain.codec import encode, text
from journal.domain.text import plain

Api = Literal["openai.chat", "openai.responses", "anthropic.messages"]

_PATHS: Final[dict[str, Api]] = {
    "/chat/completions": "openai.chat",
    "/responses": "openai.responses",
    "/messages": "anthropic.messages",
}
_NOT_PARAMS: Final = frozenset({"model", "messages", "input", "instructions", "system", "tools", "stream"})


class AskedCall(msgspec.Struct, frozen=True, kw_only=True):
    """One tool call a model asked for. `args_json` is as the model wrote it."""

    id: str | None
    tool: str
    args_json: str


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a request: somebody's words, the model's own earlier response, or the result of a call."""

    kind: Literal["message", "assistant", "result"]
    role: str
    content: Any = None
    name: str | None = None
    call_id: str | None = None
    failed: bool = False
    calls: tuple[AskedCall, ...] = ()
    recorded: Any = None
    """The part as it stood in the request."""

    def mark(self) -> bytes:
        """Return what two equal parts have in common, whichever way a client spells them."""
        calls = [(call.tool, _canonical(call.args_json), call.id) for call in self.calls]
        words = plain(self.content).strip() if self.kind == "assistant" else self.content
        return sha256(encode([self.kind, self.role, words, self.name, self.call_id, calls])).digest()


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request to a model."""

    api: Api
    model: str | None
    params: dict[str, Any]
    said: tuple[Said, ...]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A model's response."""

    content: Any = None
    reasoning: str | None = None
    finish_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cost_usd: float | None = None
    model: str | None = None
    calls: tuple[AskedCall, ...] = ()

    def said(self) -> Said:
        """Return the response as it will stand in the next request."""
        return Said(kind="assistant", role="assistant", content=self.content, calls=self.calls)


def api_of(method: str, path: str) -> Api | None:
    """Return which API a request is for, or None where it is none that asks a model."""
    if method.upper() != "POST":
        return None
    return next((api for end, api in _PATHS.items() if path.rstrip("/").endswith(end)), None)


def asked(api: Api, body: dict[str, Any]) -> Asked:
    """Return what a request says."""
    return Asked(
        api=api,
        model=_text(body.get("model")),
        params={name: value for name, value in body.items() if name not in _NOT_PARAMS},
        said=tuple(_SAID[api](body)),
    )


def answer(api: Api, body: dict[str, Any]) -> Answer:
    """Return what a whole response says."""
    return _ANSWERS[api](body)


# --- Chat completions


def _chat_said(body: dict[str, Any]) -> Iterator[Said]:
    for message in _dicts(body.get("messages")):
        role = _text(message.get("role")) or "user"
        if role == "assistant":
            yield Said(
                kind="assistant",
                role=role,
                content=_words(message),
                calls=tuple(_chat_calls(message)),
                recorded=message,
            )
        elif role in ("tool", "function"):
            yield Said(
                kind="result", role="tool", content=message.get("content"), name=_text(message.get("name")),
                call_id=_text(message.get("tool_call_id")), recorded=message,
            )  # fmt: skip
        else:
            yield Said(
                kind="message", role=role, content=message.get("content"), name=_text(message.get("name")),
                recorded=message,
            )  # fmt: skip


def _words(message: dict[str, Any]) -> Any:
    return message.get("content") or _text(message.get("refusal"))


def _chat_calls(message: dict[str, Any]) -> Iterator[AskedCall]:
    for call in _dicts(message.get("tool_calls")):
        function = _dict(call.get("function")) or _dict(call.get("custom"))
        arguments = function.get("arguments", function.get("input"))
        yield _call(call.get("id"), function.get("name"), arguments)
    single = _dict(message.get("function_call"))
    if single:
        yield _call(None, single.get("name"), single.get("arguments"))


def _chat_answer(body: dict[str, Any]) -> Answer:
    choice = next(iter(_dicts(body.get("choices"))), {})
    message, usage = _dict(choice.get("message")), _dict(body.get("usage"))
    return Answer(
        content=_words(message),
        reasoning=_text(message.get("reasoning_content")) or _text(message.get("reasoning")),
        finish_reason=_text(choice.get("finish_reason")),
        input_tokens=_int(usage.get("prompt_tokens")),
        output_tokens=_int(usage.get("completion_tokens")),
        cached_tokens=_int(_dict(usage.get("prompt_tokens_details")).get("cached_tokens")),
        cost_usd=_float(usage.get("cost")),
        model=_text(body.get("model")),
        calls=tuple(_chat_calls(message)),
    )


# --- Messages


def _messages_said(body: dict[str, Any]) -> Iterator[Said]:
    if body.get("system"):
        yield Said(
            kind="message",
            role="system",
            content=body["system"],
            recorded={"role": "system", "content": body["system"]},
        )
    for message in _dicts(body.get("messages")):
        role, content = _text(message.get("role")) or "user", message.get("content")
        if role == "assistant":
            said, _, calls = _blocks(content)
            yield Said(kind="assistant", role=role, content=said, calls=calls, recorded=message)
            continue
        blocks = _dicts(content)
        for block in (block for block in blocks if block.get("type") == "tool_result"):
            yield Said(
                kind="result", role="tool", content=block.get("content"), call_id=_text(block.get("tool_use_id")),
                failed=block.get("is_error") is True, recorded=block,
            )  # fmt: skip
        others = [block for block in blocks if block.get("type") != "tool_result"]
        if others or not blocks:
            words = content if len(others) == len(blocks) else others
            yield Said(kind="message", role=role, content=words, recorded={**message, "content": words})


def _blocks(content: Any) -> tuple[Any, str | None, tuple[AskedCall, ...]]:
    """Return the words, the thinking and the calls of a model's content blocks."""
    if isinstance(content, str):
        return content, None, ()
    words, thoughts, calls = [], [], []
    for block in _dicts(content):
        match block.get("type"):
            case "text":
                words.append(str(block.get("text") or ""))
            case "thinking":
                thoughts.append(str(block.get("thinking") or ""))
            case "tool_use" | "server_tool_use":
                calls.append(_call(block.get("id"), block.get("name"), block.get("input")))
            case _:
                pass
    return "".join(words) or None, "\n".join(thoughts) or None, tuple(calls)


def _messages_answer(body: dict[str, Any]) -> Answer:
    said, thought, calls = _blocks(body.get("content"))
    usage = _dict(body.get("usage"))
    return Answer(
        content=said,
        reasoning=thought,
        finish_reason=_text(body.get("stop_reason")),
        input_tokens=_int(usage.get("input_tokens")),
        output_tokens=_int(usage.get("output_tokens")),
        cached_tokens=_int(usage.get("cache_read_input_tokens")),
        model=_text(body.get("model")),
        calls=calls,
    )


# --- Responses


def _responses_said(body: dict[str, Any]) -> Iterator[Said]:
    if body.get("instructions"):
        words = body["instructions"]
        yield Said(kind="message", role="system", content=words, recorded={"role": "system", "content": words})
    given = body.get("input")
    if isinstance(given, str):
        yield Said(kind="message", role="user", content=given, recorded={"role": "user", "content": given})
        return
    yield from _items_said(_dicts(given))


def _items_said(items: list[dict[str, Any]]) -> Iterator[Said]:
    """What one response gave stands in several items here: its words, its reasoning, each of its calls."""
    own: list[dict[str, Any]] = []
    for item in items:
        kind = item.get("type") or "message"
        if kind in ("reasoning", "function_call", "custom_tool_call") or item.get("role") == "assistant":
            own.append(item)
            continue
        yield from _own_said(own)
        own = []
        if kind in ("function_call_output", "custom_tool_call_output"):
            yield Said(
                kind="result",
                role="tool",
                content=item.get("output"),
                call_id=_text(item.get("call_id")),
                recorded=item,
            )
        else:
            yield Said(
                kind="message", role=_text(item.get("role")) or "user", content=item.get("content", item), recorded=item
            )
    yield from _own_said(own)


def _own_said(items: list[dict[str, Any]]) -> Iterator[Said]:
    if items:
        said, _, calls = _output(items)
        recorded = items[0] if len(items) == 1 else {"role": "assistant", "content": items}
        yield Said(kind="assistant", role="assistant", content=said, calls=calls, recorded=recorded)


def _output(items: Iterable[dict[str, Any]]) -> tuple[str | None, str | None, tuple[AskedCall, ...]]:
    words, thoughts, calls = [], [], []
    for item in items:
        match item.get("type") or "message":
            case "message":
                words.append(plain(item.get("content")))
            case "reasoning":
                thoughts.append(plain(item.get("summary") or item.get("content")))
            case "function_call":
                calls.append(_call(item.get("call_id"), item.get("name"), item.get("arguments")))
            case "custom_tool_call":
                calls.append(_call(item.get("call_id"), item.get("name"), item.get("input")))
            case _:
                pass
    return "\n".join(filter(None, words)) or None, "\n".join(filter(None, thoughts)) or None, tuple(calls)


def _responses_answer(body: dict[str, Any]) -> Answer:
    said, thought, calls = _output(_dicts(body.get("output")))
    usage = _dict(body.get("usage"))
    incomplete = _text(_dict(body.get("incomplete_details")).get("reason"))
    return Answer(
        content=said,
        reasoning=thought,
        finish_reason=incomplete or _text(body.get("status")),
        input_tokens=_int(usage.get("input_tokens")),
        output_tokens=_int(usage.get("output_tokens")),
        cached_tokens=_int(_dict(usage.get("input_tokens_details")).get("cached_tokens")),
        model=_text(body.get("model")),
        calls=calls,
    )


_SAID: Final[dict[Api, Callable[[dict[str, Any]], Iterator[Said]]]] = {
    "openai.chat": _chat_said,
    "openai.responses": _responses_said,
    "anthropic.messages": _messages_said,
}
_ANSWERS: Final[dict[Api, Callable[[dict[str, Any]], Answer]]] = {
    "openai.chat": _chat_answer,
    "openai.responses": _responses_answer,
    "anthropic.messages": _messages_answer,
}


# --- JSON that may be anything


def _call(call_id: object, tool: object, arguments: object) -> AskedCall:
    written = arguments if isinstance(arguments, str) else text({} if arguments is None else arguments)
    return AskedCall(id=_text(call_id), tool=_text(tool) or "", args_json=written)


def _canonical(json_text: str) -> str:
    try:
        return msgspec.json.Encoder(order="deterministic").encode(msgspec.json.decode(json_text)).decode()
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError):
        return json_text


def canonical(json_text: str) -> str:
    """Return JSON text as every writer of the same value would write it; text that is no JSON stays as it is."""
    return _canonical(json_text)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _int(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _float(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

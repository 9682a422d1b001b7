"""Streamed responses: server-sent events put together to what the response would have been in one piece."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import msgspec

from journal.recorder.wire import Api


class Assembled(msgspec.Struct, frozen=True, kw_only=True):
    """A response put together. `is_complete` is whether its provider ended it; `error` what it said went wrong."""

    body: dict[str, Any]
    is_complete: bool
    error: Any = None
    has_content: bool = True


Event = tuple[str | None, str]


def events(body: str) -> Iterator[Event]:
    """Yield name and data of each event in a stream's text.

    Source: WHATWG HTML, section 9.2.6. An event whose blank line has not come is none.
    """
    name: str | None = None
    data: list[str] = []
    for line in body.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if not line:
            if data:
                yield name, "\n".join(data)
            name, data = None, []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)


def pieces(body: str) -> Iterator[str]:
    """Yield a stream's text in the pieces a server would have sent: an event each."""
    start = 0
    while (end := body.find("\n\n", start)) >= 0:
        yield body[start : end + 2]
        start = end + 2
    if start < len(body):
        yield body[start:]


def assembled(api: Api, text: str) -> Assembled:
    """Return the response that a stream's text, as far as it came, amounts to."""
    return _WAYS[api](_decoded(events(text)))


def _decoded(found: Iterable[Event]) -> Iterator[tuple[str | None, Any]]:
    for name, data in found:
        if data.strip() == "[DONE]":
            yield "[DONE]", None
            continue
        try:
            yield name, msgspec.json.decode(data)
        except (msgspec.MsgspecError, RecursionError):
            continue


def _chat(found: Iterator[tuple[str | None, Any]]) -> Assembled:
    body: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    is_complete, error = False, None
    for name, chunk in found:
        if name == "[DONE]":
            is_complete = True
        if not isinstance(chunk, dict):
            continue
        error = chunk.get("error") or error
        body |= {key: value for key, value in chunk.items() if key != "choices" and value is not None}
        for choice in _dicts(chunk.get("choices")):
            _add_choice(choices.setdefault(_index(choice), _new_choice(choice)), choice)
    for choice in choices.values():
        calls = choice["message"].pop("_calls")
        if calls:
            choice["message"]["tool_calls"] = [calls[at] for at in sorted(calls)]
    body["choices"] = [choices[at] for at in sorted(choices)]
    if "object" in body:
        body["object"] = "chat.completion"
    has_content = any(choice["message"].keys() - {"role"} or choice["finish_reason"] for choice in choices.values())
    return Assembled(body=body, is_complete=is_complete, error=error, has_content=has_content)


def _new_choice(choice: dict[str, Any]) -> dict[str, Any]:
    return {"index": _index(choice), "message": {"role": "assistant", "_calls": {}}, "finish_reason": None}


def _add_choice(whole: dict[str, Any], choice: dict[str, Any]) -> None:
    whole["finish_reason"] = choice.get("finish_reason") or whole["finish_reason"]
    delta = choice.get("delta")
    message = whole["message"]
    for name, value in delta.items() if isinstance(delta, dict) else ():
        if name == "tool_calls":
            for call in _dicts(value):
                _add_call(message["_calls"].setdefault(_index(call), {}), call)
        elif isinstance(value, str) and name != "role":
            message[name] = (message.get(name) or "") + value
        elif value is not None:
            message[name] = value


def _add_call(whole: dict[str, Any], delta: dict[str, Any]) -> None:
    """A call's name comes once, its arguments in pieces."""
    for name, value in delta.items():
        if name == "function" and isinstance(value, dict):
            function = whole.setdefault("function", {})
            function["name"] = value.get("name") or function.get("name") or ""
            function["arguments"] = function.get("arguments", "") + (value.get("arguments") or "")
        elif name != "index" and value is not None:
            whole[name] = value


def _messages(found: Iterator[tuple[str | None, Any]]) -> Assembled:
    body: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    pieces_of: dict[int, str] = {}
    is_complete, error = False, None
    for _, event in found:
        if not isinstance(event, dict):
            continue
        match event.get("type"):
            case "message_start":
                body = dict(_dict(event.get("message")))
            case "content_block_start":
                blocks[_index(event)] = dict(_dict(event.get("content_block")))
            case "content_block_delta":
                _add_delta(blocks.setdefault(_index(event), {}), _dict(event.get("delta")), pieces_of, _index(event))
            case "message_delta":
                body |= {name: value for name, value in _dict(event.get("delta")).items() if value is not None}
                body["usage"] = {**_dict(body.get("usage")), **_dict(event.get("usage"))}
            case "message_stop":
                is_complete = True
            case "error":
                error = event.get("error")
            case _:
                pass
    for at, written in pieces_of.items():
        blocks[at]["input"] = _arguments(written)
    body["content"] = [blocks[at] for at in sorted(blocks)]
    return Assembled(body=body, is_complete=is_complete, error=error, has_content=bool(blocks))


def _add_delta(block: dict[str, Any], delta: dict[str, Any], pieces_of: dict[int, str], at: int) -> None:
    match delta.get("type"):
        case "text_delta":
            block["text"] = block.get("text", "") + str(delta.get("text") or "")
        case "thinking_delta":
            block["thinking"] = block.get("thinking", "") + str(delta.get("thinking") or "")
        case "signature_delta":
            block["signature"] = delta.get("signature")
        case "input_json_delta":
            pieces_of[at] = pieces_of.get(at, "") + str(delta.get("partial_json") or "")
        case "citations_delta":
            block["citations"] = [*(block.get("citations") or ()), delta.get("citation")]
        case _:
            pass


def _arguments(written: str) -> Any:
    """Return what a call's pieces say; what broke off in the middle stays text."""
    try:
        return msgspec.json.decode(written) if written else {}
    except (msgspec.MsgspecError, RecursionError):
        return written


def _responses(  # noqa: C901 - a case a kind of event
    found: Iterator[tuple[str | None, Any]],
) -> Assembled:
    body: dict[str, Any] = {}
    items: dict[int, dict[str, Any]] = {}
    words: dict[int, str] = {}
    is_complete, error = False, None
    for _, event in found:
        if not isinstance(event, dict):
            continue
        at = event.get("output_index")
        match event.get("type"):
            case "response.completed" | "response.incomplete":
                return Assembled(body=_dict(event.get("response")), is_complete=True)
            case "response.failed":
                body, is_complete = _dict(event.get("response")), True
                error = body.get("error") or {"message": "the response failed"}
            case "response.created" | "response.in_progress":
                body = dict(_dict(event.get("response")))
            case "response.output_item.added" | "response.output_item.done" if isinstance(at, int):
                items[at] = dict(_dict(event.get("item")))
            case "response.output_text.delta" if isinstance(at, int):
                words[at] = words.get(at, "") + str(event.get("delta") or "")
            case "error":
                error = event.get("error") or {name: event.get(name) for name in ("code", "message")}
            case _:
                pass
    for at, said in words.items():
        if not items.get(at, {}).get("content"):
            items[at] = {**items.get(at, {"type": "message"}), "content": [{"type": "output_text", "text": said}]}
    body["output"] = [items[at] for at in sorted(items)]
    return Assembled(body=body, is_complete=is_complete, error=error, has_content=bool(items))


_WAYS: Final[dict[Api, Callable[[Iterator[tuple[str | None, Any]]], Assembled]]] = {
    "openai.chat": _chat,
    "openai.responses": _responses,
    "anthropic.messages": _messages,
}


def _index(value: dict[str, Any]) -> int:
    at = value.get("index")
    return at if isinstance(at, int) else 0


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []

"""A stand-in for model providers on loopback: answers as it is told, whole or streamed, and keeps what it was asked."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

Reply = Callable[["Answering"], None]


@dataclass
class ModelServer:
    """Where it listens, what it answers to the next requests, and the requests it got."""

    url: str = ""
    replies: list[Reply] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    go_on: Event = field(default_factory=Event)

    @property
    def bodies(self) -> list[bytes]:
        """The bodies it got."""
        return [body for _, _, body in self.requests]


@dataclass
class Answering:
    """One request being answered."""

    handler: BaseHTTPRequestHandler
    server: ModelServer

    def whole(self, body: Any, status: int = 200, **headers: str) -> None:
        """Send a JSON document."""
        raw = json.dumps(body).encode()
        if headers.get("content_encoding") == "gzip":
            raw = gzip.compress(raw)
        self.handler.send_response(status)
        self.handler.send_header("Content-Type", "application/json")
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.send_header("Content-Length", str(len(raw)))
        self.handler.end_headers()
        self.handler.wfile.write(raw)

    def begin_stream(self) -> None:
        """Send the headers of a stream."""
        self.handler.send_response(200)
        self.handler.send_header("Content-Type", "text/event-stream")
        self.handler.send_header("Connection", "close")
        self.handler.end_headers()

    def send(self, text: str) -> None:
        """Send a piece of a stream at once."""
        self.handler.wfile.write(text.encode())
        self.handler.wfile.flush()


def whole(body: Any, status: int = 200, **headers: str) -> Reply:
    """Answer with a JSON document."""
    return lambda answering: answering.whole(body, status, **headers)


def stream(events: list[Any], *, named: bool = False, cut: bool = False, done: bool = False) -> Reply:
    """Answer with server-sent events; `cut` breaks the connection off behind them, where there should be more."""

    def reply(answering: Answering) -> None:
        answering.begin_stream()
        for event in events:
            answering.send(framed(event, named=named))
        if done:
            answering.send("data: [DONE]\n\n")
        if cut:
            answering.send('data: {"half')

    return reply


def framed(event: Any, *, named: bool) -> str:
    """Return a server-sent event."""
    name = f"event: {event['type']}\n" if named else ""
    return f"{name}data: {json.dumps(event)}\n\n"


def hang_up(answering: Answering) -> None:
    """Close the connection without a word."""
    answering.handler.close_connection = True
    answering.handler.connection.close()


@contextmanager
def model_server(*replies: Reply) -> Iterator[ModelServer]:
    """Listen on a free port of loopback."""
    known = ModelServer(replies=list(replies))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            known.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            reply = known.replies.pop(0) if known.replies else whole({"error": {"message": "no more"}}, 400)
            try:
                reply(Answering(self, known))
            except OSError:
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    known.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield known
    finally:
        known.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join()


# --- What providers say


def chat(content: str | None = None, *calls: tuple[str, str, str], finish: str | None = None) -> dict[str, Any]:
    """Return a chat completion; a call is (id, tool, arguments)."""
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if calls:
        message["tool_calls"] = [
            {"id": identity, "type": "function", "function": {"name": tool, "arguments": arguments}}
            for identity, tool, arguments in calls
        ]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "orion-3",
        "choices": [{"index": 0, "message": message, "finish_reason": finish or ("tool_calls" if calls else "stop")}],
        "usage": {
            "prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17,
            "prompt_tokens_details": {"cached_tokens": 4},
        },
    }  # fmt: skip


def chat_chunks(*deltas: dict[str, Any], finish: str = "stop") -> list[dict[str, Any]]:
    """Return the chunks of a streamed chat completion."""
    base = {"id": "chatcmpl-2", "object": "chat.completion.chunk", "created": 1700000000, "model": "orion-3"}
    chunks = [{**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    usage = {"prompt_tokens": 20, "completion_tokens": 7, "total_tokens": 27}
    return [*chunks, {**base, "choices": [], "usage": usage}]


def message(*blocks: dict[str, Any], stop: str = "end_turn") -> dict[str, Any]:
    """Return a message in the manner of the messages API."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "vega-1",
        "content": list(blocks),
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {"input_tokens": 30, "output_tokens": 9, "cache_read_input_tokens": 8},
    }


def message_events(words: list[str], call: tuple[str, str, list[str]] | None = None) -> list[dict[str, Any]]:
    """Return the events of a streamed message: a text block, and a call (id, tool, pieces of arguments)."""
    start = message()
    start["usage"] = {"input_tokens": 30, "output_tokens": 1}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": {**start, "stop_reason": None}}]
    events.append({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    events += [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}} for word in words
    ]
    events.append({"type": "content_block_stop", "index": 0})
    if call:
        identity, tool, pieces = call
        block = {"type": "tool_use", "id": identity, "name": tool, "input": {}}
        events.append({"type": "content_block_start", "index": 1, "content_block": block})
        events += [
            {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": piece}}
            for piece in pieces
        ]
        events.append({"type": "content_block_stop", "index": 1})
    stop = {"stop_reason": "tool_use" if call else "end_turn", "stop_sequence": None}
    events.append({"type": "message_delta", "delta": stop, "usage": {"output_tokens": 9}})
    return [*events, {"type": "message_stop"}]


def response(*output: dict[str, Any]) -> dict[str, Any]:
    """Return a response in the manner of the responses API."""
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1700000000,
        "status": "completed",
        "model": "orion-3",
        "instructions": "You add.",
        "output": list(output),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 40,
            "output_tokens": 6,
            "total_tokens": 46,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
    }


def output_text(text: str) -> dict[str, Any]:
    """Return an output item with words."""
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": content}


def function_call(call_id: str, tool: str, arguments: str) -> dict[str, Any]:
    """Return an output item that calls a tool."""
    return {
        "id": "fc_1", "type": "function_call", "call_id": call_id, "name": tool, "arguments": arguments,
        "status": "completed",
    }  # fmt: skip

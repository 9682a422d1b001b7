"""A stand-in for the server's event API on loopback, on a memory store: the same promises, and failures on demand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from journal.domain.codec import encode, on_the_wire
from journal.domain.event import EventData, RecordedEvent
from journal.errors import EventIdReused, PayloadRefused, WrongExpectedVersion
from journal.store.memory import MemoryStore

TOKEN = "ngr_test"


@dataclass
class JournalServer:
    """Where it listens, what it holds, and how it fails next: by a status, or by losing the answer ("lose")."""

    url: str = ""
    store: MemoryStore = field(default_factory=MemoryStore)
    failures: list[int | str] = field(default_factory=list)
    is_down: bool = False
    appends: int = 0

    def events(self) -> list[RecordedEvent]:
        """All it holds, in order."""
        return list(self.store.read_all())


def _append(server: JournalServer, stream: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    expected = {"none": 0}.get(body["expected_version"], body["expected_version"])
    events = [
        EventData(
            id=event["id"],
            type=event["type"],
            schema=event.get("schema", 1),
            data=encode(event["data"]),
            metadata=encode(event["metadata"]),
        )
        for event in body["events"]
    ]
    try:
        done = server.store.append(stream, events, expected_version=expected)
    except WrongExpectedVersion as error:
        return 409, {"title": "conflict", "detail": str(error), **error.fields()}
    except EventIdReused as error:
        return 409, {"title": "reused", "detail": str(error), **error.fields()}
    except PayloadRefused as error:
        return 422, {"title": "refused", "detail": str(error)}
    return 201 if done.is_new else 200, {"stream": stream, "version": done.version, "ids": list(done.ids)}


@contextmanager
def journal_server(port: int = 0) -> Iterator[JournalServer]:
    """Listen on loopback."""
    known = JournalServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.headers["Authorization"] != f"Bearer {TOKEN}":
                self._answer(401, {"title": "no such token"})
                return
            failure = known.failures.pop(0) if known.failures else None
            if known.is_down or isinstance(failure, int):
                self._answer(failure if isinstance(failure, int) else 503, {"title": "later"})
                return
            known.appends += 1
            status, answer = _append(known, self.path.split("/")[4], body)
            if failure == "lose":
                self.close_connection = True
                return
            self._answer(status, answer)

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked = {name: int(values[0]) for name, values in parse_qs(parts.query).items()}
            stream, limit = parts.path.split("/")[4], 3
            found = list(known.store.read_stream(stream, after=asked["after"]))
            if not found and not asked["after"]:
                self._answer(404, {"title": "none"})
                return
            more = f"{parts.path}?after={found[limit - 1].version}" if len(found) > limit else None
            self._answer(200, {"items": [on_the_wire(event) for event in found[:limit]], "next": more})

        def _answer(self, status: int, body: Any) -> None:
            raw = encode(body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    known.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield known
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

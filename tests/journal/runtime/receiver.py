"""An HTTP receiver on loopback that answers as a test tells it, and keeps what it got."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any


@dataclass
class Receiver:
    """Where it listens, the requests it got, and what it answers to the next ones; 200 when the list is used up."""

    url: str = ""
    answers: list[int | Callable[[Any], None]] = field(default_factory=list)
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    closing: Event = field(default_factory=Event)

    def trickle(self, handler: Any) -> None:
        """Send a header byte now and then, for as long as anybody listens."""
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not self.closing.wait(0.02):
            handler.wfile.write(b"x")
            handler.wfile.flush()

    def silent(self, handler: Any) -> None:
        """Say nothing until the end."""
        del handler
        self.closing.wait(10)

    @property
    def ids(self) -> list[str]:
        """The dispatch ids, as they came."""
        return [headers["webhook-id"] for headers, _ in self.requests]


@contextmanager
def receiving(*answers: int | Callable[[Any], None]) -> Iterator[Receiver]:
    """Listen on a free port of loopback."""
    receiver = Receiver(answers=list(answers))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
            answer = receiver.answers.pop(0) if receiver.answers else 200
            try:
                if callable(answer):
                    answer(self)
                    return
                self.send_response(answer)
                self.send_header("Location", "http://127.0.0.1:9/")
                self.send_header("Content-Length", "0")
                self.end_headers()
            except OSError:
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    receiver.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
        time.sleep(0)

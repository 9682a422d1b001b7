"""What tests of live updates share: sockets of the whole application, as a browser or a program opens them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import pytest
from asgiref.testing import ApplicationCommunicator
from channels.db import database_sync_to_async
from django.test import Client

from journal.access import Role, add_user
from nagare_web.asgi import application
from tests.api import secret

HOST = "testserver"
PATIENCE_S = 30.0


class Socket:
    """One end of a live socket: what it hears, and how it ends."""

    def __init__(self, communicator: Any) -> None:
        self._communicator = communicator

    async def send(self, text: str) -> None:
        """Say something to the server."""
        await self._communicator.send_input({"type": "websocket.receive", "text": text})

    async def frame(self) -> dict[str, Any]:
        """Return the next frame."""
        message = await self._communicator.receive_output(PATIENCE_S)
        assert message["type"] == "websocket.send", message
        found: dict[str, Any] = json.loads(message["text"])
        return found

    async def until(self, kind: str) -> dict[str, Any]:
        """Return the next frame of a kind."""
        while (frame := await self.frame())["type"] != kind:
            pass
        return frame

    async def events(self, number: int) -> list[dict[str, Any]]:
        """Return the next events."""
        return [(await self.until("event"))["event"] for _ in range(number)]

    async def code(self) -> int:
        """Return the code it is closed with, whatever is said before."""
        while True:
            message = await self._communicator.receive_output(PATIENCE_S)
            if message["type"] == "websocket.close":
                code: int = message["code"]
                return code


@asynccontextmanager
async def opened(
    *, cookie: str = "", token: str = "", origin: str | None = None, **query: Any
) -> AsyncIterator[Socket]:
    """Open a socket: a person's page where there is a cookie, a program where there is a token."""
    headers = [(b"host", HOST.encode())]
    headers += [(b"cookie", f"sessionid={cookie}".encode())] if cookie else []
    headers += [(b"authorization", f"Bearer {token}".encode())] if token else []
    origin = f"http://{HOST}" if origin is None and not token else origin
    headers += [(b"origin", origin.encode())] if origin else []
    communicator = ends_of("/ws/live/", urlencode(query), headers)
    assert await is_accepted(communicator)
    try:
        yield Socket(communicator)
    finally:
        await communicator.send_input({"type": "websocket.disconnect", "code": 1000})
        await communicator.wait(PATIENCE_S)


def scope_of(path: str, query: str, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    """Return what a server tells the application of a handshake."""
    return {"type": "websocket", "path": path, "query_string": query.encode(), "headers": headers, "subprotocols": []}


def ends_of(path: str, query: str, headers: list[tuple[bytes, bytes]]) -> Any:
    """Return the client's end of a socket that is not open yet."""
    untyped: Any = ApplicationCommunicator
    return untyped(application, scope_of(path, query, headers))


async def is_accepted(communicator: Any) -> bool:
    """Begin the handshake and tell whether it is accepted."""
    await communicator.send_input({"type": "websocket.connect"})
    answer = await communicator.receive_output(PATIENCE_S)
    return bool(answer["type"] == "websocket.accept")


@pytest.fixture
def token(transactional_db: None) -> str:
    """Return a token that may read the default project."""
    return secret("read")


@pytest.fixture
def session(transactional_db: None) -> str:
    """Return the session of a viewer of the default project."""
    return signed_in()


def signed_in(name: str = "ada", project: str = "default") -> str:
    """Return the session of a new viewer."""
    user, _ = add_user(name, role=Role.VIEWER, project=project, password="a-long-password")
    client = Client()
    client.force_login(user)
    return client.cookies["sessionid"].value


async def aside(work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Do something to the database from within a loop, as another process would."""
    return await database_sync_to_async(work, thread_sensitive=False)(*arguments, **named)

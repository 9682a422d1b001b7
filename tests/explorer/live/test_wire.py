"""A real server and real sockets: whoever was cut off, or slept, has every event in the end, and each once."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from channels.layers import InMemoryChannelLayer, channel_layers
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from journal.domain.stream import ANY_VERSION
from journal.store import get_store
from nagare_web.asgi import application
from tests.builders import raw
from tests.explorer.live.conftest import PATIENCE_S, token

__all__ = ["token"]

MANY = 5_000 if os.environ.get("FULL") else 600
BATCH = 50


class Forgetful(InMemoryChannelLayer):
    """A layer that holds one message and is lost in between, as a Redis that restarts."""

    def __init__(self) -> None:
        super().__init__(capacity=1)
        self.is_lost = False

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        """Tell the group, or be away."""
        if self.is_lost:
            raise ConnectionError
        await super().group_send(group, message)


@pytest.fixture
def layer() -> Iterator[Forgetful]:
    """Put the layer in place of the process's own."""
    before, own = channel_layers.backends.get("default"), Forgetful()
    channel_layers.set("default", own)
    yield own
    channel_layers.backends.pop("default")
    if before is not None:
        channel_layers.set("default", before)


@pytest.fixture
def port(transactional_db: None, layer: Forgetful, settings: Any) -> Iterator[int]:
    """Serve the application as `nagare serve` does, on a port of its own."""
    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "127.0.0.1"]
    config = uvicorn.Config(
        application, host="127.0.0.1", port=0, lifespan="off", ws="websockets-sansio", log_level="error"
    )
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join(PATIENCE_S)
    listening.close()
    assert not thread.is_alive()


def put(number: int) -> list[str]:
    """Append events over several streams, and return their ids in the journal's order."""
    ids: list[str] = []
    for at in range(0, number, BATCH):
        events = [raw() for _ in range(min(BATCH, number - at))]
        ids += get_store().append(f"run-{at // BATCH % 7}", events, expected_version=ANY_VERSION).ids
    return ids


@contextmanager
def opened(port: int, token: str, after: int) -> Iterator[Connection]:
    """Open a socket as a program does."""
    headers = {"Authorization": f"Bearer {token}"}
    with connect(f"ws://127.0.0.1:{port}/ws/live/?after={after}", additional_headers=headers) as client:
        yield client


def events(client: Connection, number: int) -> list[dict[str, Any]]:
    """Return the next events."""
    found: list[dict[str, Any]] = []
    while len(found) < number:
        frame = json.loads(client.recv(PATIENCE_S))
        if frame["type"] == "event":
            found.append(frame["event"])
    return found


def test_a_client_that_was_cut_off_goes_on_where_it_was(port: int, token: str, layer: Forgetful) -> None:
    """The connection is torn, not closed; events come meanwhile, and the layer is lost for a while."""
    wanted = put(100)
    with opened(port, token, after=0) as client:
        heard = events(client, 60)
        client.socket.shutdown(socket.SHUT_RDWR)
    layer.is_lost = True
    wanted += put(MANY // 2)
    layer.is_lost = False
    wanted += put(MANY // 2)
    with opened(port, token, after=heard[-1]["position"]) as client:
        heard += events(client, len(wanted) - len(heard))
        wanted += put(BATCH)
        heard += events(client, BATCH)
    assert [event["id"] for event in heard] == wanted
    positions = [event["position"] for event in heard]
    assert positions == sorted(set(positions))


def test_a_client_that_slept_hears_the_rest_when_it_wakes(port: int, token: str, layer: Forgetful) -> None:
    """Its connection stays and nobody reads from it: what it is sent waits, and nothing is dropped for it."""
    wanted = put(BATCH)
    with opened(port, token, after=0) as client:
        heard = events(client, BATCH)
        layer.is_lost = True
        wanted += put(MANY)
        heard += events(client, MANY)
    assert [event["id"] for event in heard] == wanted

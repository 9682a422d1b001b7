"""What happens as the web process stops, once its last request is answered.

Source: ASGI specification, Lifespan protocol.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import sync_to_async

Message = dict[str, Any]


class Lifespan:
    """An ASGI application that calls one function at the stop, in a thread: it may wait for the database."""

    def __init__(self, *, at_stop: Callable[[], None]) -> None:
        self._at_stop = at_stop

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Answer the two messages there are."""
        del scope
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                await sync_to_async(self._at_stop, thread_sensitive=False)()
                await send({"type": "lifespan.shutdown.complete"})
                return

"""Live updates: `WS /ws/live/` sends what the journal has past a position, and goes on as it grows.

What wakes a socket says nothing but that there may be something. It reads on from its own position, sends that, and
only then reads again: a lost nudge, a Redis that is away and a laptop that slept cost time and never an event, and for
a slow reader it reads slowly. Whoever lost the connection comes again with the last position they had.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import monotonic
from typing import Any, Final

import structlog
from channels.db import DatabaseSyncToAsync
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.http import parse_cookie

from explorer.live.address import Asked, Form, asked
from explorer.live.bell import heard
from explorer.live.speaking import Said, Speaker
from explorer.preferences import zone_of
from journal.access.visitors import Credentials

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

EVERY_S: Final = 1.0
"""How often a socket looks without a nudge, and asks whether its reader still may."""

PACE_S: Final = {"rows": 0.25, "edge": 0.25, "jobs": 0.5}
"""Pages take in what is new so often at most; of jobs, for which nothing rings, so often at all."""

MOST_SOCKETS: Final = 20
"""Of one person, or one token's owner, in a process."""

LONGEST_FRAME: Final = 1_024
"""Bytes of a frame that comes in. There is nothing to say to this socket, yet some clients send pings as text."""

MOST_FRAMES: Final = 60
"""Such frames, in the life of a socket."""

NOT_UNDERSTOOD: Final = 4400
TOO_MANY: Final = 4429
TOO_LONG: Final = 1009
TRY_AGAIN: Final = 1011

_threads: Final = ThreadPoolExecutor(max_workers=4, thread_name_prefix="live")
_open: Final[Counter[int]] = Counter()


class LiveConsumer(AsyncWebsocketConsumer):
    """One socket. It belongs to no group: the bell of the process is a member for all of them."""

    channel_layer_alias = ""  # so that a layer that is away keeps nobody from connecting
    redis_url = ""

    def __init__(self, *, redis_url: str = "") -> None:
        super().__init__()
        self.redis_url = redis_url
        self._following: asyncio.Task[None] | None = None
        self._user_id = 0
        self._came_in = 0
        self._is_over = False

    async def connect(self) -> None:
        """Accept, so that the code says why where it is closed again, and begin to follow."""
        await self.accept()
        wanted = asked(self.scope.get("query_string", b""))
        if wanted is None:
            await self._end(NOT_UNDERSTOOD, "this address asks for nothing that is here")
            return
        speaker = _speaker(self.scope, wanted)
        said = await _asked_of(speaker.admit)
        if said.code:
            await self._end(said.code, said.reason)
            return
        if _open[said.user_id] >= MOST_SOCKETS:
            await self._end(TOO_MANY, f"{MOST_SOCKETS} live connections are open already")
            return
        self._user_id = said.user_id
        _open[said.user_id] += 1
        self._following = asyncio.create_task(self._follow(speaker, wanted.form))

    async def disconnect(self, code: int) -> None:
        """Stop following."""
        if self._following is None:
            return
        _open[self._user_id] -= 1
        if not _open[self._user_id]:
            del _open[self._user_id]
        self._following.cancel()
        with suppress(asyncio.CancelledError, OSError, RuntimeError):  # the last two where it was sending
            await self._following

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Take what is short and rare, and do nothing about it."""
        size = len((text_data or "").encode(errors="surrogatepass")) + len(bytes_data or b"")
        self._came_in += 1
        if size > LONGEST_FRAME or self._came_in > MOST_FRAMES:
            if self._following is not None:
                self._following.cancel()
            await self._end(TOO_LONG, "this socket speaks and does not listen")

    async def _follow(self, speaker: Speaker, form: Form) -> None:
        """Say what is new until the socket is closed. The next is read when this was taken."""
        async with heard(redis_url=self.redis_url) as rung:
            while True:
                rung.clear()
                said = await _asked_of(speaker.next)
                if said.code:
                    await self._end(said.code, said.reason)
                    return
                if not await self._say(said.frames, speaker):
                    return
                if form in PACE_S:
                    await asyncio.sleep(PACE_S[form])
                if not said.has_more and form != "jobs":
                    with suppress(TimeoutError):
                        async with asyncio.timeout(EVERY_S):
                            await rung.wait()

    async def _say(self, frames: list[str], speaker: Speaker) -> bool:
        """Send frames; where a slow reader makes that last, ask now and then whether they still may."""
        asked_at = monotonic()
        for frame in frames:
            if monotonic() - asked_at > EVERY_S:
                still, asked_at = await _asked_of(speaker.still), monotonic()
                if still.code:
                    await self._end(still.code, still.reason)
                    return False
            await self.send(text_data=frame)
        return True

    async def _end(self, code: int, reason: str) -> None:
        """Close it, once."""
        if not self._is_over:
            self._is_over = True
            await self.close(code, reason)


async def _asked_of(step: Callable[[], Said]) -> Said:
    """Cross over to the store, which blocks. All sockets share a few threads, and thus a few connections."""
    try:
        said: Said = await DatabaseSyncToAsync(step, thread_sensitive=False, executor=_threads)()
    except Exception as error:  # noqa: BLE001 - a database that is away raises its driver's own
        log.warning("live_socket_failed", reason=type(error).__name__)
        return Said(code=TRY_AGAIN, reason="try again from the last position")
    return said


def _speaker(scope: Mapping[str, Any], wanted: Asked) -> Speaker:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope.get("headers", ())}
    cookies = parse_cookie(headers.get("cookie", ""))
    brought = Credentials(
        authorization=headers.get("authorization", ""),
        session_key=cookies.get(settings.SESSION_COOKIE_NAME, ""),
    )
    address = (scope.get("client") or ("",))[0]
    return Speaker(brought, wanted, zone=zone_of(cookies), address=address)

"""What wakes the sockets of a process: one watcher and one membership of the channel layer for all of them.

The watcher waits for the journal's own bell (Redis, LISTEN/NOTIFY, or a short poll where there is neither) and looks
how far the journal goes. When that has moved it sends a nudge, a position and nothing else, to the group that every
process has joined. A nudge may be lost, doubled or late: each socket also reads every second without one.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final
from weakref import WeakKeyDictionary

import structlog
from channels.layers import get_channel_layer
from django.db import connection, connections

from journal.runtime.wakeup import wakeups
from journal.store import every_project

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

GROUP: Final = "live"
NUDGE: Final = "live.nudge"
POLL_S: Final = 0.2
"""How often the journal is looked at where nothing rings."""

RUNG_POLL_S: Final = 1.0
"""And where something does."""

REJOINED_AFTER_S: Final = 6 * 3600.0
"""Channel layers forget a member after a day."""

_ANSWERED_WITHIN_S: Final = 3.0
_TRIED_AGAIN_S: Final = 2.0

_bells: WeakKeyDictionary[asyncio.AbstractEventLoop, Bell] = WeakKeyDictionary()


@asynccontextmanager
async def heard(*, redis_url: str = "") -> AsyncIterator[asyncio.Event]:
    """Give an event that is set whenever something may be new."""
    loop = asyncio.get_running_loop()
    bell = _bells.setdefault(loop, Bell())
    rung = asyncio.Event()
    bell.add(rung, redis_url)
    try:
        yield rung
    finally:
        await bell.remove(rung)


class Bell:
    """The bell of one event loop. It works as long as somebody listens."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Event] = set()
        self._watcher: _Watcher | None = None
        self._member: asyncio.Task[None] | None = None
        self._sending: set[asyncio.Task[None]] = set()

    def add(self, rung: asyncio.Event, redis_url: str) -> None:
        """Let somebody listen."""
        self._listeners.add(rung)
        if self._watcher is None:
            self._watcher = _Watcher(asyncio.get_running_loop(), self._send, redis_url)
            self._member = asyncio.create_task(self._listen())

    async def remove(self, rung: asyncio.Event) -> None:
        """Let somebody go; the last one takes watcher and membership along."""
        self._listeners.discard(rung)
        if self._listeners or self._watcher is None or self._member is None:
            return
        watcher, member, self._watcher, self._member = self._watcher, self._member, None, None
        watcher.stop.set()
        member.cancel()
        with suppress(asyncio.CancelledError):
            await member
        await asyncio.to_thread(watcher.thread.join, _ANSWERED_WITHIN_S)

    def _send(self, position: int) -> None:
        task = asyncio.create_task(_nudge(position))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _listen(self) -> None:
        """Be a member of the group, join again before it is forgotten and after the layer was away."""
        while True:
            try:
                await self._while_member()
            except Exception as error:  # noqa: BLE001 - layers raise their drivers' own
                log.info("channel_layer_away", reason=type(error).__name__)
                await asyncio.sleep(_TRIED_AGAIN_S)

    async def _while_member(self) -> None:
        layer = get_channel_layer()
        if layer is None:
            await asyncio.sleep(REJOINED_AFTER_S)
            return
        async with asyncio.timeout(_ANSWERED_WITHIN_S):
            channel = await layer.new_channel()
            await layer.group_add(GROUP, channel)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(REJOINED_AFTER_S):
                    while True:
                        await layer.receive(channel)
                        for rung in self._listeners:
                            rung.set()
        finally:
            with suppress(Exception):
                async with asyncio.timeout(_ANSWERED_WITHIN_S):
                    await layer.group_discard(GROUP, channel)


async def _nudge(position: int) -> None:
    """Tell every process. Losing that costs the rest of a second."""
    layer = get_channel_layer()
    try:
        async with asyncio.timeout(_ANSWERED_WITHIN_S):
            if layer is not None:
                await layer.group_send(GROUP, {"type": NUDGE, "position": position})
    except Exception as error:  # noqa: BLE001 - layers raise their drivers' own
        log.info("nudge_failed", reason=type(error).__name__)


class _Watcher:
    """A thread that waits for the journal to grow, and says so on the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, tell: Any, redis_url: str) -> None:
        self.stop = threading.Event()
        self._loop = loop
        self._tell = tell
        self._redis_url = redis_url
        self.thread = threading.Thread(target=self._watch, name="live-watcher", daemon=True)
        self.thread.start()

    def _watch(self) -> None:
        try:
            while not self.stop.is_set():
                try:
                    self._follow()
                except Exception as error:  # noqa: BLE001 - drivers raise their own
                    log.warning("journal_not_watched", reason=type(error).__name__)
                    connection.close()
                    self.stop.wait(_TRIED_AGAIN_S)
        finally:
            connections.close_all()

    def _follow(self) -> None:
        rings = bool(self._redis_url) or connection.vendor == "postgresql"
        journal, known = every_project(), -1
        poll_s = RUNG_POLL_S if rings else POLL_S
        for _ in wakeups(poll_s=poll_s, stop=self.stop, redis_url=self._redis_url):
            head = journal.head()
            if head != known:
                known = head
                with suppress(RuntimeError):  # the loop is closed: nobody listens any more
                    self._loop.call_soon_threadsafe(self._tell, head)

"""What runs inside an agent: recording it, in process or to a server, and replaying what was recorded.

Needs no Django and imports none. Nothing here breaks the agent it records: what goes wrong is a warning of the logger
`nagare.recorder`, unless `connect(strict=True)` asks for an exception.
"""

from __future__ import annotations

from journal.recorder.belonging import carry, current
from journal.recorder.connection import Connection, connect, flush, run
from journal.recorder.errors import Diverged, NotReplayable, RecordingFailed, ServerRefused, ServerUnreachable
from journal.recorder.replaying import Played, Replay, ReplayedToolError, replay
from journal.recorder.running import Run
from journal.recorder.server import Server
from journal.recorder.sink import Sink
from journal.recorder.tools import agent, tool
from journal.recorder.transports import async_transport, instrument, transport, uninstrument

__all__ = [
    "Connection",
    "Diverged",
    "NotReplayable",
    "Played",
    "RecordingFailed",
    "Replay",
    "ReplayedToolError",
    "Run",
    "Server",
    "ServerRefused",
    "ServerUnreachable",
    "Sink",
    "agent",
    "async_transport",
    "carry",
    "connect",
    "current",
    "flush",
    "instrument",
    "replay",
    "run",
    "tool",
    "transport",
    "uninstrument",
]

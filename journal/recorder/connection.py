"""Where a process records to, and opening runs there."""

from __future__ import annotations

import atexit
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Final, Self

from journal.recorder import belonging, warn
from journal.recorder.outlets import Collected, Direct, Outlet
from journal.recorder.running import Run
from journal.recorder.sender import Sender
from journal.recorder.server import Server
from journal.recorder.sink import Sink
from journal.recorder.spool import Fsync

AT_EXIT_S: Final = 5.0
"""How long the end of a process waits for the server; what is not sent by then is sent by the next one."""

_NO_SERVER: Final = (
    "NAGARE_URL and NAGARE_TOKEN are not both set: runs are kept in {folder} and sent by the first process that has a"
    " server to send them to"
)


class Connection:
    """A server, and the spool on the way to it. `recorder.connect` makes one."""

    def __init__(self, server: Sink | None, *, to: str | None, folder: Path, fsync: Fsync) -> None:
        self.server = server
        self.folder = folder
        self._sender = Sender(server, folder=folder, to=to, fsync=fsync)
        self._sender.take_over()
        _connections.append(self)

    def outlet(self, stream: str) -> Outlet:
        """Return the way of a new run's events."""
        return self._sender.outlet(stream)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything recorded so far is in the journal. Returns whether it is."""
        return self._sender.flush(timeout)

    def deliver(self, timeout: float | None = None) -> int:
        """Send what earlier processes left, and wait for it. Returns how many runs are left to be sent."""
        self._sender.take_over()
        self._sender.flush(timeout)
        return self._sender.waiting()

    def close(self, timeout: float | None = AT_EXIT_S) -> bool:
        """Send what can be sent in time, and stop. Returns whether that was all."""
        global _default  # noqa: PLW0603 - a run that begins later opens another one
        is_all = self._sender.flush(timeout)
        self._sender.stop()
        if self in _connections:
            _connections.remove(self)
        with _lock:
            _default = None if _default is self else _default
        return is_all

    def after_fork(self) -> None:
        """Begin anew in a child process."""
        self._sender.after_fork()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_connections: Final[list[Connection]] = []
_lock = Lock()
_default: Connection | None = None


def connect(
    url: str | None = None,
    token: str | None = None,
    *,
    spool: str | Path | None = None,
    fsync: Fsync = "batch",
    strict: bool = False,
) -> Connection:
    """Say where this process records to, and send what an earlier one could not.

    What is not given comes from `NAGARE_URL`, `NAGARE_TOKEN` (or `NAGARE_TOKEN_FILE`) and `NAGARE_SPOOL_DIR`. Without a
    server, runs are kept in the spool until there is one. `strict` raises `RecordingFailed` in the agent where
    something cannot be recorded; else that is a warning of the logger `nagare.recorder`.

    Raises:
        ValueError: the address is none.
    """
    global _default  # noqa: PLW0603 - one for the process; `to=` names another
    url = url or os.environ.get("NAGARE_URL") or None
    token = token or _token()
    folder = Path(spool or os.environ.get("NAGARE_SPOOL_DIR") or _state_folder())
    warn.set_strict(strict)
    server = Server(url, token) if url and token else None
    if server is None:
        warn.warn("no server", _NO_SERVER.format(folder=folder))
    connection = Connection(server, to=server.url if server else None, folder=folder, fsync=fsync)
    with _lock:
        _default = connection
    return connection


def default() -> Connection:
    """Return what this process records to; made from the environment where nobody said it."""
    if _default is None:
        return connect()
    return _default


def run(  # noqa: PLR0913 - what a run begins with
    *,
    prompt: str | None = None,
    model: str | None = None,
    agent: str | None = None,
    to: Connection | Sink | None = None,
    context: Mapping[str, Any] | None = None,
    tools: Sequence[Any] = (),
    subjects: Sequence[str] = (),
    correlation: str | None = None,
    stream: str | None = None,
) -> Run:
    """Return a run to be used as a block, sync or async.

    `to` is a connection, or anything that appends as an event store does: then each event is appended before the call
    that records it returns. Inside another run it is that run's child. `subjects` are the people it is about.
    """
    fields: dict[str, Any] = {"context": context, "tools": tools, "subjects": subjects, "correlation": correlation}
    parent = belonging.runs.here()
    replay = belonging.current_replay()
    if parent is not None:
        return parent.hand_off(agent or "agent", prompt=prompt, **fields, **_given(model=model, stream=stream))
    if replay is not None:
        return replay.run(prompt=prompt, model=model, agent=agent, stream=stream, **fields)

    def outlet(name: str) -> Outlet:
        try:
            where = to if to is not None else default()
            return where.outlet(name) if isinstance(where, Connection) else Direct(name, where)
        except Exception as error:  # noqa: BLE001 - recording never breaks the agent
            warn.failed("a run", error)
            return Collected()

    return Run(outlet, prompt=prompt, model=model, agent=agent, stream=stream, **fields)


def flush(timeout: float | None = None) -> bool:
    """Wait until everything this process has recorded is in the journal. Returns whether it is."""
    return all([connection.flush(timeout) for connection in tuple(_connections)])  # noqa: C419 - each has its turn


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _token() -> str | None:
    path = os.environ.get("NAGARE_TOKEN_FILE")
    if os.environ.get("NAGARE_TOKEN") or not path:
        return os.environ.get("NAGARE_TOKEN") or None
    try:
        return Path(path).read_text().strip() or None
    except OSError as error:
        warn.warn("token", f"NAGARE_TOKEN_FILE cannot be read: {error}")
        return None


def _state_folder() -> Path:
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "nagare" / "spool"


def _at_exit() -> None:
    for connection in tuple(_connections):
        if not connection.close():
            warn.log.warning("%s: not everything is sent yet; the next process sends it", connection.folder)


def _after_fork() -> None:
    global _lock  # noqa: PLW0603 - its holder may be a thread that the child does not have
    _lock = Lock()
    belonging.runs.forget_lock()
    belonging.replays.forget_lock()
    for connection in _connections:
        connection.after_fork()


atexit.register(_at_exit)
os.register_at_fork(after_in_child=_after_fork)

"""A server of its own for `nagare bench ui`: embedded, over a journal in a folder that is removed at the end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

import msgspec

import explorer

_ROOT: Final = Path(explorer.__file__).resolve().parent.parent
_STOP_S: Final = 30
_SIGNALLED: Final = 128


class Filled(msgspec.Struct, frozen=True, kw_only=True):
    """What was made: who may look, the runs by their number of events, and words that stand once in each run."""

    user: str
    password: str
    streams: dict[int, str]
    words: tuple[str, ...]


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """A server that runs, and what is in its journal."""

    url: str
    filled: Filled


@contextmanager
def started(sizes: tuple[int, ...]) -> Iterator[Site]:
    """Fill a journal with runs of these lengths and serve it as an operator does; both are gone at the end.

    What `NAGARE_*` variables say does not hold here: the journal of this installation is not touched. A SIGTERM ends
    the benchmark as Ctrl-C does, so that then too nothing is left.
    """
    with _ended_by_sigterm(), tempfile.TemporaryDirectory(prefix="nagare-bench-") as folder:
        environ = _environ(folder)
        command = [sys.executable, "-m", "explorer.benches.ui_fill", *map(str, sizes)]
        made = subprocess.run(command, env=environ, stdout=subprocess.PIPE, check=True)  # noqa: S603 - our own module
        filled = msgspec.json.decode(made.stdout, type=Filled)
        with _served(environ) as url:
            yield Site(url=url, filled=filled)


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let a SIGTERM unwind what is being done; the process ends with the status that the signal would have given it."""

    def end(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)  # a second one must not cut the tidying short
        raise SystemExit(_SIGNALLED + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _environ(folder: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NAGARE_")}
    path = os.pathsep.join(filter(None, (str(_ROOT), kept.get("PYTHONPATH"))))
    kept.setdefault("DJANGO_SETTINGS_MODULE", "nagare_web.settings")
    return {**kept, "PYTHONPATH": path, "NAGARE_DATA_DIR": folder, "NAGARE_LOG_LEVEL": "WARNING"}


@contextmanager
def _served(environ: Mapping[str, str]) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "django", "serve", "--port", str(port)]
    with subprocess.Popen(command, env=dict(environ), stdout=subprocess.PIPE, text=True) as server:  # noqa: S603
        try:
            said = server.stdout.readline() if server.stdout else ""
            if "ready" not in said:
                raise RuntimeError("the benchmark's server did not start, see above")
            yield f"http://127.0.0.1:{port}"
        finally:
            _stop(server)


def _stop(server: subprocess.Popen[str]) -> None:
    """End the whole tree: the supervisor stops its children, and the kernel does where it is killed."""
    server.terminate()
    try:
        server.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        server.kill()

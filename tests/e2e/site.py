"""The server that browser tests look at, once for all processes that run them.

The first process that asks fills the journal and starts the server; the others find both by a file in the folder they
share. Who uses the site holds a lock in common, and who started it stops it when no one does. The kernel lets go of a
lock when its process dies, so that a crash leaves nothing running.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import IO, Any, Final

from tests import servers

ROOT: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Site:
    """A running server, and what stands in its journal."""

    url: str
    environ: dict[str, str]
    sessions: dict[str, str]
    report: str
    hostile_report: str
    hostile_runs: dict[str, str]
    """The run that each imported file became."""
    embedded: str
    """The address that shows a run to whoever has it."""
    revoked: str
    """The same of a link that shows nothing any more."""
    what_if: str
    """The address of a what-if that everybody in the project may open."""
    incident: str
    """The address of an open incident, of which a step is late."""
    regraded: str
    """The address of a re-grade that is done, by the second version of a rule."""
    matched_none: str
    """That of one that matched no run."""
    bisected: str
    """The address of a bisect of the journal that is done."""


class Console:
    """Runs commands on a site's journal, as its operator would."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def nagare(self, *arguments: str) -> Any:
        """Run a command and return the JSON it prints."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(arguments) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@contextmanager
def opened_console(site: Site) -> Iterator[Console]:
    """Start the process that runs the commands; it ends with its input."""
    command = [sys.executable, "-m", "tests.e2e.console"]
    with subprocess.Popen(
        command, env=site.environ, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        yield Console(process)


@contextmanager
def shared_site(folder: Path) -> Iterator[Site]:
    """Give the one site of all processes that share the folder."""
    with (folder / "site.users").open("a") as users, ExitStack() as started:
        with _alone(folder):
            found = folder / "site.json"
            if not found.exists():
                site = started.enter_context(_started(Path(mkdtemp(dir=folder))))
                found.write_text(json.dumps(asdict(site)))
                started.callback(_wait_until_unused, folder, users)
            fcntl.flock(users, fcntl.LOCK_SH)
        yield Site(**json.loads(found.read_text()))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "site.start").open("a") as start:
        fcntl.flock(start, fcntl.LOCK_EX)
        yield


def _wait_until_unused(folder: Path, users: IO[str]) -> None:
    """Wait for the others, and let whoever comes later start a site of its own."""
    with _alone(folder):
        fcntl.flock(users, fcntl.LOCK_EX)
        (folder / "site.json").unlink()


def _servers() -> dict[str, str]:
    """Return the two variables that move the site where the suite is moved: to that database, and to Redis."""
    if not (name := os.environ.get("NAGARE_TEST_DATABASE")):
        return {}
    return {"NAGARE_DATABASE_URL": servers.URLS[name](), "NAGARE_REDIS_URL": servers.redis_url()}


@contextmanager
def _started(data: Path) -> Iterator[Site]:
    """Fill a journal and serve it as an operator does, worker and scheduler included."""
    environ = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    environ = {name: value for name, value in environ.items() if not name.startswith("NAGARE_")}
    environ |= {"NAGARE_DATA_DIR": str(data), "NAGARE_LOG_LEVEL": "WARNING", **_servers()}
    fill = [sys.executable, "-m", "tests.e2e.fill"]
    filled = subprocess.run(fill, env=environ, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=300)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    serve = [sys.executable, str(ROOT / "manage.py"), "serve", "--port", str(port)]
    with subprocess.Popen(serve, env=environ, stdout=subprocess.PIPE, text=True) as tree:
        try:
            assert tree.stdout is not None
            assert "ready" in tree.stdout.readline()
            yield Site(url=f"http://127.0.0.1:{port}", environ=environ, **json.loads(filled.stdout))
        finally:
            tree.send_signal(signal.SIGTERM)

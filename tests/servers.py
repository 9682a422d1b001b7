"""Private database and Redis servers for tests: started when a test first asks, on free ports, gone with the process.

`NAGARE_TEST_POSTGRESQL_URL`, `NAGARE_TEST_MARIADB_URL`, `NAGARE_TEST_MSSQL_URL` and `NAGARE_TEST_REDIS_URL` name
servers to use instead; each database URL must allow to create databases. Without a server or its program a test is
skipped, and says which is missing.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

_PATIENCE: Final = 60
_PR_SET_PDEATHSIG: Final = 1
_MARIADB_PATHS: Final = ("/usr/sbin", "/usr/bin", "/usr/local/bin", "/opt/homebrew/bin")


class Missing(Exception):
    """There is neither a URL for such a server nor a program that is one."""


@functools.cache
def postgresql_url() -> str:
    """Return the URL of the database of this process on a PostgreSQL server."""
    return fresh_postgresql_url()


def fresh_postgresql_url() -> str:
    """Return the URL of an empty database on that server, another one each time."""
    return _fresh(os.environ.get("NAGARE_TEST_POSTGRESQL_URL") or _postgresql(), "psycopg")


@functools.cache
def _postgresql() -> str:
    initdb, postgres = _program("initdb", _postgresql_paths()), _program("postgres", _postgresql_paths())
    user, port = _user("postgres"), free_port()
    folder = _folder("postgresql", user)
    data = folder / "data"
    _run([initdb, "-D", data, "-U", "nagare", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"], user)
    settings = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": str(folder),
        "port": str(port),
        "max_connections": "100",
        "shared_buffers": "128MB",
        **({"fsync": "off"} if is_hasty() else {}),
    }
    start([postgres, "-D", data, *(f"--{k}={v}" for k, v in settings.items())], user, folder, end=signal.SIGQUIT)
    url = f"postgresql://nagare@127.0.0.1:{port}/postgres"
    wait_until(lambda: _answers(url, "psycopg"), "PostgreSQL", folder)
    return url


@functools.cache
def mariadb_url() -> str:
    """Return the URL of a database of one's own on a MariaDB or MySQL server."""
    if given := os.environ.get("NAGARE_TEST_MARIADB_URL"):
        return _fresh(given, "MySQLdb")
    install, server = _program("mariadb-install-db", _MARIADB_PATHS), _program("mariadbd", _MARIADB_PATHS)
    user, port = _user("mysql"), free_port()
    folder = _folder("mariadb", user)
    data = folder / "data"
    plain = ["--no-defaults", f"--datadir={data}"]
    _run([install, *plain, "--auth-root-authentication-method=normal", "--skip-test-db"], user)
    start(
        [
            server,
            *plain,
            f"--port={port}",
            "--bind-address=127.0.0.1",
            f"--socket={folder}/socket",
            f"--tmpdir={folder}",  # in a shared one, the next server to start clears away what this one uses
            "--skip-name-resolve",
            *(["--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync"] if is_hasty() else []),
        ],
        user,
        folder,
        end=signal.SIGKILL,
    )
    url = f"mysql://root@127.0.0.1:{port}/mysql"
    wait_until(lambda: _answers(url, "MySQLdb"), "MariaDB", folder)
    return _fresh(url, "MySQLdb")


@functools.cache
def redis_url() -> str:
    """Return the URL of a Redis server."""
    if given := os.environ.get("NAGARE_TEST_REDIS_URL"):
        return given
    port = free_port()
    start_redis(port)
    return f"redis://127.0.0.1:{port}/0"


def start_redis(port: int) -> subprocess.Popen[bytes]:
    """Start a Redis server of one's own, empty, for whoever wants to kill it."""
    server, folder = _program("redis-server", ("/usr/bin", "/usr/local/bin")), _folder("redis")
    socket_path = folder / "socket"
    options = {"port": port, "bind": "127.0.0.1", "save": "", "dir": folder, "unixsocket": socket_path}
    process = start([server, *(part for name, value in options.items() for part in (f"--{name}", value))], None, folder)
    wait_until(lambda: _listens(port), "Redis", folder)
    return process


def mssql_url() -> str:
    """Return the URL of a SQL Server database that tests may fill: there is no server to start here."""
    if given := os.environ.get("NAGARE_TEST_MSSQL_URL"):
        return given
    raise Missing("SQL Server: set NAGARE_TEST_MSSQL_URL")


URLS: Final[Mapping[str, Callable[[], str]]] = {
    "postgresql": postgresql_url,
    "mariadb": mariadb_url,
    "mssql": mssql_url,
}


def is_hasty() -> bool:
    """Return whether nothing need reach the disk: the whole suite runs there. Proofs of durability have it as it is."""
    return bool(os.environ.get("NAGARE_TEST_DATABASE"))


# --- Programs and processes -------------------------------------------------------------------------------------------


def start(
    command: list[Any], user: pwd.struct_passwd | None, folder: Path, *, end: int = signal.SIGTERM
) -> subprocess.Popen[bytes]:
    """Start a server that ends when this process does, also if that is killed."""

    def before_exec() -> None:
        # After the change of user, which would take it back.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, end)

    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            cwd=folder,
            start_new_session=True,
            preexec_fn=before_exec if hasattr(signal, "SIGRTMIN") else None,  # noqa: PLW1509 - no threads yet
            **_as(user),
        )
    atexit.register(_stop, process, folder, end)
    return process


def _stop(process: subprocess.Popen[bytes], folder: Path, end: int) -> None:
    process.send_signal(end)
    process.send_signal(signal.SIGCONT)  # a test may have stopped it
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    shutil.rmtree(folder, ignore_errors=True)


def wait_until(condition: Callable[[], bool], name: str, folder: Path) -> None:
    """Wait for a server to answer.

    Raises:
        RuntimeError: it does not; with what it said.
    """
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{name} did not answer in {_PATIENCE} s:\n{(folder / 'log').read_text()[-2000:]}")
        time.sleep(0.05)


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _program(name: str, folders: tuple[str, ...]) -> str:
    found = shutil.which(name, path=os.pathsep.join([*folders, os.environ.get("PATH", "")]))
    if found is None:
        raise Missing(f"{name} is not installed (`make servers` installs it on Debian)")
    return found


def _postgresql_paths() -> tuple[str, ...]:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    return (*map(str, versions), "/usr/local/bin", "/opt/homebrew/bin")


def _user(name: str) -> pwd.struct_passwd | None:
    """Return whom to run as: root is refused by these servers."""
    if os.geteuid() != 0:
        return None
    for candidate in (name, "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(candidate)
    raise Missing(f"no user to run {name} as")


def _as(user: pwd.struct_passwd | None) -> dict[str, Any]:
    if user is None:
        return {}
    return {
        "user": user.pw_uid,
        "group": user.pw_gid,
        "extra_groups": [],
        "env": {**os.environ, "HOME": "/nonexistent"},
    }


def _folder(name: str, user: pwd.struct_passwd | None = None) -> Path:
    """Return a new folder of that user; short, as a socket's path must be."""
    folder = Path(tempfile.mkdtemp(prefix=f"nagare-{name}-", dir="/tmp"))
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
    return folder


def _run(command: list[Any], user: pwd.struct_passwd | None) -> None:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, cwd="/", **_as(user)
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")


# --- Databases --------------------------------------------------------------------------------------------------------


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _answers(url: str, driver: str) -> bool:
    with contextlib.suppress(Exception), _session(url, driver):
        return True
    return False


@contextlib.contextmanager
def _session(url: str, driver: str) -> Iterator[Any]:
    parts = urlsplit(url)
    where = {"host": parts.hostname, "port": parts.port, "user": parts.username, "password": parts.password or ""}
    if driver == "psycopg":
        import psycopg  # noqa: PLC0415 - a driver is needed for its own server only

        with psycopg.connect(url, autocommit=True) as connection:
            yield connection.cursor()
        return
    import MySQLdb  # noqa: PLC0415

    connection = MySQLdb.connect(**{key: value for key, value in where.items() if value is not None})
    try:
        yield connection.cursor()
    finally:
        connection.close()


def _fresh(url: str, driver: str) -> str:
    """Make a database that nobody else uses, and return its URL. A server of our own takes it along when it goes."""
    name = f"nagare_{secrets.token_hex(4)}"
    how = "" if driver == "psycopg" else " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
    with _session(url, driver) as cursor:
        cursor.execute(f"CREATE DATABASE {name}{how}")
    return urlsplit(url)._replace(path=f"/{quote(name)}").geturl()

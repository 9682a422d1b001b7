"""`nagare serve`: everything one machine needs, in one process tree; or one part of it, beside others elsewhere."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor

import nagare_web
from nagare_web.supervised import Plan, Probe, become
from nagare_web.supervisor import Program

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Collection, Sequence

    from nagare_web.config import Config

PARTS = ("web", "worker", "scheduler", "projections", "outbox")


class Command(BaseCommand):
    """Migrate, then web, worker and scheduler until Ctrl-C."""

    help = (
        "Bring the database up to date and collect static files, then run the web server, a worker and the scheduler "
        "in one process tree until Ctrl-C. Listens on this machine only, unless --host says otherwise. With --only, it "
        "runs one part of an installation that is spread over several machines or containers, and migrates nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add --host, --port and --workers."""
        parser.epilog = "Example: nagare serve --port 8080 --workers 4"
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
        parser.add_argument("--port", type=port_number, default=8000, help="port to listen on (default: %(default)s)")
        parser.add_argument("--workers", type=at_least_one, default=2, help="tasks run at once (default: %(default)s)")
        parser.add_argument(
            "--only",
            action="append",
            choices=PARTS,
            metavar="PART",
            help=f"run this part alone: {', '.join(PARTS)}; may be given again for more than one",
        )

    def handle(
        self, *_args: Any, host: str, port: int, workers: int, only: Sequence[str] | None = None, **_options: Any
    ) -> None:
        """Refuse what cannot work before anything is started."""
        config: Config = settings.CONFIG
        parts = frozenset(only or PARTS)
        if "web" in parts:
            self._check_address(host, port, config)
        if only:
            refuse_missing_migrations()
        else:
            call_command("migrate", interactive=False, verbosity=0)
        if "web" in parts:
            call_command("collectstatic", interactive=False, verbosity=0)
        wanted = programs(host=host, port=port, workers=workers, trusted_proxies=config.trusted_proxies)
        connections.close_all()
        become(
            Plan(
                programs=tuple(program for program in wanted if program.name in parts),
                probe=Probe(host=host, port=port, name=a_served_name(config)) if "web" in parts else None,
                line=self.announcement(ready(parts, f"http://{bracketed(host)}:{port}/")),
                logging={"log_format": config.log_format, "level": config.log_level},
            ),
            environ=child_environ(),
        )

    def announcement(self, ready: str) -> str:
        """Return what is said once everything runs."""
        return ready

    def _check_address(self, host: str, port: int, config: Config) -> None:
        refuse_exposed_defaults(host, config)
        refuse_taken_port(host, port)
        if not is_loopback(host) and not config.tls:
            self.stderr.write(f"Passwords cross the network in the clear: {host} is served without NAGARE_TLS=1.")


def ready(parts: Collection[str], address: str) -> str:
    """Return what is said once everything runs: where to look, or which parts these are."""
    what = f"ready at {address}" if "web" in parts else f"running {', '.join(sorted(parts))}"
    return f"Nagare is {what} (Ctrl-C stops it)"


def port_number(text: str) -> int:
    """Return a TCP port from 1 to 65535; ValueError makes argparse say so."""
    port = int(text)
    if not 0 < port < 2**16:
        raise ValueError(text)
    return port


def at_least_one(text: str) -> int:
    """Return a count of one or more; ValueError makes argparse say so."""
    count = int(text)
    if count < 1:
        raise ValueError(text)
    return count


def programs(*, host: str, port: int, workers: int, trusted_proxies: str) -> list[Program]:
    """Return the programs. Web logs its requests through our own middleware, so uvicorn stays quiet."""
    web = (
        sys.executable,
        "-m",
        "uvicorn",
        "nagare_web.asgi:application",
        "--host",
        host,
        "--port",
        str(port),
        "--lifespan",
        "on",
        "--ws-max-size",
        "16384",  # nobody has much to say to a socket; the default lets in 16 MB before anybody looks
    )
    quiet = ("--log-level", "warning", "--no-access-log", "--no-server-header", "--timeout-graceful-shutdown", "5")
    proxies = ("--forwarded-allow-ips", trusted_proxies)
    # Celery warns root of pickled tasks; ours are JSON, and a container's only user is often root.
    celery = (
        sys.executable,
        "-W",
        "ignore:You're running the worker",
        "-m",
        "celery",
        "--quiet",
        "--app",
        "nagare_web",
    )
    # Threads, since a task waits for the database most of its time and one process is less to stop; and no chatter
    # between workers, which the embedded broker would carry as files.
    silent = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    return [
        Program(name="web", command=(*web, *quiet, *proxies)),
        Program(
            name="worker", command=(*celery, "worker", "--pool", "threads", "--concurrency", str(workers), *silent)
        ),
        Program(name="scheduler", command=(*celery, "beat")),
        # A process of its own: a loop that never ends would take a thread from the worker for good, and an import that
        # fills the worker must not hold up the alert about it.
        Program(name="projections", command=(sys.executable, "-m", "django", "run-projections")),
        Program(name="outbox", command=(sys.executable, "-m", "django", "run-outbox")),
    ]


def child_environ() -> dict[str, str]:
    """Return our environment with the packages' own folder on the path, wherever the command was called from."""
    root = str(Path(nagare_web.__file__).resolve().parent.parent)
    path = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": os.environ.get("DJANGO_SETTINGS_MODULE", "nagare_web.settings"),
        "PYTHONPATH": os.pathsep.join([root, path]) if path else root,
    }


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def refuse_exposed_defaults(host: str, config: Config) -> None:
    """Refuse to face a network on settings that nobody chose.

    Raises:
        CommandError: `host` is not loopback, and host names or key are still the defaults.
    """
    missing = [name for name in ("ALLOWED_HOSTS", "SECRET_KEY") if name not in config.given]
    if missing and not is_loopback(host):
        variables = " and ".join(f"NAGARE_{name}" for name in missing)
        raise CommandError(
            f"{host} can be reached from other machines; set {variables} first, "
            "or leave --host out to serve this machine only"
        )


def refuse_missing_migrations() -> None:
    """Refuse to run one part on tables that are not up to date: of several parts, one migrates for all.

    Raises:
        CommandError: migrations are missing, with how many and the way out.
    """
    executor = MigrationExecutor(connection)
    missing = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    connection.close()
    if missing:
        raise CommandError(f"{missing} migrations are not applied; run `nagare migrate` first, once for all parts")


def refuse_taken_port(host: str, port: int) -> None:
    """Try the address now, where a message can still be read, rather than in a child that would be restarted for ever.

    Raises:
        CommandError: the address cannot be bound, with the reason.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CommandError(f"port {port} on {host} is in use; choose another one with --port") from error
        raise CommandError(f"cannot listen on {host}, port {port}: {error.strerror}") from error


def bracketed(host: str) -> str:
    """Return `host` as it stands in a URL."""
    return f"[{host}]" if ":" in host else host


def a_served_name(config: Config) -> str:
    """Return a Host header that this server answers to; a pattern of ALLOWED_HOSTS does so without its dot."""
    name = config.allowed_hosts[0].removeprefix(".")
    return "localhost" if name == "*" else name

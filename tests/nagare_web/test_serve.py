"""`nagare serve`: what it refuses before it starts anything, and the whole tree once."""

from __future__ import annotations

import dataclasses
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connections

from nagare_web.config import Config
from nagare_web.management.commands import serve
from nagare_web.supervised import Plan, Probe, answers

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]


def config(**changes: Any) -> Config:
    """Return a configuration like the tests' own, with changes."""
    return dataclasses.replace(settings.CONFIG, **changes)


@pytest.fixture
def taken_port() -> Iterator[int]:
    """Return a port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_port_in_use_is_said_before_anything_starts(taken_port: int) -> None:
    """The message names the port and the way out."""
    with pytest.raises(CommandError, match=f"port {taken_port} on 127.0.0.1 is in use; choose another one with --port"):
        call_command("serve", port=taken_port)


def test_an_address_of_another_machine_cannot_be_listened_on() -> None:
    """The system's reason is passed on."""
    with pytest.raises(CommandError, match=r"cannot listen on 192\.0\.2\.1"):
        serve.refuse_taken_port("192.0.2.1", 8000)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_needs_no_decision(host: str) -> None:
    """The defaults are for this machine, which may have them."""
    serve.refuse_exposed_defaults(host, config(given=frozenset()))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "nagare.example"])
def test_a_network_address_needs_names_and_key_chosen_by_the_operator(host: str) -> None:
    """What is missing is named; with both there is no objection."""
    with pytest.raises(CommandError, match="NAGARE_ALLOWED_HOSTS and NAGARE_SECRET_KEY"):
        serve.refuse_exposed_defaults(host, config(given=frozenset()))
    with pytest.raises(CommandError, match="set NAGARE_SECRET_KEY first"):
        serve.refuse_exposed_defaults(host, config(given=frozenset({"ALLOWED_HOSTS"})))
    serve.refuse_exposed_defaults(host, config(given=frozenset({"ALLOWED_HOSTS", "SECRET_KEY"})))


@pytest.mark.parametrize("arguments", [["--port", "0"], ["--port", "65536"], ["--port", "http"], ["--workers", "0"]])
def test_senseless_numbers_are_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Argparse names the option."""
    with pytest.raises(CommandError, match=arguments[0]):
        call_command("serve", *arguments)


@pytest.mark.parametrize(
    ("hosts", "name"),
    [(("a.example", "b.example"), "a.example"), ((".a.example",), "a.example"), (("*",), "localhost")],
)
def test_the_probe_uses_a_name_that_is_answered(hosts: tuple[str, ...], name: str) -> None:
    """ALLOWED_HOSTS may leave loopback out, and the probe must still pass the host check."""
    assert serve.a_served_name(config(allowed_hosts=hosts)) == name


def test_nothing_answers_at_a_free_port(free_port: int) -> None:
    """A refused connection is a no, not an error."""
    assert not answers("127.0.0.1", free_port, name="localhost")


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """Return what the command would go on as, in the place of this process."""
    made: list[Plan] = []

    def become(plan: Plan, *, environ: dict[str, str]) -> None:
        assert environ["DJANGO_SETTINGS_MODULE"]
        made.append(plan)

    monkeypatch.setattr(serve, "become", become)
    monkeypatch.setattr(connections, "close_all", lambda: None)  # the test's own
    return made


@pytest.mark.django_db
def test_a_part_runs_alone(monkeypatch: pytest.MonkeyPatch, taken_port: int, plans: list[Plan]) -> None:
    """Without the others, without a port, and without a migration, which one process does for all."""
    monkeypatch.setattr(serve, "call_command", lambda *words, **_: pytest.fail(f"ran {words}"))
    call_command("serve", "--only", "worker", "--only", "outbox", "--port", str(taken_port))
    (plan,) = plans
    assert [program.name for program in plan.programs] == ["worker", "outbox"]
    assert plan.probe is None
    assert plan.line == "Nagare is running outbox, worker (Ctrl-C stops it)"


def test_web_alone_collects_its_static_files(
    monkeypatch: pytest.MonkeyPatch, free_port: int, plans: list[Plan]
) -> None:
    """And migrates nothing either; it is ready when it answers."""
    ran: list[Any] = []
    monkeypatch.setattr(serve, "refuse_missing_migrations", lambda: ran.append("checked"))
    monkeypatch.setattr(serve, "call_command", lambda *words, **_: ran.append(words[0]))
    call_command("serve", "--only", "web", "--port", str(free_port))
    assert ran == ["checked", "collectstatic"]
    assert [program.name for program in plans[0].programs] == ["web"]
    assert plans[0].probe == Probe(host="127.0.0.1", port=free_port, name=settings.CONFIG.allowed_hosts[0])


def test_a_part_refuses_tables_that_are_not_up_to_date(tmp_path: Path) -> None:
    """With how many migrations are missing and the way out; nothing is started."""
    environ = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    environ["NAGARE_DATA_DIR"] = str(tmp_path / "var")
    command = [sys.executable, str(ROOT / "manage.py"), "serve", "--only", "scheduler"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert re.search(r"\d+ migrations are not applied; run `nagare migrate` first", done.stderr)


@pytest.mark.slow
def test_the_whole_tree_starts_serves_and_stops(tmp_path: Path, free_port: int) -> None:
    """From nothing: an answering server with its static files and, after SIGTERM, a clean end and a free port."""
    environ = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    environ["NAGARE_DATA_DIR"] = str(tmp_path / "var")
    command = [sys.executable, str(ROOT / "manage.py"), "serve", "--port", str(free_port)]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as tree:
        try:
            assert tree.stdout is not None
            assert tree.stdout.readline() == f"Nagare is ready at http://127.0.0.1:{free_port}/ (Ctrl-C stops it)\n"
            if sys.platform.startswith("linux"):  # what prepared it all is no longer in this process
                assert "_sqlite3" not in Path(f"/proc/{tree.pid}/maps").read_text()
            page, body = get(free_port, "/accounts/login/")
            assert page.status == 200
            style = body.split('rel="stylesheet" href="')[1].split('"')[0]
            answer, _ = get(free_port, style)
            assert answer.status == 200
            assert "immutable" in answer.headers["Cache-Control"]
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        finally:
            tree.send_signal(signal.SIGTERM)
        assert tree.stdout.read() == ""
        assert tree.wait(timeout=60) == 0
    serve.refuse_taken_port("127.0.0.1", free_port)


def get(port: int, address: str) -> tuple[http.client.HTTPResponse, str]:
    """Fetch one address: its head and its body."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", address)
        response = connection.getresponse()
        return response, response.read().decode()

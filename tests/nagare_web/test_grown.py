"""The whole installation on PostgreSQL and Redis, moved there by two variables; and what it is like without Redis."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import pytest
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from tests import servers
from tests.e2e.corpus import atif

ROOT: Final = Path(__file__).resolve().parents[2]
PATIENCE_S: Final = 90
NAME, PASSWORD = "m.kato", "a stream finds its way"

pytestmark = pytest.mark.xdist_group("grown")  # one installation for all of them


@dataclass(kw_only=True)
class Installation:
    """`nagare serve` with its own PostgreSQL database and Redis, and somebody who is signed in."""

    url: str
    environ: dict[str, str]
    redis_port: int
    redis: subprocess.Popen[bytes]
    opener: Any = field(default_factory=lambda: urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar())))

    def get(self, address: str) -> str:
        """Return a page that is there. A server that does not answer is an error, not a wait."""
        return self._open(urllib.request.Request(self.url + address))[1]

    def post(self, address: str, body: bytes, kind: str = "application/x-www-form-urlencoded") -> str:
        """Send a form and return the address it leads to."""
        return self._open(urllib.request.Request(self.url + address, body, {"Content-Type": kind}))[0]

    def _open(self, request: urllib.request.Request) -> tuple[str, str]:
        with self.opener.open(request, timeout=30) as answer:
            return answer.url.removeprefix(self.url), answer.read().decode()

    def token(self, address: str) -> str:
        """Return the token of a page's form."""
        found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.get(address))
        assert found is not None
        return found[1]

    def sign_in(self) -> None:
        """Type name and password."""
        form = {"csrfmiddlewaretoken": self.token("/accounts/login/"), "username": NAME, "password": PASSWORD}
        assert self.post("/accounts/login/", urlencode(form).encode()) == "/runs/"

    def import_file(self, name: str, content: bytes) -> str:
        """Send a file through the page and return the address of the job."""
        form = {"csrfmiddlewaretoken": self.token("/import/"), "files": Upload(name, content)}
        address = self.post("/import/", encode_multipart(BOUNDARY, form), MULTIPART_CONTENT)
        assert re.fullmatch(r"/import/[0-9a-f-]{36}/", address)
        return address

    def run_of(self, job: str) -> str:
        """Wait until an import has ended and return the address of the run it brought."""
        page = wait_for(lambda: self._ended(job))
        found = re.search(r'href="(/runs/agent_run-[^"/?]+/)', page)
        assert found is not None
        return found[1]

    def _ended(self, job: str) -> str:
        """Return the page of a job, empty while that may be stopped."""
        page = self.get(job)
        return "" if "Stop after this file" in page else page


def jar() -> CookieJar:
    """Return an empty jar of cookies."""
    return CookieJar()


class Upload:
    """A file as `encode_multipart` takes it."""

    content_type = "application/json"

    def __init__(self, name: str, content: bytes) -> None:
        self.name, self._content = name, content

    def read(self) -> bytes:
        """Return what is in it."""
        return self._content


def wait_for(condition: Callable[[], Any]) -> Any:
    """Return the first answer that is one."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < deadline, "nothing came"
        time.sleep(0.1)
    return found


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Start one on servers of its own, with a user."""
    redis_port, port = servers.free_port(), servers.free_port()
    try:
        database, redis = servers.fresh_postgresql_url(), servers.start_redis(redis_port)
    except servers.Missing as missing:
        pytest.skip(str(missing))
    environ = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    environ |= {
        "NAGARE_DATA_DIR": str(tmp_path_factory.mktemp("grown") / "var"),
        "NAGARE_DATABASE_URL": database,
        "NAGARE_REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
        "NAGARE_LOG_LEVEL": "ERROR",
    }
    manage = [sys.executable, str(ROOT / "manage.py")]
    with subprocess.Popen([*manage, "serve", "--port", str(port)], env=environ, stdout=subprocess.PIPE) as tree:
        try:
            assert tree.stdout is not None
            assert b"ready" in tree.stdout.readline()
            add = [*manage, "user", "add", NAME, "--role", "admin"]
            subprocess.run(add, env=environ, input=PASSWORD, text=True, check=True, capture_output=True)
            found = Installation(url=f"http://127.0.0.1:{port}", environ=environ, redis_port=redis_port, redis=redis)
            found.sign_in()
            yield found
        finally:
            tree.send_signal(signal.SIGTERM)


@pytest.mark.slow
def test_two_variables_move_everything_to_postgresql_and_redis(installation: Installation) -> None:
    """A file that is dropped on the page becomes a run; health and ops say that all is well."""
    run = installation.run_of(installation.import_file("mine.json", atif("mine", "Plot it.")))
    assert "Plot it." in installation.get(run)
    assert installation.get("/healthz") == '{"status": "alive"}'
    assert json.loads(installation.get("/readyz"))["status"] == "ready"
    assert "owns the outbox" in installation.get("/ops/")
    doctor = [sys.executable, str(ROOT / "manage.py"), "doctor"]
    said = subprocess.run(doctor, env=installation.environ, capture_output=True, text=True, check=True).stdout
    assert "PostgreSQL" in said
    assert not list(Path(installation.environ["NAGARE_DATA_DIR"]).glob("**/*.sqlite3"))
    assert not (Path(installation.environ["NAGARE_DATA_DIR"]) / "broker").exists()


@pytest.mark.slow
def test_without_redis_everything_but_the_waking_of_workers_goes_on(installation: Installation) -> None:
    """Whether it hangs or is gone: pages come, appends are made, uploads are taken; the job starts once it is back."""
    installation.redis.send_signal(signal.SIGSTOP)
    waiting = [installation.import_file("while-it-hangs.json", atif("hangs", "Wait."))]
    assert "runs" in installation.get("/runs/")
    installation.redis.kill()
    installation.redis.wait()
    waiting.append(installation.import_file("while-it-is-gone.json", atif("gone", "Wait longer.")))
    sample = urlencode({"csrfmiddlewaretoken": installation.token("/import/")}).encode()
    assert installation.post("/import/sample/", sample).startswith("/runs/agent_run-")
    for address in ("/runs/", "/import/", "/ops/", "/readyz", *waiting):
        installation.get(address)
    installation.redis = servers.start_redis(installation.redis_port)
    for job in waiting:
        assert "Wait" in installation.get(installation.run_of(job))

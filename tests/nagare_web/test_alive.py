"""`nagare alive`: a part that works says so, one that does not has exit code 1."""

from __future__ import annotations

import os
import socket
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from journal.models import Lease
from journal.runtime import lease, outbox_loop, presence
from journal.runtime import projection as projections
from nagare_web import supervised
from nagare_web.celery import app
from nagare_web.management.commands import alive

ROLES = {"projections": projections.ROLE, "outbox": outbox_loop.ROLE}


def asked(part: str) -> str:
    """Return what the command says of a part."""
    said = StringIO()
    call_command("alive", part, stdout=said)
    return said.getvalue()


@pytest.mark.django_db
@pytest.mark.parametrize("part", ROLES)
def test_a_follower_lives_while_its_presence_is_renewed(part: str) -> None:
    """By the database's clock; when it is gone, or silent for too long, there is no sign of life."""
    with presence.announced(ROLES[part]):
        assert asked(part) == f"{part} is alive\n"
        Lease.objects.filter(name__startswith=presence.PREFIX).update(expires_at="2000-01-01T00:00:00Z")
        with pytest.raises(CommandError, match=f"no sign of life from {part}"):
            asked(part)


@pytest.mark.django_db
def test_a_follower_on_another_machine_is_no_sign_of_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each container answers for itself."""
    monkeypatch.setattr(lease, "holder_name", lambda role="worker": f"{role}-elsewhere-7")
    with presence.announced(outbox_loop.ROLE):
        monkeypatch.undo()
        with pytest.raises(CommandError):
            asked("outbox")


def test_the_scheduler_lives_while_it_saves(tmp_path: Path) -> None:
    """It writes its times every three minutes; three times as long without is a death."""
    file = tmp_path / "beat-schedule"
    assert not alive.schedule_is_saved(file, now=10_000.0)
    file.with_name("beat-schedule.db").touch()  # the ending that some kinds of dbm add
    os.utime(tmp_path / "beat-schedule.db", (10_000, 10_000))
    assert alive.schedule_is_saved(file, now=10_539.0)
    assert not alive.schedule_is_saved(file, now=10_541.0)


@pytest.mark.parametrize(("answer", "is_alive"), [([{"ok": "pong"}], True), (None, False)])
def test_the_worker_is_asked_over_the_broker(answer: Any, is_alive: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001 - a parameter of the test
    """The one of this machine, by its name."""
    wanted: list[dict[str, Any]] = []

    class Inspect:
        def __init__(self, **options: Any) -> None:
            wanted.append(options)

        def ping(self) -> Any:
            return answer

    monkeypatch.setattr(app.control, "inspect", Inspect)
    assert alive.worker_answers() is is_alive
    assert wanted[0]["destination"] == [f"celery@{socket.gethostname()}"]


def test_web_is_asked_for_its_health(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens at that port; somebody does."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(CommandError, match="no sign of life from web"):
        call_command("alive", "web", "--port", str(port))
    monkeypatch.setattr(supervised, "answers", lambda host, at, **_: (host, at) == ("127.0.0.1", port))
    call_command("alive", "web", "--port", str(port), stdout=StringIO())

"""`nagare alive`: whether one part of an installation does its work on this machine; what a container engine asks."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from journal.management.base import Command as Base
from journal.runtime import outbox_loop, presence
from journal.runtime import projection as projections
from nagare_web import supervised
from nagare_web.celery import app
from nagare_web.management.commands import serve

_PATIENCE_S: Final = 5.0
_SCHEDULE_WRITTEN_EVERY_S: Final = 180
"""How often Celery's scheduler saves when it last ran what."""


class Command(Base):
    """Ask one part for a sign of life."""

    help = (
        "Ask one part of an installation on this machine for a sign of life: exit code 0 where there is one, 1 where"
        " there is none. It is meant for the health checks of containers, each of which runs one part."
    )
    example = "nagare alive worker"
    takes_json = False

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        parser.add_argument("part", choices=serve.PARTS, metavar="PART", help=", ".join(serve.PARTS))
        parser.add_argument(
            "--port", type=serve.port_number, default=8000, help="where web listens (default: %(default)s)"
        )

    def run(self, **options: Any) -> None:
        """Ask, and say what was found."""
        part = options["part"]
        asked: dict[str, Callable[[], bool]] = {
            "web": lambda: supervised.answers("127.0.0.1", options["port"], name=serve.a_served_name(settings.CONFIG)),
            "worker": worker_answers,
            "scheduler": lambda: schedule_is_saved(Path(settings.CELERY_BEAT_SCHEDULE_FILENAME), now=time.time()),
            "projections": lambda: presence.is_announced(projections.ROLE),
            "outbox": lambda: presence.is_announced(outbox_loop.ROLE),
        }
        if not asked[part]():
            raise CommandError(f"no sign of life from {part} on {socket.gethostname()}", returncode=1)
        self.say(f"{part} is alive")


def worker_answers() -> bool:
    """Tell whether the worker of this machine answers over the broker, which shows that it takes tasks from there."""
    name = f"celery@{socket.gethostname()}"
    return bool(app.control.inspect(destination=[name], timeout=_PATIENCE_S).ping())


def schedule_is_saved(file: Path, *, now: float) -> bool:
    """Tell whether the scheduler has saved its times of late. Some databases of `dbm` add an ending to the name."""
    saved = [found.stat().st_mtime for found in file.parent.glob(f"{file.name}*")]
    return max(saved, default=0.0) > now - 3 * _SCHEDULE_WRITTEN_EVERY_S

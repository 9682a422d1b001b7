"""`nagare run-outbox`: alerts, process managers and deliveries, until it is stopped."""

from __future__ import annotations

import signal
import threading
from functools import partial
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from journal.management.base import Command as Base
from journal.runtime import outbox_loop, presence
from journal.runtime.wakeup import wakeups


class Command(Base):
    """Work on the outbox."""

    help = (
        "Turn events into alerts, let process managers react, and deliver dispatches, until SIGTERM or Ctrl-C. Several"
        " may run: one works, the others wait for its lease. `nagare serve` starts one."
    )
    example = "nagare run-outbox"
    takes_json = False

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        parser.add_argument(
            "--poll", type=float, default=1.0, metavar="S", help="look at least so often (default: %(default)s seconds)"
        )

    def run(self, **options: Any) -> None:
        """Work until a signal comes; the dispatch in hand is finished first."""
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        redis = settings.CONFIG.redis_url or ""
        with presence.announced(outbox_loop.ROLE):
            outbox_loop.run(stop=stop, wakeups=partial(wakeups, poll_s=options["poll"], stop=stop, redis_url=redis))

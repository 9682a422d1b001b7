"""`nagare run-projections`: keep the read models up to date, until it is stopped."""

from __future__ import annotations

import signal
import threading
from functools import partial
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.db import connection

from journal.management.base import Command as Base
from journal.runtime import presence, sealer
from journal.runtime import projection as projections
from journal.runtime.lease import holder_name
from journal.runtime.projection import Projection
from journal.runtime.wakeup import wakeups


class Command(Base):
    """Follow the journal."""

    help = (
        "Keep the read models up to date until SIGTERM or Ctrl-C. Several may run: each projection is followed by one,"
        " the others wait for its lease. `nagare serve` starts one."
    )
    example = "nagare run-projections"
    takes_json = False

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        parser.add_argument(
            "--poll", type=float, default=0.5, metavar="S", help="look at least so often (default: %(default)s seconds)"
        )

    def run(self, **options: Any) -> None:
        """Follow with a thread a projection, and one that seals, until a signal comes; batches in hand are finished."""
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        redis = settings.CONFIG.redis_url or ""
        looks = partial(wakeups, poll_s=options["poll"], stop=stop, redis_url=redis)
        threads = [
            threading.Thread(target=_follow, args=(projection, looks, stop), name=projection.name)
            for projection in projections.registered()
        ]
        threads.append(threading.Thread(target=_seal, args=(looks, stop), name=sealer.NAME))
        with presence.announced(projections.ROLE):
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()


def _follow(projection: Projection, looks: Any, stop: threading.Event) -> None:
    try:
        projections.run(projection, wakeups=looks, stop=stop, holder=holder_name(projections.ROLE))
    finally:
        connection.close()


def _seal(looks: Any, stop: threading.Event) -> None:
    """Seal what follows the journal here anyway: a sealer of its own would be one more process that mostly waits."""
    try:
        sealer.run(wakeups=looks, stop=stop, holder=holder_name(projections.ROLE))
    finally:
        connection.close()

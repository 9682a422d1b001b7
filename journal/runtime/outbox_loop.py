"""What `nagare run-outbox` does: alerts, process managers and deliveries, by whoever holds the outbox's lease.

The three are one loop under one lease, since each feeds the next: an event becomes a dispatch, the dispatch an alert,
the alert dispatches to receivers, all within one turn instead of three polls.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final

import structlog

from journal.runtime import alerting, checkpoint, lease, outbox, process_manager
from journal.runtime.checkpoint import Fenced, Overtaken
from journal.runtime.clock import Clock, system_clock
from journal.runtime.subscription import retry_parked, run_once

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

LEASE: Final = "outbox"
ROLE: Final = "outbox"
_PRUNE_EVERY: Final = timedelta(hours=1)
_LONGEST_PAUSE_S: Final = 30.0

Wakeups = Callable[[], Iterable[None]]


def run(*, stop: threading.Event, wakeups: Wakeups, clock: Clock = system_clock) -> None:
    """Work whenever the lease is ours, until `stop`. Whatever goes wrong is logged and tried again."""
    failures = 0
    for term in lease.terms(LEASE, stop=stop, holder=lease.holder_name(ROLE)):
        log.info("outbox_owned", token=term.token)
        try:
            _serve(term, stop=stop, wakeups=wakeups, clock=clock)
            failures = 0
        except (Fenced, Overtaken, lease.LeaseLost) as lost:
            log.info("outbox_lost", token=term.token, reason=type(lost).__name__)
        except Exception:
            failures += 1
            log.exception("outbox_failed", failures=failures)
            stop.wait(min(2.0**failures, _LONGEST_PAUSE_S))


def _serve(term: lease.Term, *, stop: threading.Event, wakeups: Wakeups, clock: Clock) -> None:
    _take_checkpoints(term.token)
    pruned_at: datetime | None = None
    for _ in wakeups():
        while not stop.is_set() and turn(token=term.token, holds=term.holds, clock=clock):
            pass
        if stop.is_set() or not term.holds():
            return
        if pruned_at is None or clock() - pruned_at > _PRUNE_EVERY:
            outbox.prune(now=clock())
            pruned_at = clock()


def _take_checkpoints(token: int) -> None:
    """Stamp every checkpoint that this loop moves, so that an earlier holder can move none of them any more."""
    for name in (alerting.NAME, *(process_manager.checkpoint_name(known) for known in process_manager.registered())):
        checkpoint.take(name, token=token)


def turn(*, token: int = 0, holds: Callable[[], bool] = lambda: True, clock: Clock = system_clock) -> int:
    """Look at the next events and deliver what is due. Returns how much was done; 0 where nothing is left to do.

    Raises:
        Fenced, Overtaken: another holder is at it.
    """
    watching = alerting.subscription(clock)
    handled = run_once(watching, token=token)
    if handled.is_at_head:
        retry_parked(watching, token=token)
    done = handled.events
    for manager in process_manager.registered():
        if not holds():
            return 0
        done += process_manager.follow(manager, clock=clock, token=token)
    return done + len(outbox.deliver_due(clock=clock, token=token, holds=holds))

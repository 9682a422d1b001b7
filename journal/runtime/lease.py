"""Leases: who may do what only one may do at a time.

A lease is a row with a holder, a fencing token and a time, all by the **database's** clock, so that machines whose
clocks differ agree. It is taken by conditional update: only an expired lease changes hands, and each grant raises the
token by one. A holder that was paused past its time may still believe that it holds; therefore everything it writes
carries its token, and rows that a later holder has stamped refuse it (`journal.runtime.checkpoint`).
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from django.db import DatabaseError, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from journal.models import Lease
from journal.runtime.pulse import pulse

TTL: Final = timedelta(seconds=5)
"""How long a holder may be silent. A dead one is replaced within twice this time."""

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A lease as it was granted or last renewed."""

    name: str
    holder: str
    token: int
    expires_at: datetime
    ttl: timedelta


class LeaseLost(Exception):
    """The lease expired, or another holder has it: stop writing."""


def holder_name(role: str = "worker") -> str:
    """Return who this process is, as pages show it: role, host and process id."""
    return f"{role}-{socket.gethostname().partition('.')[0][:100]}-{os.getpid()}"


def acquire(name: str, *, holder: str, ttl: timedelta = TTL) -> Held | None:
    """Take a lease that is free or expired. None where another holder has it."""
    if Lease.objects.filter(name=name, expires_at__gt=Now()).exists():
        return None  # the usual answer costs no write
    Lease.objects.get_or_create(
        name=name, defaults={"acquired_at": _NEVER, "heartbeat_at": _NEVER, "expires_at": _NEVER}
    )
    with transaction.atomic():  # between the update and the read nobody else may be granted it
        taken = Lease.objects.filter(name=name, expires_at__lte=Now()).update(
            holder=holder, token=F("token") + 1, acquired_at=Now(), heartbeat_at=Now(), expires_at=Now() + ttl
        )
        return _held(Lease.objects.get(name=name), ttl) if taken else None


def renew(held: Held) -> Held | None:
    """Extend a lease by its time from now. None where it has another holder.

    One that expired without anybody taking it is still ours: no later token exists that a row could carry.
    """
    with transaction.atomic():
        kept = _grant(held).update(heartbeat_at=Now(), expires_at=Now() + held.ttl)
        return _held(Lease.objects.get(name=held.name), held.ttl) if kept else None


def release(held: Held) -> None:
    """Give a lease back, so that the next one need not wait for it to expire."""
    _grant(held).update(holder="", expires_at=Now())


class Term:
    """One grant of a lease, renewed by a thread. `holds` turns False before another can have been granted it."""

    def __init__(self, held: Held, *, since: float) -> None:
        self._held = held
        self._until = since + held.ttl.total_seconds()
        self._is_lost = False

    @property
    def token(self) -> int:
        """The fencing token: goes into every write."""
        return self._held.token

    def holds(self) -> bool:
        """Return whether the lease is still ours.

        Counted on this machine's monotonic clock from the moment before the last renewal, which goes on while the
        process is stopped.
        """
        return not self._is_lost and time.monotonic() < self._until

    def check(self) -> None:
        """Raise `LeaseLost` unless the lease is still ours."""
        if not self.holds():
            raise LeaseLost(self._held.name)

    def extend(self) -> bool:
        """Renew. Returns whether the lease is still ours."""
        since = time.monotonic()
        held = renew(self._held)
        if held is None:
            self._is_lost = True
            return False
        self._held, self._until = held, since + held.ttl.total_seconds()
        return True


@contextmanager
def guard(name: str, *, holder: str | None = None, ttl: timedelta = TTL) -> Iterator[Term | None]:
    """Hold a lease for a block of work, renewing it meanwhile. Gives None where another holder has it."""
    since = time.monotonic()
    held = acquire(name, holder=holder or holder_name(), ttl=ttl)
    if held is None:
        yield None
        return
    term = Term(held, since=since)
    try:
        with pulse(term.extend, every=ttl / 3):
            yield term
    finally:
        with suppress(DatabaseError):  # it expires anyway
            release(held)


def terms(name: str, *, stop: threading.Event, holder: str | None = None, ttl: timedelta = TTL) -> Iterator[Term]:
    """Yield a term each time the lease is ours, until `stop`. In between, look for it three times in its time."""
    while not stop.is_set():
        with guard(name, holder=holder, ttl=ttl) as term:
            if term is not None:
                yield term
        stop.wait(ttl.total_seconds() / 3)


def _grant(held: Held) -> QuerySet[Lease]:
    return Lease.objects.filter(name=held.name, holder=held.holder, token=held.token)


def _held(row: Lease, ttl: timedelta) -> Held:
    return Held(name=row.name, holder=row.holder, token=row.token, expires_at=row.expires_at, ttl=ttl)

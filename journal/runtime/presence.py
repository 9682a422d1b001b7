"""Which processes are there, also those that wait: each holds a lease in its own name for as long as it runs.

So a process that owns nothing can be named on the page, and one that died is missing there after a lease's time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from django.db.models.functions import Now

from journal.models import Lease
from journal.runtime import lease

PREFIX: Final = "process:"
TTL: Final = 3 * lease.TTL
"""Longer than a lease's: nobody waits for this one, and a busy machine must not make processes vanish."""

_FORGOTTEN_AFTER: Final = timedelta(days=1)
_LONGEST: Final = 100


@contextmanager
def announced(role: str) -> Iterator[str]:
    """Let a process be known while the block runs. Gives its name, under which it also asks for other leases."""
    holder = lease.holder_name(role)
    _forget()
    with lease.guard(_name(holder), holder=holder, ttl=TTL):
        yield holder


def is_announced(role: str) -> bool:
    """Return whether this machine runs a process of that role, by the database's clock."""
    here = _name(lease.holder_name(role)).rpartition("-")[0]
    return Lease.objects.filter(name__startswith=f"{here}-", expires_at__gt=Now()).exclude(holder="").exists()


def _name(holder: str) -> str:
    """The end of the name has the process id, so that is what is kept of a long one."""
    return PREFIX + holder[-(_LONGEST - len(PREFIX)) :]


def _forget() -> None:
    """Delete the rows of processes that ended long ago: their ids come again on other machines only."""
    Lease.objects.filter(name__startswith=PREFIX, expires_at__lt=Now() - _FORGOTTEN_AFTER).delete()

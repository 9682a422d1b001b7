"""Who is behind what is being done now: somebody at a browser, a token, or a person at the command line.

The functions that change something record who asked without being handed it: a request says so once, and whoever is
called within it finds it here.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

import msgspec


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody: the account's name, how they came, from where (shortened), and the request's correlation id."""

    by: str = ""
    via: str = ""
    origin: str = ""
    correlation: str = ""


def _at_the_command_line() -> Actor:
    try:
        return Actor(by=getpass.getuser(), via="command")
    except (KeyError, OSError):  # a container's user may have no name
        return Actor(via="command")


_acting: Final[ContextVar[Callable[[], Actor]]] = ContextVar("acting", default=_at_the_command_line)


@contextmanager
def acting(who: Callable[[], Actor]) -> Iterator[None]:
    """Say for a while who acts; asked only where something is recorded."""
    mark = _acting.set(who)
    try:
        yield
    finally:
        _acting.reset(mark)


def actor() -> Actor:
    """Return who acts now; outside a request, whoever runs the process."""
    return _acting.get()()
